"""(B, S) Calls, their boundaries, the step they make, and pipelines of stages."""

from perfmodel.numbers.choices import Number, larger, smaller


def call_boundary(bare: Number, ramp: Number, tail: Number, hidden: Number = 0.0, covered: Number = 1.0) -> Number:
    """(B1) cost of one call boundary [s], s = (1 - covered x hidden) (bare boundary + ramp + tail).

    It is the floor that any kernel pays, one of a few kilobytes too; what a matrix loses besides is (B2). A fitted s
    replaces this sum; it is never added to its parts.

    bare: launch, first instruction and drain of an empty kernel [s]
    ramp: time lost until enough bytes are in flight [s]
    tail: time lost while the last blocks finish alone [s]
    hidden: share that dependent launch hides behind the call before [-]
    covered: share of the boundaries at which it is used [-]

    >>> call_boundary(1.5e-6, 1e-6, 2.5e-6)
    5.0e-06
    """
    return (1 - covered * hidden) * (bare + ramp + tail)


def matrix_losses(matrix: Number, experts: Number, matrices: Number, expert_matrices: Number) -> Number:
    """(B2) time that the calls with a matrix lose beyond the floor of any kernel [s].

    N_m s_m + N_e s_e: ramp, split sums and tail of kernels that stream weights. It goes by the kind of kernel, and does
    not grow with the matrix nor with the devices that share it.

    matrix: of a call with a matrix, s_m [s]
    experts: of a call with matrices of routed experts, s_e [s]
    matrices: calls with a matrix, but for those of experts, N_m [-]
    expert_matrices: calls with matrices of routed experts, N_e [-]

    >>> matrix_losses(4e-6, 1e-5, 4, 0)
    1.6e-05
    """
    return matrices * matrix + expert_matrices * experts


def plain_call_time(
    streaming: Number, arithmetic: Number, collective: Number = 0.0, added: Number | None = None
) -> Number:
    """(S1, one call) time of a plain call without its boundary [s], c = larger(m, a) + w smaller(m, a) + x.

    Kernels overlap loads and arithmetic in part: a tile waits for its first bytes, the last product for the last ones.

    streaming: m, from (R1) [s]
    arithmetic: a, from (R2) [s]
    collective: x, from (C1), 0 for a call without one; a stand-alone collective has m = a = 0 [s]
    added: share of the shorter of the two that is added, not hidden, w; None for none [-]

    >>> plain_call_time(3e-6, 1e-6)
    3e-06
    """
    both = larger(streaming, arithmetic)
    if added is not None:
        both = both + added * smaller(streaming, arithmetic)
    return both + collective


def step_time(host: Number, calls: Number, boundary: Number, call_times: Number) -> Number:
    """(S1, L2, L3) time of a step [s], T = h + sum over calls (s + c). After [1].

    Before looping c is (S1) for a plain call and fill + i for a fused one, a loop of one. A loop of k
    (L2) is one call with c = fill + the sum of its k iterations, so that a step with loops (L3) is
    the same sum over fewer calls.

    host: host time of a step that nothing hides, h [s]
    calls: number of kernel calls, N [-]
    boundary: cost of one call boundary, s [s]
    call_times: sum of c over the calls [s]

    >>> step_time(1e-5, 100, 5e-6, 1e-3)
    0.00151
    """
    return host + calls * boundary + call_times


def host_bound_time(step: Number, host: Number, calls: Number, issue: Number) -> Number:
    """(S2) time of a step when the host issues every call [s], T = larger(T of S1, h + N t_issue).

    step: T of (S1) or (L3) [s]
    host: h [s]
    calls: N [-]
    issue: host time to issue one call, t_issue [s]

    >>> host_bound_time(1e-3, 0.0, 1000, 5e-6)
    0.005
    """
    return larger(step, host + calls * issue)


def planned_ahead_time(step: Number, host: Number, beside: Number) -> Number:
    """(S4) time of a step whose host plans the next one meanwhile [s], T - w smaller(h, T - h), T of (S2).

    With all of it beside, w = 1, a step takes the longer of what the host and what the device does.

    step: T, the host's time in it [s]
    host: h [s]
    beside: share of the host's time that may run beside the device's work, w [-]

    >>> planned_ahead_time(3e-3, 1e-3, 1.0)
    0.002
    """
    return step - beside * smaller(host, step - host)


def pipeline_time(traverse: Number, slowest: Number, microbatches: Number) -> Number:
    """(S3) time of the calls of a step over a pipeline [s], larger(sum of c, M c_slowest), c the calls of a stage.

    M: microbatches; c_slowest: the c of the slowest stage.

    A token passes all stages in turn. A stage works on one microbatch after the other, so that the step, which serves
    all of them once, takes as many times the slowest stage, unless the way through is longer.

    traverse: sum over the stages of the time of their calls for one microbatch [s]
    slowest: time of the calls of the slowest stage for one microbatch [s]
    microbatches: parts of the batch that are in the pipeline at once [-]

    >>> pipeline_time(3e-3, 2e-3, 2)
    0.004
    """
    return larger(traverse, microbatches * slowest)
