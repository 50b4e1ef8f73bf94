"""The keys of a hardware file that say what its software costs: kernels, drafts, prompts and launch modes."""

from perfmodel.specifications.keys import Parameter, share

SOFTWARE_KEYS: tuple[Parameter, ...] = (
    Parameter(
        "reach.*",
        "1",
        -1,
        "share of what the memory sustains that the software's kernels reach with one kind of bytes: weights,"
        " quantised, kv, or one storage format; a profile that gives memory.sustained of a kind gives its whole share"
        " (R1)",
        most=1.5,
        positive=True,
    ),
    Parameter("kernels.tile", "1", 1, "rows that the software's matrix kernels pad fewer rows to (R2)"),
    share(
        "kernels.arithmetic",
        -1,
        "share of what large products sustain of the arithmetic rate that kernels of few rows reach (R2)",
    ),
    share(
        "kernels.added",
        1,
        "share of the shorter of streaming and arithmetic that a call's kernel adds to the longer instead of hiding it"
        " (S1)",
        positive=False,
    ),
    Parameter(
        "kernels.column",
        "1",
        1,
        "operations in vector units for each of a matrix below 16 bits, with each further sequence, in kernels for few"
        " (D6)",
    ),
    Parameter(
        "kernels.most_columns",
        "1",
        0,
        "most tokens of a step that kernels for few take, which pad no rows (D3)",
        least=1.0,
    ),
    Parameter(
        "kernels.experts_apart",
        "1",
        0,
        "most tokens of a step that kernels for few take with routed experts, which they read for each token apart"
        " (D3, E3)",
        least=1.0,
    ),
    Parameter(
        "software.spread",
        "1",
        0,
        "half-width of the logarithm by which sources of one kind of software differ beyond their parameters",
    ),
    Parameter(
        "modes.*.spread",
        "1",
        0,
        "software.spread of kernels that a mode has of its own, whatever the software: by hand or generated",
    ),
    Parameter(
        "software.noise",
        "1",
        0,
        "half-width of the logarithm by which one measured step differs from another of the same machine",
    ),
    Parameter("conditions.predicate", "s", 1, "cost of one predicate inside a loop, c_p (X2)"),
    Parameter("conditions.device", "s", 1, "time until the device has decided on a condition between calls, d (X3)"),
    Parameter("conditions.host", "s", 1, "time until the host has decided on a condition between calls, d (X3)"),
    Parameter("conditions.switch", "s", 1, "cost of starting another prebuilt kernel than the last one, w_s (X5)"),
    Parameter(
        "drafts.token",
        "1",
        1,
        "what each further token of a step adds to the time to stream the weights, as a share of it, in kernels"
        " for few tokens, f (D6)",
    ),
    Parameter(
        "drafts.operations",
        "1",
        1,
        "operations in vector units for each of a matrix, with each further token, in kernels for few, o (D6)",
    ),
    Parameter(
        "drafts.vector_rate",
        "FLOP/s",
        -1,
        "datasheet rate of these vector units, pi_v; one of arithmetic.* (D6)",
        positive=True,
    ),
    Parameter(
        "drafts.most_tokens",
        "1",
        0,
        "tokens of a step from which kernels for matrices take over from those for few tokens, T (D3)",
        least=1.0,
    ),
    share(
        "drafts.independence",
        1,
        "what a further token of a sequence counts among the tokens that wake experts independently (D4)",
        positive=False,
    ),
    Parameter("drafts.host", "s", 1, "host and launch time of one draft, h_d (D5)"),
    Parameter("drafts.verify", "s", 1, "host time to prepare, verify and accept a step's drafts, h_v (D5)"),
    Parameter("drafts.layers", "1", 0, "layers of an MTP or EAGLE head", least=1.0),
    Parameter("drafts.vocabulary", "1", 0, "words that a draft head scores", least=1.0),
    Parameter(
        "prompts.rate",
        "FLOP/s",
        -1,
        "datasheet rate in the format that matrix kernels multiply a prompt in, pi_p; one of arithmetic.* (T3)",
        positive=True,
    ),
    share("prompts.share", -1, "share of it that many rows reach, eta_p (T3)"),
    Parameter("prompts.half", "1", 1, "tokens that a matrix sees at which half of that share is reached, m_h (T3)"),
    Parameter(
        "prompts.attention_rate",
        "FLOP/s",
        -1,
        "datasheet rate in the format that attention multiplies a prompt in; one of arithmetic.* (T3)",
        positive=True,
    ),
    Parameter(
        "prompts.power_rate",
        "FLOP/s",
        -1,
        "rate at which the operations of a prompt's matrices alone take all of power.tdp, pi_W (T3)",
        positive=True,
    ),
    share(
        "prompts.unpacked",
        1,
        "share of the weights below 16 bits that are written out in 16 bits before they are multiplied, u (T6)",
        positive=False,
    ),
    share("prompts.attention", -1, "share of it that attention over a prompt reaches (T3)"),
    share(
        "prompts.overlap",
        -1,
        "share of what the chunks of a prompt could save in a pipeline that the software saves (T4)",
        positive=False,
    ),
    Parameter(
        "modes.*.boundary",
        "s",
        1,
        "whole cost of one call boundary, s; where it is given it replaces bare + ramp + tail (B1)",
    ),
    Parameter("modes.*.bare", "s", 1, "bare boundary: launch, first instruction, drain of an empty kernel (B1)"),
    Parameter("modes.*.ramp", "s", 1, "time lost until enough bytes are in flight (B1)"),
    Parameter("modes.*.tail", "s", 1, "time lost while the last blocks finish alone (B1)"),
    share(
        "modes.*.hidden",
        -1,
        "share of the boundary that dependent launch hides behind the call before (B1)",
        positive=False,
    ),
    share("modes.*.covered", -1, "share of the boundaries at which dependent launch is used (B1)", positive=False),
    Parameter(
        "modes.*.factor",
        "1",
        1,
        "factor on the time of a step by which measured ones differ from others of their kind, beyond their parameters",
        positive=True,
    ),
    Parameter(
        "modes.*.calls",
        "1",
        1,
        "kernel calls of a step on one device as counted, where they are not those of the model's operations, N (S1)",
    ),
    Parameter("modes.*.matrix", "s", 1, "what a call with a matrix loses beyond the boundary of any kernel, s_m (B2)"),
    Parameter(
        "modes.*.experts",
        "s",
        1,
        "what a call with matrices of routed experts loses beyond the boundary of any kernel, s_e (B2)",
    ),
    Parameter(
        "modes.*.stage_matrix",
        "s",
        1,
        "what a stage with a matrix costs beyond a stage inside a fused, looped or mega kernel (L1)",
    ),
    Parameter("modes.*.exchange", "s", 1, "what the software's library adds to each collective between calls (C4)"),
    Parameter("modes.*.exchange_rise", "s", 1, "what it adds for each doubling of the devices beyond two (C4)"),
    Parameter("modes.*.sequence", "s", 1, "host time of a step for each of its sequences, which nothing hides (S1)"),
    Parameter(
        "modes.*.stage", "s", 1, "cost of one dependent stage inside a call: barrier, hand-over, pipeline fill (L1)"
    ),
    Parameter("modes.*.fill", "s", 1, "latency of the first bytes of a fused, looped or mega kernel (L2)"),
    Parameter("modes.*.prefetch", "B", -1, "effective room for weights fetched ahead, C, per device (L1)"),
    share(
        "modes.*.overlap",
        -1,
        "share of the arithmetic that overlaps the serial chain of an iteration (L1)",
        positive=False,
    ),
    Parameter(
        "modes.*.tasks",
        "1",
        -1,
        "tasks that a step is cut into, where a persistent kernel hands them out; no more units work at a time than"
        " a stage has tasks (R1)",
        positive=True,
    ),
    share(
        "modes.*.kv",
        -1,
        "sustained share of the bandwidth for cache and state in this mode, where its kernels differ from"
        " memory.sustained.kv",
    ),
    share(
        "modes.*.collective_overlap",
        -1,
        "share of a collective that other work hides: tiles sent as they are done, other sequences computed meanwhile"
        " (C3)",
        positive=False,
    ),
    Parameter("modes.*.host", "s", 1, "host time of a step, h (S1)"),
    share(
        "modes.*.beside",
        -1,
        "share of the host's time that may run beside the device's work, where a step is planned while the one before"
        " runs, w (S4); none if nothing is said",
        positive=False,
    ),
    Parameter("modes.*.issue", "s", 1, "host time to issue one call, t_issue (S2)"),
)
