"""Every formula of the model, once each, with its label, its units and its source.

The functions take floats, numpy arrays or sympy symbols (see `perfmodel.generic`) and know no file,
model or machine. Symbols and units are those of docs/symbols.md. Sources:
[1] "Kernel Looping: Eliminating Synchronization Boundaries for Peak Inference Performance",
    arXiv 2410.23668.  [2] Williams, Waterman, Patterson, "Roofline", doi 10.1145/1498765.1498785.
[3] Hockney, "The communication challenge for MPP", doi 10.1016/S0167-8191(06)80021-9 (alpha and beta
    of a message); ring and tree factors as in Thakur, Rabenseifner, Gropp, doi 10.1177/1094342005051521.
[4] github.com/NVIDIA/nccl src/graph/tuning.cc: a base latency, and one for each step of an algorithm.
"""

from collections.abc import Iterable, Sequence
from operator import truediv
from typing import Any, NamedTuple

from perfmodel.generic import larger, log2, smaller

# A float, a numpy array or a sympy expression; the equations do not care which.
Number = Any


def sustained_bandwidth(bandwidth: Number, sustained: Number, in_flight_limit: Number = None) -> Number:
    """(R1, denominator) bandwidth that one kind of bytes reaches [B/s].

    smaller(eta_k beta, units x bytes in flight per unit / latency): a kind of kernel sustains a share
    of the datasheet rate, and never more than Little's law lets the loads in flight carry.

    bandwidth: datasheet bandwidth beta [B/s]
    sustained: sustained share eta_k [-]
    in_flight_limit: units x bytes in flight per unit / latency, or None where it is unknown [B/s]

    >>> sustained_bandwidth(3.35e12, 0.92)
    3082000000000.0
    >>> sustained_bandwidth(3.35e12, 0.92, 2e12)
    2000000000000.0
    """
    reached = sustained * bandwidth
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
    """(R1, few tasks) bandwidth that a stage cut into few tasks reaches [B/s]: units at work x bytes in flight per unit / latency.

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
    return sum(map(truediv, bytes_by_kind, bandwidths))


def arithmetic_time(flops: Number, rate: Number, sustained: Number = 1.0) -> Number:
    """(R2) time of the arithmetic of a call [s], a = F / (eta_a pi). After [2].

    flops: floating-point operations, F [FLOP]
    rate: datasheet rate of the arithmetic format, pi [FLOP/s]
    sustained: sustained share, eta_a [-]

    >>> arithmetic_time(1e12, 1e15, 0.8)
    0.00125
    """
    return flops / (sustained * rate)


def collective_time(latency: Number, payload: Number, traffic_factor: Number, link_bandwidth: Number) -> Number:
    """(C1) time of a collective without any launch [s], x = alpha + M g(n) / link. After [3].

    Each algorithm has its alpha (C2) and its g(n); of those a stack has, the quickest for the payload is taken.

    latency: alpha(n), without a launch; a published latency that includes one is x + bare boundary [s]
    payload: bytes of the reduced or gathered tensor, M [B]
    traffic_factor: bytes each device sends for one byte of payload, g(n) [-]
    link_bandwidth: what a device sends in one direction [B/s]

    >>> collective_time(5e-6, 8192, 1.75, 450e9)
    5.03186e-06
    """
    return latency + payload * traffic_factor / link_bandwidth


def collective_latency(latency: Number, hops: Number, hop: Number, doublings: Number, doubling: Number) -> Number:
    """(C2) latency of a collective without any launch [s], alpha = latency + (hops - 1) hop + doublings x doubling. After [4].

    latency: of the smallest collective: two devices, one hop [s]
    hops: transfers that follow each other [-]
    hop: what each hop after the first adds [s]
    doublings: doublings of the devices beyond two, where each device waits for all others; 0 where it waits for a neighbour [-]
    doubling: what waiting for twice as many devices adds [s]

    >>> collective_latency(2.2e-6, 2, 0.6e-6, 2, 1e-6)
    4.8e-06
    """
    return latency + (hops - 1) * hop + doublings * doubling


def exposed_collective(collective: Number, overlap: Number) -> Number:
    """(C3) time of a collective that its neighbours wait for [s], (1 - overlap) x.

    Separate calls in a row hide nothing of it; a kernel that sends tiles as they are done, or a stack that works on
    other sequences meanwhile, hides a share.

    collective: x, from (C1) [s]
    overlap: share that the mode hides behind other work [-]

    >>> exposed_collective(4e-6, 0.25)
    3e-06
    """
    return (1 - overlap) * collective


def group_bandwidth(link_bandwidth: Number, per_peer: Number, devices: Number) -> Number:
    """(C1, link) what a device sends to the others of its group [B/s], smaller(link, (n - 1) per peer).

    Without a switch a group smaller than the domain leaves the links to other devices idle.

    link_bandwidth: all links of a device, one direction [B/s]
    per_peer: what it can send to one other device [B/s]
    devices: devices in the group, n [-]

    >>> group_bandwidth(448e9, 64e9, 4)
    192000000000.0
    """
    return smaller(link_bandwidth, (devices - 1) * per_peer)


def one_shot_traffic_factor(devices: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of an all-reduce in one shot [-], g = n - 1: all of the tensor to every other device.

    devices: devices in the group, n [-]

    >>> one_shot_traffic_factor(8)
    7
    """
    return devices - 1


