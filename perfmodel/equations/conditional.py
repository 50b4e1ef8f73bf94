"""(X) Layers that run with a probability."""

from collections.abc import Sequence

from perfmodel.numbers.choices import Number


def needed_probability(probability: Number, tokens: Number) -> Number:
    """(X1) probability that any of B tokens needs a layer which each needs with probability p [-], q = 1 - (1 - p)^B.

    probability: of one token by itself, p [-]
    tokens: tokens in the step, B [-]

    >>> needed_probability(0.5, 2)
    0.75
    """
    return 1 - (1 - probability) ** tokens


def predicated_time(predicate: Number, needed: Number, iteration: Number, wasted: Number) -> Number:
    """(X2) expected time of an iteration that a predicate inside the loop may skip [s], c_p + q i + (1 - q) w.

    predicate: cost of the predicate, c_p [s]
    needed: q, from (X1); 1 where the work is done anyway and its result dropped [-]
    iteration: i of the iteration when it runs, from (L1) [s]
    wasted: streaming time of what was fetched ahead for it before the predicate was known, w [s]

    >>> predicated_time(1e-6, 0.5, 40e-6, 2e-6)
    2.2e-05
    """
    return predicate + needed * iteration + (1 - needed) * wasted


def split_time(decision: Number, needed: Number, boundaries: Number, call_times: Number) -> Number:
    """(X3) expected time of layers for which the loop ends, and which are called only if needed [s], d + q (k s + c).

    decision: time until the device, or the host, has decided and goes on, d [s]
    needed: q, from (X1) [-]
    boundaries: cost of the boundaries of the calls, k s [s]
    call_times: sum of c of the calls, from (L2) [s]

    >>> split_time(3e-6, 0.5, 5e-6, 45e-6)
    2.8e-05
    """
    return decision + needed * (boundaries + call_times)


def covered_probability(needed: Number, left_out: Number) -> Number:
    """(X4) probability that a kernel without the last layers of a stretch is enough [-], (1 - q)^r.

    needed: q of one layer, each deciding for itself; of the whole stretch where it is decided once, with r = 1 [-]
    left_out: layers that the kernel leaves out, r [-]

    >>> covered_probability(0.5, 2)
    0.25
    """
    return (1 - needed) ** left_out


def prebuilt_time(switch: Number, covered: Sequence[Number], times: Sequence[Number]) -> Number:
    """(X5) expected time of a stretch of layers with one of k prebuilt kernels, the shortest that is enough [s].

    w_s + sum over j of (P_j - P_(j-1)) t_j, with P_0 = 0: P_j rises to 1 for the kernel that has all layers.

    switch: cost of starting another kernel than the last one, w_s [s]
    covered: P_j of each kernel, shortest first, from (X4) [-]
    times: time t_j of each kernel's layers [s]

    >>> prebuilt_time(1e-6, [0.5, 1.0], [0.0, 40e-6])
    2.1e-05
    """
    total, before = switch, 0.0
    for enough, time in zip(covered, times, strict=True):
        total, before = total + (enough - before) * time, enough
    return total
