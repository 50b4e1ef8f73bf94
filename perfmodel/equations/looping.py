"""(L) Inside a fused, looped or mega kernel: prefetch, on-chip room, an iteration, the fill."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from perfmodel.numbers.choices import Number, larger, smaller

# A window reaches over so many pieces, each of one kind of bytes. Room for more hides less than it could: by nothing in
# 99 of 100 questions of the catalogue, windows of 30 MB among them.
PIECES_AHEAD = 4


class Bytes(msgspec.Struct, frozen=True):
    """What a stage streams that can be fetched ahead: size [B], time to stream a byte [s/B], and which kind it is.

    Neighbours of one kind stream at one rate, so that they count as one; None for a stage of several kinds.
    """

    size: Number
    slowness: Number
    kind: int | None


class Waits(NamedTuple):
    """What the stages of an iteration wait for their bytes: of the first iteration of a call, and of later ones [s]."""

    first: Number
    later: Number


def prefetch_windows(stages: Sequence[Bytes], prefetch: Number) -> list[Number]:
    """(L1, W_j) time to stream the next C bytes, from the first of each stage of a loop on [s].

    W_j = sum over stages k = j, j+1, ... of smaller(q_k, C less the bytes from j to k) m_k / q_k. The room holds bytes
    and the chain hides time, so each byte counts at the rate of its own kind. After one iteration a window ends: one
    that holds more hides no more, so that the last piece of a short loop takes all that is left.

    stages: of each what can be fetched ahead, with its rate and kind, q_k [B]
    prefetch: room for weights fetched ahead, C [B]

    >>> prefetch_windows([Bytes(3e6, 1e-12, 0), Bytes(1e6, 2e-12, 1)], 2e6)
    [2e-06, 3e-06]
    """
    windows = []
    for first in range(len(stages)):
        window: Number = 0.0
        left = prefetch
        pieces = _pieces((*stages[first:], *stages[:first]))
        whole = len(pieces) <= PIECES_AHEAD
        for piece in pieces[: -1 if whole else PIECES_AHEAD]:
            taken = smaller(piece.size, left)
            window, left = window + taken * piece.slowness, left - taken
        windows.append(window + left * pieces[-1].slowness if whole and pieces else window)
    return windows


def _pieces(stages: Iterable[Bytes]) -> list[Bytes]:
    """Return the pieces of one kind that the bytes of `stages` make in order; stages without bytes make none."""
    pieces: list[Bytes] = []
    for one in stages:
        if one.size.__class__ is float and not one.size:
            continue
        if pieces and one.kind is not None and one.kind == pieces[-1].kind:
            pieces.append(msgspec.structs.replace(one, size=pieces.pop().size + one.size))
        else:
            pieces.append(one)
    return pieces


def waits_for_bytes(
    latencies: Sequence[Number],
    streaming: Sequence[Number],
    windows: Sequence[Number],
    computing: Sequence[Number],
    opens: bool = True,
) -> Waits:
    """(L1, w) time for which the stages of an iteration wait for bytes that are not there yet [s].

    The memory fetches the bytes of all stages in order, at most C of them ahead of the stage at work. While stage j
    waits for its serial latency the memory fetches ahead, until the window W_j is full, then idles. The stage computes
    for a_j while its bytes leave the window and the memory goes on; if its bytes take longer than that, it waits, and
    nothing is ahead for the next one. The second walk is the steady state: where one of its stages waits, that stage
    waited in the first walk too, with nothing ahead after it in both.

    A call starts with an empty window and the bytes of its first stage, whose latency counts at its end; another loop
    in it starts with what its first latency hides. So a window does not reach from call to call, from step to step
    neither, and from loop to loop by that latency: a call takes at most a window's time less than this says.

    Nothing slower makes a step faster. A full window ends at a place in the stream of bytes, q_j's first + C, whatever
    the rates. So the time of a loop is the longest path over l_j, a_j and stretches of the stream between such places;
    less bandwidth and longer latency lengthen its parts, and a larger C only takes stretches out of it.

    With C = 0 an iteration takes the sum of l_j + larger(a_j, m_j), with C for all of them larger(m, l + a).

    latencies: time each stage keeps the chain before it computes, l_j [s]
    streaming: streaming time of each stage's prefetchable bytes, m_j [s]
    windows: from `prefetch_windows`, W_j [s]
    computing: time each stage computes, a_j [s]
    opens: whether the call starts with these stages, not with another loop [-]

    >>> waits_for_bytes([2e-6, 2e-6], [1e-6, 9e-6], [1e-6, 1e-6], [0.0, 0.0])
    Waits(first=9e-06, later=8e-06)
    """
    missing = [stream - compute for stream, compute in zip(streaming, computing, strict=True)]
    ahead: Number = 0.0
    found: list[Number] = []
    for walk in (1, 2):
        waited: Number = 0.0
        for stage, (latency, window) in enumerate(zip(latencies, windows, strict=True)):
            fetched = 0.0 if opens and walk == 1 and stage == 0 else smaller(ahead + latency, window)
            short = missing[stage] - fetched
            wait = larger(short, 0.0)
            waited, ahead = waited + wait, wait - short
        found.append(waited)
    return Waits(*found)


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

    A stage overlaps its arithmetic with its own bytes, also with those whose address it alone knows; for the rest the
    memory can only fetch ahead.

    arithmetic: of the stage, a_j [s]
    streaming: of the stage's bytes, or of those that nothing fetches ahead, m_j [s]
    overlap: share of the arithmetic that overlaps the stages around it [-]

    >>> arithmetic_beyond_streaming(5e-6, 2e-6)
    3e-06
    """
    computing = (1 - overlap) * arithmetic
    if streaming.__class__ in (int, float) and not streaming:
        return computing
    return larger(computing - streaming, 0.0)