def ring_traffic_factor(devices: Number, passes: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of payload, each part once per pass [-], g = passes (n - 1) / n. After [3].

    So does a ring, and so does a device that sends each other one its part (two shots for an all-reduce).

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce (reduce-scatter, then all-gather), 1 for an all-gather, a reduce-scatter or an all-to-all [-]

    >>> ring_traffic_factor(8, 2)
    1.75
    """
    return passes * (devices - 1) / devices


def in_network_traffic_factor(devices: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of an all-reduce in the switch [-], g = 1 + 1 / n.

    The switch reads every device's copy once and adds; the sum of its own part each device sends out once,
    and the switch multiplies it (NVLS, SHARP).

    devices: devices in the group, n [-]

    >>> in_network_traffic_factor(8)
    1.125
    """
    return 1 + 1 / devices


def torus_traffic_factor(devices: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of an all-to-all on a square torus [-], g = sqrt(n) / 2.

    Neighbours pass on what is for others: the mean distance is a quarter of each of two rings of sqrt(n).

    devices: devices in the group, n [-]

    >>> torus_traffic_factor(16)
    2.0
    """
    return devices**0.5 / 2


def ring_hops(devices: Number, passes: Number) -> Number:
    """(C2, hops) transfers that follow each other around a ring [-], passes (n - 1). After [3].

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce, 1 for the other collectives [-]

    >>> ring_hops(8, 2)
    14
    """
    return passes * (devices - 1)


def tree_hops(devices: Number, passes: Number) -> Number:
    """(C2, hops) transfers that follow each other up or down a tree [-], passes log2(n). After [3].

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce, 1 for the other collectives [-]

    >>> tree_hops(8, 2)
    6.0
    """
    return passes * log2(devices)


def torus_hops(devices: Number, passes: Number) -> Number:
    """(C2, hops) transfers that follow each other across a square torus [-], passes sqrt(n): half of each of two rings.

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce, 1 for the other collectives [-]

    >>> torus_hops(16, 2)
    8.0
    """
    return passes * devices**0.5


def call_boundary(bare: Number, ramp: Number, tail: Number, hidden: Number = 0.0) -> Number:
    """(B1) cost of one call boundary [s], s = (1 - hidden) (bare boundary + ramp + tail).

    A fitted s replaces this sum; it is never added to its parts.

    bare: launch, first instruction and drain of an empty kernel [s]
    ramp: time lost until enough bytes are in flight [s]
    tail: time lost while the last blocks finish alone [s]
    hidden: share that dependent launch hides behind the call before [-]

    >>> call_boundary(1.5e-6, 1e-6, 2.5e-6)
    5.0e-06
    """
    return (1 - hidden) * (bare + ramp + tail)


def plain_call_time(streaming: Number, arithmetic: Number, collective: Number = 0.0) -> Number:
    """(S1, one call) time of a plain call without its boundary [s], c = larger(m, a) + x.

    streaming: m, from (R1) [s]
    arithmetic: a, from (R2) [s]
    collective: x, from (C1), 0 for a call without one; a stand-alone collective has m = a = 0 [s]

    >>> plain_call_time(3e-6, 1e-6)
    3e-06
    """
    return larger(streaming, arithmetic) + collective


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


def pipeline_time(traverse: Number, slowest: Number, microbatches: Number) -> Number:
    """(S3) time of the calls of a step over a pipeline [s], larger(sum over stages of c, microbatches times the c of the slowest stage).

    A token passes all stages in turn. A stage works on one microbatch after the other, so that the step, which serves
    all of them once, takes as many times the slowest stage, unless the way through is longer.

    traverse: sum over the stages of the time of their calls for one microbatch [s]
    slowest: time of the calls of the slowest stage for one microbatch [s]
    microbatches: parts of the batch that are in the pipeline at once [-]

    >>> pipeline_time(3e-3, 2e-3, 2)
    0.004
    """
    return larger(traverse, microbatches * slowest)


class Prefetch(NamedTuple):
    """What a prefetch window does to an iteration: how long the memory stands still, and how far the window fills and empties [s]."""

    stall: Number
    swing: Number


def prefetch(latencies: Sequence[Number], streaming: Sequence[Number], window: Number) -> Prefetch:
    """(L1, stall) time per iteration in which the memory stands still because the prefetch window is full [s], and the window's swing.

    The memory fetches ahead of the stage at work by at most the window. While a stage waits for its
    serial latency the memory fills the window, then idles; the bytes of the stage then drain it. In
    the steady state of a loop this equals the largest sum, over disjoint runs of consecutive stages,
    of (latency of the run - streaming of its stages but the last - C / beta): the window refills
    at every stall. Walking the stages twice reaches the steady state of a memory-bound loop, whose
    window is empty somewhere in every iteration.

    latencies: time each stage keeps the chain besides its bytes: l_j, and `arithmetic_beyond_streaming` [s]
    streaming: streaming time of each stage's prefetchable bytes, m_j [s]
    window: C / beta, the prefetch room as the time it can hide at the datasheet rate [s]

    >>> prefetch([2e-6, 2e-6], [1e-6, 9e-6], 1e-6).stall
    2e-06
    """
    ahead: Number = 0.0
    stall: Number = 0.0
    fullest: Number = 0.0
    least: Number = 0.0
    for _ in range(2):
        stall, fullest, least = 0.0, 0.0, window
        for latency, stream in zip(latencies, streaming, strict=True):
            wanted = ahead + latency
            fetched = smaller(wanted, window)
            stall = stall + (wanted - fetched)
            fullest = larger(fullest, fetched)
            ahead = larger(fetched - stream, 0.0)
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
    """(L1, C) room for weights fetched ahead where activations and state leave less [B], larger(0, smaller(C, room - held)).

    prefetch: effective prefetch room where nothing else needs it, C [B]
    room: on-chip memory of the device, from `on_chip_room` [B]
    held: most that activations and state of a stage occupy [B]

    >>> prefetch_room(6e6, 50e6, 47e6)
    3000000.0
    """
    return larger(smaller(prefetch, room - held), 0.0)


def spilled_bytes(held: Number, room: Number) -> Number:
    """(L1, tiled) bytes in and out of a stage that do not stay on chip [B], larger(0, held - room): with no room, those of a plain call.

    held: what the activations of a stage occupy [B]
    room: on-chip memory of the device, from `on_chip_room` [B]

    >>> spilled_bytes(60e6, 50e6)
    10000000.0
    """
    return larger(held - room, 0.0)


def arithmetic_beyond_streaming(arithmetic: Number, streaming: Number, overlap: Number = 0.0) -> Number:
    """(L1, stage) time for which a stage computes when its own bytes have arrived [s], larger(0, (1 - overlap) a_j - m_j).

    A stage overlaps its arithmetic with its own bytes; for the rest the memory can only fetch ahead, so that it counts
    among the latencies that `prefetch` hides.

    arithmetic: of the stage, a_j [s]
    streaming: of the stage's bytes, m_j [s]
    overlap: share of the arithmetic that overlaps the stages around it [-]

    >>> arithmetic_beyond_streaming(5e-6, 2e-6)
    3e-06
    """
    return larger((1 - overlap) * arithmetic - streaming, 0.0)


def iteration_time(streaming: Number, chain: Number, arithmetic: Number, late: Number, stall: Number, overlap: Number = 0.0, links: Number = 0.0) -> Number:
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


def peak_time(bytes_per_step: Number, devices: Number, bandwidth: Number) -> Number:
    """(P1) time if all bytes of the step streamed at the datasheet bandwidth of all devices [s]. After [1].

    bytes_per_step: weights, KV and state read in a step, each byte once [B]
    devices: n [-]
    bandwidth: datasheet bandwidth of one device, beta [B/s]

    >>> peak_time(15_546_720_256, 8, 1.8e12)
    0.00107963335
    """
    return bytes_per_step / (devices * bandwidth)


def fraction_of_peak(peak: Number, time: Number) -> Number:
    """(P2) share of the peak rate that a step reaches [-], T_peak / T. After [1].

    peak: T_peak, from (P1) [s]
    time: T, from (S2) or (L3) [s]

    >>> fraction_of_peak(1e-3, 2e-3)
    0.5
    """
    return peak / time


def speedup(before: Number, after: Number) -> Number:
    """(P3) how many times faster the step after looping is [-], T_before / T_after. After [1].

    before: T_before [s]
    after: T_after [s]

    >>> speedup(3e-3, 1.5e-3)
    2.0
    """
    return before / after


def expected_distinct_experts(experts: Number, chosen: Number, tokens: Number) -> Number:
    """(E1) distinct experts that a batch wakes under uniform routing [-], E (1 - (1 - k/E)^B).

    experts: routed experts, E [-]
    chosen: experts a token uses, k [-]
    tokens: tokens in the step, B [-]

    >>> expected_distinct_experts(8, 2, 1)
    2.0
    """
    return experts * (1 - (1 - chosen / experts) ** tokens)


def fullest_device_experts(experts: Number, chosen: Number, tokens: Number, groups: Number, spread: Number) -> Number:
    """(E2) distinct experts that a batch wakes on the fullest of several groups of devices [-].

    Each group holds E / n experts whole, and the step waits for the one with most to read: the expected maximum, not
    the mean. Mean plus spread standard deviations of the experts woken in a group, corrected for the skewness of few
    hits (Cornish and Fisher, doi 10.2307/1400905), and at most all of them.

    experts: routed experts, E [-]
    chosen: experts a token uses, k [-]
    tokens: tokens in the step, B [-]
    groups: groups of devices, n [-]
    spread: expected maximum of n standard normal numbers [-]

    >>> round(fullest_device_experts(256, 8, 1, 8, 1.434), 2)
    2.44
    """
    held = experts / groups
    woken = expected_distinct_experts(experts, chosen, tokens) / experts
    deviation = (held * woken * (1 - woken) * (1 - 1 / groups)) ** 0.5
    # Where less than one expert more or less is expected, there is no tail to be skewed.
    skew = smaller(1.0, deviation) * (1 - 2 * woken) * (1 - 2 / groups) * (spread**2 - 1) / 6
    return smaller(held, held * woken + spread * deviation + skew)


def needed_probability(probability: Number, tokens: Number) -> Number:
    """(X1) probability that any token of a step needs a layer which each needs with probability p [-], q = 1 - (1 - p)^B.

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
