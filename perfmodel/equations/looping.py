"""(L) Inside a fused, looped or mega kernel: prefetch, on-chip room, an iteration, the fill."""

from collections.abc import Sequence
from typing import NamedTuple

from perfmodel.numbers.choices import Number, larger, smaller


class Prefetch(NamedTuple):
    """What a prefetch window does to an iteration.

    How long the memory stands still, and how far the window fills and empties [s].
    """

    stall: Number
    swing: Number


def prefetch(
    latencies: Sequence[Number], streaming: Sequence[Number], window: Number, computing: Sequence[Number] | None = None
) -> Prefetch:
    """(L1, stall) time per iteration for which the memory stands still, the prefetch window full [s], and its swing.

    The memory fetches ahead of the stage at work by at most the window. While a stage waits for its
    serial latency the memory fills the window, then idles; then the stage computes, for a_j, its bytes
    leave the window, and the memory fetches on, idle again if the window fills. Where nothing computes
    for long this equals, in the steady state of a loop, the largest sum, over disjoint runs of
    consecutive stages, of (latency of the run - streaming of its stages but the last - C / beta): the
    window refills at every stall. Walking the stages twice reaches the steady state of a memory-bound
    loop, whose window is empty somewhere in every iteration.

    The window is C at the datasheet rate, not at the rate of the stream: bytes of several formats pass through it, each
    at its own rate, and a window that grew as one of them slows would hide more latency than it costs.

    latencies: time each stage keeps the chain before it computes, l_j [s]
    streaming: streaming time of each stage's prefetchable bytes, m_j [s]
    window: C / beta, the prefetch room as the time it can hide at the datasheet rate [s]
    computing: time each stage computes, a_j; None for none that counts [s]

    >>> prefetch([2e-6, 2e-6], [1e-6, 9e-6], 1e-6).stall
    2e-06
    """
    ahead: Number = 0.0
    stall: Number = 0.0
    fullest: Number = 0.0
    least: Number = 0.0
    for _ in range(2):
        stall, fullest, least = 0.0, 0.0, window
        for stage, (latency, stream) in enumerate(zip(latencies, streaming, strict=True)):
            wanted = ahead + latency
            fetched = smaller(wanted, window)
            stall = stall + (wanted - fetched)
            fullest = larger(fullest, fetched)
            if computing is None:
                ahead = larger(fetched - stream, 0.0)
            else:
                wanted = larger(fetched + (computing[stage] - stream), 0.0)
                ahead = smaller(wanted, window)
                stall = stall + (wanted - ahead)
                fullest = larger(fullest, ahead)
            least = smaller(least, ahead)
    return Prefetch(stall, fullest - least)


def on_chip_room(last_level: Number, shared: Number, units: Number) -> Number:
    """(L1, room) on-chip memory of a device [B]: last-level cache or distributed SRAM, and the scratchpads.

    last_level: last-level cache or distributed SRAM [B]
    shared: scratchpad of one unit [B]
    units: parallel units [-]

    >>> on_chip_room(50e6, 200e3, 100)
    70000000.0
    """
    return last_level + shared * units


def prefetch_room(prefetch: Number, room: Number, held: Number) -> Number:
    """(L1, C) room for weights fetched ahead where activations leave less [B], larger(0, smaller(C, room - held)).

    prefetch: effective prefetch room where nothing else needs it, C [B]
    room: on-chip memory of the device, from `on_chip_room` [B]
    held: most that activations and state of a stage occupy [B]

    >>> prefetch_room(6e6, 50e6, 47e6)
    3000000.0
    """
    return larger(smaller(prefetch, room - held), 0.0)


def spilled_bytes(held: Number, room: Number) -> Number:
    """(L1, tiled) bytes in and out of a stage that do not stay on chip [B], larger(0, held - room).

    With no room, those of a plain call.

    held: what the activations of a stage occupy [B]
    room: on-chip memory of the device, from `on_chip_room` [B]

    >>> spilled_bytes(60e6, 50e6)
    10000000.0
    """
    return larger(held - room, 0.0)


def arithmetic_beyond_streaming(arithmetic: Number, streaming: Number, overlap: Number = 0.0) -> Number:
    """(L1, stage) time a stage computes when its own bytes have arrived [s], larger(0, (1 - overlap) a_j - m_j).

    A stage overlaps its arithmetic with its own bytes; for the rest the memory can only fetch ahead.

    arithmetic: of the stage, a_j [s]
    streaming: of the stage's bytes, m_j [s]
    overlap: share of the arithmetic that overlaps the stages around it [-]

    >>> arithmetic_beyond_streaming(5e-6, 2e-6)
    3e-06
    """
    return larger((1 - overlap) * arithmetic - streaming, 0.0)


def iteration_time(
    streaming: Number,
    chain: Number,
    arithmetic: Number,
    late: Number,
    stall: Number,
    overlap: Number = 0.0,
    links: Number = 0.0,
) -> Number:
    """(L1) time of one iteration of a loop [s], i = larger(m, l + a + m_late, m + stall). After [1].

    Streaming hides the serial chain as far as prefetch reaches; arithmetic is on the chain, since no
    stage computes before its barrier, but for the share that a pipeline overlaps with it; a loop is
    never faster than its arithmetic, nor than its collectives, hidden or not.

    streaming: m of all bytes of the iteration [s]
    chain: serial latency of its dependent stages and their collectives, l [s]
    arithmetic: a [s]
    late: streaming time of bytes whose address is known only inside the iteration, part of m [s]
    stall: from `prefetch` [s]
    overlap: share of the arithmetic that overlaps the chain [-]
    links: collectives of the iteration, what is hidden of them too; 0 where there are none [s]

    >>> iteration_time(40e-6, 14e-6, 1e-6, 0.0, 5e-6)
    4.5e-05
    """
    on_chain = chain + (1 - overlap) * arithmetic + late
    working = arithmetic if links.__class__ is float and not links else larger(arithmetic, links)
    return larger(larger(streaming + stall, working), on_chain)


def fill_time(first_bytes: Number, swing: Number, chain: Number, waiting: Number) -> Number:
    """(L2, fill) time to fill and drain the pipeline of one fused, looped or mega kernel [s].

    Latency of the first bytes plus the refill of an empty window: what was fetched ahead still waits
    for its stages when the memory is done. That is the window's swing, at most C / beta and at most
    the chain of an iteration; a loop that waits for its chain anyway refills meanwhile.

    first_bytes: latency of the first bytes [s]
    swing: from `prefetch`, at most C / beta [s]
    chain: l of an iteration [s]
    waiting: time by which the chains of the iterations exceed streaming and stalls, over the whole call [s]

    >>> fill_time(1e-6, 9e-6, 14e-6, 0.0)
    1.00e-05
    """
    return first_bytes + larger(smaller(chain, swing) - waiting, 0.0)