def iteration_time(chain: Number, waited: Number, arithmetic: Number = 0.0, links: Number = 0.0) -> Number:
    """(L1) time of one iteration of a loop [s], i = larger(l + m_late + a_late + w, a, x). After [1].

    Streaming hides the serial chain as far as prefetch reaches: what it does not, stages wait. Arithmetic is on the
    chain, since no stage computes before its barrier, but for the share that a pipeline overlaps with it and for what
    its own late bytes hide (a_late, from `arithmetic_beyond_streaming`); a loop is never faster than its arithmetic,
    nor than its collectives, hidden or not.

    l + m_late + a_late + w = larger(m + stall, l + m_late + a_late), the stall being the time for which the window is
    full and the memory stands still. It is the largest sum, over disjoint runs of consecutive stages, of l of the run -
    m of its stages but the last - W of its last: at least that of each stage alone, at most larger(0, l - the least W).

    m_late streams bytes whose address is known only inside the iteration.

    chain: of dependent stages and collectives, late bytes, and arithmetic beyond these, l + m_late + a_late [s]
    waited: from `waits_for_bytes`, w [s]
    arithmetic: all of the iteration, a; 0 where it is on the chain [s]
    links: collectives of the iteration, what is hidden of them too; 0 where none is [s]

    >>> iteration_time(15e-6, 30e-6)
    4.5e-05
    """
    i = chain + waited
    for least in (arithmetic, links):
        if least.__class__ is not float or least:
            i = larger(i, least)
    return i


def loop_time(first: Number, later: Number, iterations: Number) -> Number:
    """(L2) time of the iterations of one loop inside a fused, looped or mega kernel [s], i_1 + (k - 1) i.

    Its first iteration finds nothing fetched ahead: this is the refill of an empty window.

    first: time of the first iteration, i_1 [s]
    later: time of a later one, i [s]
    iterations: passes over the loop, k [-]

    >>> loop_time(1.2e-5, 1e-5, 32)
    0.000322
    """
    return first + (iterations - 1) * later
