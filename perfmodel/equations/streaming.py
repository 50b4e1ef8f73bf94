"""(R) Streaming and arithmetic: the roofline of one call."""

from collections.abc import Iterable
from operator import truediv

from perfmodel.numbers.choices import Number, added, larger, smaller


def sustained_bandwidth(
    bandwidth: Number, sustained: Number, in_flight_limit: Number = None, reach: Number = None
) -> Number:
    """(R1, denominator) bandwidth that one kind of bytes reaches [B/s].

    smaller(smaller(r_k eta_k, 1) beta, units x bytes in flight per unit / latency): a memory sustains a share of the
    datasheet rate, a kind of kernel reaches a share of that, and never more than Little's law lets its loads in flight
    carry.

    bandwidth: datasheet bandwidth beta [B/s]
    sustained: sustained share eta_k [-]
    in_flight_limit: units x bytes in flight per unit / latency, or None where it is unknown [B/s]
    reach: share of the sustained rate that the kernels reach, r_k, or None for all of it [-]

    >>> sustained_bandwidth(3.35e12, 0.92)
    3082000000000.0
    >>> sustained_bandwidth(3.35e12, 0.92, 2e12)
    2000000000000.0
    """
    reached = (sustained if reach is None else smaller(reach * sustained, 1.0)) * bandwidth
    return reached if in_flight_limit is None else smaller(reached, in_flight_limit)


def in_flight_limit(units: Number, bytes_in_flight: Number, latency: Number) -> Number:
    """(R1, Little's law) bandwidth that the loads in flight can carry [B/s].

    units: parallel units [-]
    bytes_in_flight: bytes one unit keeps in flight [B]
    latency: time a load is under way [s]

    >>> in_flight_limit(132, 32768, 1e-6)
    4325376000000.0
    """
    return units * bytes_in_flight / latency


def few_tasks_limit(tasks: Number, stages: Number, block_bandwidth: Number) -> Number:
    """(R1, few tasks) bandwidth that a stage cut into few tasks reaches [B/s].

    Units at work x bytes in flight per unit / latency.

    A persistent kernel hands out tasks; a stage with fewer tasks than there are units leaves the others idle.

    tasks: tasks of a step [-]
    stages: dependent stages they spread over [-]
    block_bandwidth: what one block of threads streams alone [B/s]

    >>> few_tasks_limit(3200, 100, 12e9)
    384000000000.0
    """
    return tasks / stages * block_bandwidth


def streaming_time(bytes_by_kind: Iterable[Number], bandwidths: Iterable[Number]) -> Number:
    """(R1) time to stream the bytes of a call [s], m = sum over kinds of Q_k / reached bandwidth. After [2].

    bytes_by_kind: bytes of each kind, Q_k [B]
    bandwidths: bandwidth that each kind reaches, from `sustained_bandwidth` [B/s]

    >>> streaming_time([2e9, 1e9], [2e12, 1e12])
    0.002
    """
    return added(map(truediv, bytes_by_kind, bandwidths))


def padded_flops(flops: Number, rows: Number, tile: Number, taken_over: Number = 1) -> Number:
    """(R2, tile) operations of a call whose rows are padded to a tile [FLOP], F larger(1, g t / r).

    A kernel for many rows computes a whole tile of them however few there are; one for few does not.

    flops: floating-point operations that the model asks for, F [FLOP]
    rows: tokens that a matrix of the call sees, r [-]
    tile: rows of a tile, t [-]
    taken_over: 1 where the call's kernel is one for many rows, 0 where it is not, g, from (D3) [-]

    >>> padded_flops(2e9, 4, 64)
    32000000000.0
    """
    return flops * larger(1, taken_over * tile / rows)


def arithmetic_time(flops: Number, rate: Number, sustained: Number = 1.0) -> Number:
    """(R2) time of the arithmetic of a call [s], a = F / (eta_a pi). After [2].

    flops: floating-point operations, F [FLOP]
    rate: datasheet rate of the arithmetic format, pi [FLOP/s]
    sustained: sustained share, eta_a: that of large products, times what kernels of few rows reach of it [-]

    >>> arithmetic_time(1e12, 1e15, 0.8)
    0.00125
    """
    return flops / (sustained * rate)
