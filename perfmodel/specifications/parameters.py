"""The parameters a hardware file may hold: one table of keys, units, directions and meanings.

Everything that needs to know what a key is reads it here: the file reader, `--set`, the interval
(which end of a parameter is the slow one), the assumptions of an answer, and the documents.
A `*` stands for one name: a storage format, a launch mode, a collective or an algorithm of collectives.
"""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from perfmodel.errors import UnknownNameError, ValueRangeError, dotted, nearest, shown

# The last is for a user's own file, where a plain value is enough; the catalogue says where its values come from.
KINDS = ("datasheet", "measured", "derived", "assumed", "given")
MODES = ("eager", "stream", "graph", "pdl", "layer-fused", "looped", "megakernel-generated", "megakernel")
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send")
ALGORITHMS = ("one-shot", "two-shot", "in-network", "ring", "tree", "torus")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """What a key means. `slower`: +1 when a larger value makes a step slower, -1 faster, 0 neither."""

    key: str
    unit: str
    slower: int
    meaning: str
    least: float = 0.0
    most: float = 1e30
    positive: bool = False  # zero is refused too


def _share(key: str, slower: int, meaning: str, *, positive: bool = True) -> Parameter:
    return Parameter(key=key, unit="1", slower=slower, meaning=meaning, most=1.0, positive=positive)


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        key="memory.bandwidth",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="datasheet bandwidth of the device's own memory, beta",
    ),
    Parameter(key="memory.capacity", unit="B", slower=0, positive=True, meaning="size of the device's own memory"),
    Parameter(
        key="memory.clock",
        unit="Hz",
        slower=0,
        positive=True,
        meaning="memory transfer clock; clock x bus width x 2 transfers / 8 = bandwidth",
    ),
    Parameter(key="memory.bus_width", unit="1", slower=0, positive=True, meaning="memory bus width in bits"),
    Parameter(
        key="memory.latency", unit="s", slower=1, positive=True, meaning="time to the first byte of an unloaded read"
    ),
    Parameter(
        key="memory.bytes_in_flight",
        unit="B",
        slower=-1,
        positive=True,
        meaning="bytes one unit keeps in flight; with units and latency it caps the bandwidth (R1)",
    ),
    _share(
        "memory.sustained.*",
        -1,
        "sustained share of the datasheet bandwidth, eta, for one kind of bytes: weights, quantised (below 16 bits),"
        " kv, activations, or one storage format",
    ),
    Parameter(
        key="reach.*",
        unit="1",
        slower=-1,
        most=1.5,
        positive=True,
        meaning="share of what the memory sustains that the software's kernels reach with one kind of bytes: weights,"
        " quantised, kv, or one storage format; a profile that gives memory.sustained of a kind gives its whole share"
        " (R1)",
    ),
    Parameter(
        key="kernels.tile",
        unit="1",
        slower=1,
        meaning="rows that the software's matrix kernels pad fewer rows to, for 16-bit weights; for narrower ones in"
        " proportion (R2)",
    ),
    _share(
        "kernels.added",
        1,
        "share of the shorter of streaming and arithmetic that a call's kernel adds to the longer instead of hiding it"
        " (S1)",
        positive=False,
    ),
    Parameter(
        key="tiers.*.bandwidth",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="bandwidth of a slower memory tier, per device",
    ),
    _share("tiers.*.sustained", -1, "share of that bandwidth that streaming weights from the tier sustains"),
    Parameter(
        key="tiers.*.memory",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="rated bandwidth of the memory behind a tier, from which its own cores compute (H2)",
    ),
    _share("tiers.*.computed", -1, "share of that rating that the cores reach with experts (H2)"),
    Parameter(
        key="tiers.*.cores",
        unit="1",
        slower=-1,
        positive=True,
        meaning="cores that compute behind a tier, where they bind",
    ),
    Parameter(
        key="tiers.*.core_stream",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="what one of them streams and multiplies (H2)",
    ),
    Parameter(
        key="tiers.*.crossing",
        unit="s",
        slower=1,
        meaning="handing a layer's activations to those cores and waiting for them (H3)",
    ),
    Parameter(
        key="tiers.*.capacity", unit="B", slower=0, positive=True, meaning="size of a slower memory tier, per device"
    ),
    Parameter(
        key="arithmetic.*",
        unit="FLOP/s",
        slower=-1,
        positive=True,
        meaning=(
            "dense datasheet rate in one arithmetic format with sums in 32 bits, pi; sparse rates have keys of their own"
            " that end in -sparse, rates with sums in 16 bits such that end in -accumulate-fp16"
        ),
    ),
    _share("arithmetic.sustained", -1, "sustained share of the arithmetic rate, eta_a"),
    Parameter(
        key="software.spread",
        unit="1",
        slower=0,
        meaning="half-width of the logarithm by which sources of one kind of software differ beyond their parameters",
    ),
    Parameter(
        key="software.noise",
        unit="1",
        slower=0,
        meaning="half-width of the logarithm by which one measured step differs from another of the same machine",
    ),
    Parameter(key="units.count", unit="1", slower=-1, positive=True, meaning="parallel units: SMs, CUs, cores"),
    Parameter(
        key="units.stream",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="most that one unit streams with the software's kernels while all others stream too (R1)",
    ),
    Parameter(
        key="units.block_bandwidth",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="bandwidth that one block of threads reaches alone; it limits stages that are cut into few tasks (R1)",
    ),
    Parameter(key="units.clock", unit="Hz", slower=0, positive=True, meaning="boost clock of a unit"),
    Parameter(
        key="units.operations_per_clock.*",
        unit="1",
        slower=0,
        positive=True,
        meaning="dense operations a unit does in one clock, by format",
    ),
    Parameter(
        key="on_chip.capacity",
        unit="B",
        slower=-1,
        positive=True,
        meaning="on-chip memory that holds data across calls: last-level cache or distributed SRAM",
    ),
    Parameter(
        key="on_chip.bandwidth", unit="B/s", slower=-1, positive=True, meaning="bandwidth of that on-chip memory"
    ),
    Parameter(
        key="on_chip.shared_per_unit",
        unit="B",
        slower=-1,
        positive=True,
        meaning="scratchpad of one unit: shared memory, LDS",
    ),
    Parameter(
        key="link.bandwidth",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="link bandwidth of a device, per direction, all its links",
    ),
    Parameter(
        key="link.per_peer",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="what a device can send to one other device, where no switch joins its links (C1)",
    ),
    Parameter(
        key="link.domain",
        unit="1",
        slower=0,
        positive=True,
        meaning="devices that reach each other over this link; more are joined by the network",
    ),
    Parameter(
        key="network.bandwidth",
        unit="B/s",
        slower=-1,
        positive=True,
        meaning="bandwidth of a device beyond its link's domain, per direction",
    ),
    Parameter(key="network.latency", unit="s", slower=1, meaning="one hop beyond the link's domain (C2)"),
    Parameter(
        key="collectives.*.latency",
        unit="s",
        slower=1,
        meaning="latency of the smallest collective without any launch: two devices, one hop (C2)",
    ),
    Parameter(
        key="collectives.*.hop",
        unit="s",
        slower=1,
        meaning="what each transfer that follows the first adds to the latency of a collective (C2)",
    ),
    Parameter(
        key="collectives.*.doubling",
        unit="s",
        slower=1,
        meaning="what each doubling of the devices beyond two adds where all wait for all (C2)",
    ),
    _share("collectives.*.sustained", -1, "share of the link bandwidth that a large collective reaches"),
    Parameter(key="conditions.predicate", unit="s", slower=1, meaning="cost of one predicate inside a loop, c_p (X2)"),
    Parameter(
        key="conditions.device",
        unit="s",
        slower=1,
        meaning="time until the device has decided on a condition between calls, d (X3)",
    ),
    Parameter(
        key="conditions.host",
        unit="s",
        slower=1,
        meaning="time until the host has decided on a condition between calls, d (X3)",
    ),
    Parameter(
        key="conditions.switch",
        unit="s",
        slower=1,
        meaning="cost of starting another prebuilt kernel than the last one, w_s (X5)",
    ),
    Parameter(
        key="drafts.token",
        unit="1",
        slower=1,
        meaning="what each further token of a step adds to the time to stream the weights, as a share of it, in kernels"
        " for few tokens (D3)",
    ),
    Parameter(
        key="drafts.most_tokens",
        unit="1",
        slower=0,
        least=1.0,
        meaning="tokens of a step from which kernels for matrices take over from those for few tokens (D3)",
    ),
    _share(
        "drafts.independence",
        1,
        "what a further token of a sequence counts among the tokens that wake experts independently (D4)",
        positive=False,
    ),
    Parameter(key="drafts.host", unit="s", slower=1, meaning="host and launch time of one draft, h_d (D5)"),
    Parameter(
        key="drafts.verify",
        unit="s",
        slower=1,
        meaning="host time to prepare, verify and accept a step's drafts, h_v (D5)",
    ),
    Parameter(key="drafts.layers", unit="1", slower=0, least=1.0, meaning="layers of an MTP or EAGLE head"),
    Parameter(key="drafts.vocabulary", unit="1", slower=0, least=1.0, meaning="words that a draft head scores"),
    Parameter(
        key="prompts.rate",
        unit="FLOP/s",
        slower=-1,
        positive=True,
        meaning="datasheet rate in the format that matrix kernels multiply a prompt in, pi_p; one of arithmetic.* (T3)",
    ),
    _share("prompts.share", -1, "share of it that many rows reach, eta_p (T3)"),
    Parameter(
        key="prompts.half",
        unit="1",
        slower=1,
        meaning="tokens that a matrix sees at which half of that share is reached, m_h (T3)",
    ),
    Parameter(
        key="prompts.attention_rate",
        unit="FLOP/s",
        slower=-1,
        positive=True,
        meaning="datasheet rate in the format that attention multiplies a prompt in; one of arithmetic.* (T3)",
    ),
    Parameter(
        key="prompts.power_rate",
        unit="FLOP/s",
        slower=-1,
        positive=True,
        meaning="rate at which the operations of a prompt's matrices alone take all of power.tdp, pi_W (T3)",
    ),
    _share("prompts.attention", -1, "share of it that attention over a prompt reaches (T3)"),
    _share(
        "prompts.overlap",
        -1,
        "share of what the chunks of a prompt could save in a pipeline that the software saves (T4)",
        positive=False,
    ),
    Parameter(key="power.tdp", unit="W", slower=0, positive=True, meaning="board or package power limit"),
    Parameter(key="price.purchase", unit="USD", slower=0, meaning="price of one device"),
    Parameter(key="price.rental", unit="USD/h", slower=0, meaning="price of one device for an hour"),
    Parameter(
        key="modes.*.boundary",
        unit="s",
        slower=1,
        meaning="whole cost of one call boundary, s; where it is given it replaces bare + ramp + tail (B1)",
    ),
    Parameter(
        key="modes.*.bare",
        unit="s",
        slower=1,
        meaning="bare boundary: launch, first instruction, drain of an empty kernel (B1)",
    ),
    Parameter(key="modes.*.ramp", unit="s", slower=1, meaning="time lost until enough bytes are in flight (B1)"),
    Parameter(key="modes.*.tail", unit="s", slower=1, meaning="time lost while the last blocks finish alone (B1)"),
    _share(
        "modes.*.hidden",
        -1,
        "share of the boundary that dependent launch hides behind the call before (B1)",
        positive=False,
    ),
    _share("modes.*.covered", -1, "share of the boundaries at which dependent launch is used (B1)", positive=False),
    Parameter(
        key="modes.*.matrix",
        unit="s",
        slower=1,
        meaning="what a call with a matrix loses beyond the boundary of any kernel, s_m (B2)",
    ),
    Parameter(
        key="modes.*.experts",
        unit="s",
        slower=1,
        meaning="what a call with matrices of routed experts loses beyond the boundary of any kernel, s_e (B2)",
    ),
    Parameter(
        key="modes.*.stage_matrix",
        unit="s",
        slower=1,
        meaning="what a stage with a matrix costs beyond a stage inside a fused, looped or mega kernel (L1)",
    ),
    Parameter(
        key="modes.*.exchange",
        unit="s",
        slower=1,
        meaning="what the software's library adds to each collective between calls (C4)",
    ),
    Parameter(
        key="modes.*.exchange_rise",
        unit="s",
        slower=1,
        meaning="what it adds for each doubling of the devices beyond two (C4)",
    ),
    Parameter(
        key="modes.*.sequence",
        unit="s",
        slower=1,
        meaning="host time of a step for each of its sequences, which nothing hides (S1)",
    ),
    Parameter(
        key="modes.*.stage",
        unit="s",
        slower=1,
        meaning="cost of one dependent stage inside a call: barrier, hand-over, pipeline fill (L1)",
    ),
    Parameter(
        key="modes.*.fill",
        unit="s",
        slower=1,
        meaning="latency of the first bytes of a fused, looped or mega kernel (L2)",
    ),
    Parameter(
        key="modes.*.prefetch",
        unit="B",
        slower=-1,
        meaning="effective room for weights fetched ahead, C, per device (L1)",
    ),
    _share(
        "modes.*.overlap",
        -1,
        "share of the arithmetic that overlaps the serial chain of an iteration (L1)",
        positive=False,
    ),
    Parameter(
        key="modes.*.tasks",
        unit="1",
        slower=-1,
        positive=True,
        meaning=(
            "tasks that a step is cut into, where a persistent kernel hands them out; no more units work at a time than"
            " a stage has tasks (R1)"
        ),
    ),
    _share(
        "modes.*.kv",
        -1,
        "sustained share of the bandwidth for cache and state in this mode, where its kernels differ from"
        " memory.sustained.kv",
    ),
    _share(
        "modes.*.collective_overlap",
        -1,
        "share of a collective that other work hides: tiles sent as they are done, other sequences computed meanwhile"
        " (C3)",
        positive=False,
    ),
    Parameter(key="modes.*.host", unit="s", slower=1, meaning="host time of a step that nothing hides, h (S1)"),
    Parameter(key="modes.*.issue", unit="s", slower=1, meaning="host time to issue one call, t_issue (S2)"),
)


_EXACT = {p.key: p for p in PARAMETERS if "*" not in p.key}
_PATTERNS = [(p.key.split("."), p) for p in PARAMETERS if "*" in p.key]


@lru_cache(maxsize=4096)
def lookup(path: str) -> Parameter | None:
    """Return the parameter that the dotted `path` names, or None; an exact key wins over a pattern."""
    if not isinstance(path, str):
        return None
    if path in _EXACT:
        return _EXACT[path]
    parts = path.split(".")
    for pattern, parameter in _PATTERNS:
        if len(pattern) == len(parts) and all(p in ("*", q) and q for p, q in zip(pattern, parts, strict=True)):
            if pattern[0] == "modes" and parts[1] not in MODES:
                return None
            if pattern[0] == "collectives" and parts[1] not in (*COLLECTIVES, *ALGORITHMS):
                return None
            return parameter
    return None


def unknown_key(path: str, known: object, where: str) -> UnknownNameError:
    """Return the error for a key that is no parameter, with the nearest of `known` and of the table."""
    path = str(path)
    candidates = [
        *known,
        *_EXACT,
        *(p.key.replace("*", part) for p in PARAMETERS if "*" in p.key for part in path.split(".")),
    ]  # type: ignore[misc]
    held = list(known) if isinstance(known, Iterable) else []
    modes = dict.fromkeys(key.split(".")[1] for key in held if key.startswith("modes."))
    of_modes = [p.key.replace("*", mode) for p in PARAMETERS if p.key.startswith("modes.*") for mode in modes]
    # The device's own come first.
    close = dotted(path, held, "keys") or dotted(path, of_modes, "keys")
    close = close or nearest(path, [c for c in candidates if lookup(c)])
    return UnknownNameError(f"{where}: {shown(path)} is not a key of a hardware file{close}")


def check_range(value: float, parameter: Parameter, where: str, text: object) -> float:
    """Return `value` when `parameter` can hold it, else raise ValueRangeError that says what can be."""
    if parameter.least <= value <= parameter.most and not (parameter.positive and value == 0):
        return value
    lower = "more than 0" if parameter.positive else f"at least {parameter.least:g}"
    upper = f" and at most {parameter.most:g}" if parameter.most < 1e30 else ""
    raise ValueRangeError(f"{where}: {shown(text)} is out of range; {lower}{upper} is accepted")
