"""Calls to terms: how long each part of a step takes, by the equations. Numbers, arrays and symbols alike.

Busy time is what the calls take without boundaries and host; terms add those and sum to the step.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import msgspec

from perfmodel import equations
from perfmodel.estimates.counts import CallCounts, StageCounts
from perfmodel.estimates.machinerates import Chain, Fixed, Rates
from perfmodel.estimates.plan import Plan
from perfmodel.numbers.choices import added, larger, smaller

Number = Any

TERM_NAMES = ("stream", "compute", "boundary", "collective", "latency", "host")


class Busy(msgspec.Struct, frozen=True):
    """Sums over the calls of a step, without boundaries and host [s].

    refill: what loops begin with, an empty window (L2); lost: what matrices lose (B2); host: its time for the
    sequences; calls: the time of all calls, which the terms add up to.
    """

    stream: Number
    compute: Number
    latency: Number
    collective: Number
    refill: Number
    lost: Number
    host: Number
    calls: Number


class Terms(NamedTuple):
    """Where the time of a step goes [s]; the six add up to the step."""

    stream: Number
    compute: Number
    boundary: Number
    collective: Number
    latency: Number
    host: Number

    def total(self) -> Number:
        """Return the time of the step [s]."""
        return self.stream + self.compute + self.boundary + self.collective + self.latency + self.host


def busy_time(counts: Iterable[CallCounts], rates: Rates, chain: Chain) -> Busy:
    """Return what the calls take without boundaries and host.

    (R1), (R2), (C1), (S1) for plain calls, (L1), (L2) for fused ones, (S3) for a pipeline.
    """
    stream: Number = 0.0
    compute: Number = 0.0
    latency: Number = 0.0
    collective: Number = 0.0
    refill: Number = 0.0
    lost: Number = 0.0
    host: Number = 0.0
    calls: Number = 0.0
    each: list[Number] = []
    counts = list(counts)
    for count, fused, segments, _, _, microbatches, handed_over in counts:
        before = calls
        if fused:
            for place, (iterations, stages) in enumerate(segments):
                one = _iteration(stages, rates, chain, opens=place == 0)
                times = count * iterations
                stream = stream + times * one.stream
                compute = compute + times * one.compute
                latency = latency + times * one.latency
                collective = collective + times * one.collective
                refill = refill + count * (one.first - one.time)
                calls = calls + count * equations.loop_time(one.first, one.time, iterations)
        else:
            stage = segments[0][1][0]
            m = equations.streaming_time(stage.bytes, rates.bandwidths)
            if rates.apart is not None and stage.each:
                m = m + rates.read_again(stage)
            a = _arithmetic(stage, rates.call_flops(stage), rates)
            stream = stream + count * m
            roofline = rates.call_time(stage, m, a)
            compute = compute + count * (roofline - m)
            calls = calls + count * roofline
            if stage.payloads:
                exchange = count * equations.exposed_collective(_collectives(stage, rates), chain.collective_overlap)
                collective, calls = collective + exchange, calls + exchange
            for extra in rates.for_few(stage):
                compute, calls = compute + count * extra, calls + count * extra
            if stage.matrix:
                loss = equations.matrix_losses(
                    chain.matrix, chain.experts, *((0, count) if stage.matrix == "experts" else (count, 0))
                )
                lost, calls = lost + loss, calls + loss
        if handed_over is not None:
            served = count * handed_over * chain.sequence
            host, calls = host + served, calls + served
        each.append(0.0 if microbatches is None else calls - before)
    paced = pipelined(counts, each, calls)
    if paced is calls:
        return Busy(stream, compute, latency, collective, refill, lost, host, calls)
    # What a step waits for its slowest stage is latency.
    return Busy(stream, compute, latency + (paced - calls), collective, refill, lost, host, paced)


def _arithmetic(stage: StageCounts, flops: Number, rates: Rates) -> Number:
    """Return the time of the arithmetic of a stage [s] by (R2), with several tokens of a prompt by (T3)."""
    plain = equations.arithmetic_time(flops, rates.arithmetic, rates.arithmetic_share)
    prompt = rates.prompt
    if prompt is None:
        return plain
    if not stage.matrix:
        return equations.prompt_arithmetic_time(plain, flops, prompt.attention, 1.0, 1, 0, stage.tokens)
    return equations.prompt_arithmetic_time(
        plain, flops, prompt.rate, prompt.share, stage.rows, prompt.half, stage.tokens, prompt.power_rate
    )


def pipelined(counts: Sequence[CallCounts], times: Sequence[Number], calls: Number = None) -> Number:
    """Return the time of the calls of a step [s] by (S3); of a step without a pipeline their sum.

    times: of each of `counts`, all of it together [s]; calls: their sum, where it is known.
    """
    calls = added(times) if calls is None else calls
    stages: dict[int, Number] = {}  # time of one stage of each kind
    in_flight: Number = None
    for count, time in zip(counts, times, strict=True):
        if count.microbatches is not None:
            in_flight = count.microbatches
            stages[count.pipeline_stage] = stages.get(count.pipeline_stage, 0.0) + time / count.alike
    return calls if in_flight is None else equations.pipeline_time(calls, reduce(larger, stages.values()), in_flight)


class _Iteration(msgspec.Struct, frozen=True):
    stream: Number
    compute: Number
    latency: Number
    collective: Number
    first: Number
    time: Number


def _iteration(stages: list[StageCounts], rates: Rates, chain: Chain, *, opens: bool) -> _Iteration:
    """One pass over the stages of a fused call, by (L1), split into terms. opens: whether the call starts with it."""
    streaming = [equations.streaming_time(stage.bytes, rates.bandwidths) for stage in stages]
    links = [_collectives(stage, rates) for stage in stages]
    exchange = [
        equations.exposed_collective(x, chain.collective_overlap) if stage.payloads else x
        for x, stage in zip(links, stages, strict=True)
    ]
    m = added(streaming)
    arithmetic = [_arithmetic(stage, stage.flops, rates) for stage in stages]
    a = added(arithmetic)
    costs = [(chain.stage + chain.stage_matrix if stage.matrix else chain.stage) for stage in stages]
    latencies = [cost + x for cost, x in zip(costs, exchange, strict=True)]
    serial = added(latencies)

    def beyond(times: list[Number]) -> list[Number]:
        pairs = zip(arithmetic, times, strict=True)
        return [equations.arithmetic_beyond_streaming(one, time, chain.overlap) for one, time in pairs]

    # The address of routed experts is known only inside the iteration: nothing fetches them ahead.
    waits = [added([size / rates.bandwidths[position] for position, size in stage.late]) for stage in stages]
    ahead = [equations.streaming_time(stage.known, rates.bandwidths) for stage in stages]
    prefetch = chain.prefetch
    if chain.room is not None:
        prefetch = equations.prefetch_room(
            prefetch, chain.room, reduce(larger, [stage.held + stage.state for stage in stages])
        )
        # What does not stay on chip is made in the iteration, so it cannot be fetched ahead either.
        spilled = [equations.spilled_bytes(stage.held, chain.room) / rates.bandwidths[-1] for stage in stages]
        m, waits = m + added(spilled), [wait + spill for wait, spill in zip(waits, spilled, strict=True)]
    windows = windows_at(stages, rates, prefetch)
    # While a stage computes, the memory goes on fetching as its bytes leave the window.
    computing = beyond(waits)
    waited = equations.waits_for_bytes(latencies, ahead, windows, computing, opens)
    # What the chain hides a share of is no shorter for that.
    arithmetic_floor, links_floor = (
        0.0 if hidden.__class__ is float and not hidden else whole
        for hidden, whole in ((chain.overlap, a), (chain.collective_overlap, added(links)))
    )
    on_chain = serial + added(computing) + added(waits)
    first, i = (equations.iteration_time(on_chain, wait, arithmetic_floor, links_floor) for wait in waited)
    roofline = larger(larger(m, a), smaller(i, m + added(beyond(streaming))))
    # What neither streaming nor arithmetic explains goes to stages and collectives by their parts of l.
    exposed = larger(i - roofline, 0.0)
    shared = exposed * added(exchange) / larger(serial, 1e-30)
    compute = roofline - m
    if rates.few is not None and stages[0].further is not None:
        extra = added([rates.few.time(stage, rates.bandwidths) for stage in stages])
        compute, first, i = compute + extra, first + extra, i + extra
    return _Iteration(m, compute, exposed - shared, shared, first, i)


def windows_at(stages: Iterable[StageCounts], rates: Rates, prefetch: Number) -> list[Number]:
    """Return what the window holds from each stage of a loop on, as streaming time [s]. prefetch: its room [B]."""
    return equations.prefetch_windows([_ahead(stage, rates) for stage in stages], prefetch)


def _ahead(stage: StageCounts, rates: Rates) -> equations.Bytes:
    """Return what of a stage can be fetched ahead."""
    kinds = [kind for kind, size in enumerate(stage.known) if size.__class__ is not float or size]
    if len(kinds) == 1:
        return equations.Bytes(stage.known[kinds[0]], 1 / rates.bandwidths[kinds[0]], kinds[0])
    size = added(stage.known)
    return equations.Bytes(size, equations.streaming_time(stage.known, rates.bandwidths) / larger(size, 1e-30), None)


def _collectives(stage: StageCounts, rates: Rates) -> Number:
    """Return the time of a stage's collectives [s], each by the quickest route of each leg."""
    total: Number = 0.0
    for position, payload in stage.payloads:
        for leg in rates.collectives[position]:
            times = [
                equations.collective_time(route.latency, payload, route.traffic_factor, route.bandwidth)
                for route in leg
            ]
            quickest = times[0]
            for time in times[1:]:
                quickest = smaller(quickest, time)
            total = total + quickest
    return total


def call_times(busy: Busy) -> Number:
    """Return the sum of c over the calls [s], but for the first bytes of fused ones."""
    return busy.calls


def calls_made(plan: Plan, fixed: Fixed) -> Number:
    """Return the kernel calls of a step [-]: as counted, with those of its drafts besides, else those of the plan."""
    if fixed.calls is None:
        return plan.kernel_calls
    own = plan.undrafted[0] if plan.drafted else plan.kernel_calls
    return plan.kernel_calls + (fixed.calls - own)


def step_time(plan: Plan, calls: Number, fixed: Fixed) -> Number:
    """Return the time of a step [s] by (S1, L2, L3), then (S2) and (S4), from its `call_times`."""
    time = _plain_time(plan, calls, fixed)
    return time if fixed.factor is None else fixed.factor * time


def _plain_time(plan: Plan, calls: Number, fixed: Fixed) -> Number:
    """Return the time of a step [s] before the factor by which a measured one differs."""
    time = _unlimited(plan, calls, fixed)
    # A host that issues calls in no time is never late.
    if fixed.issue.__class__ is not float or fixed.issue:
        time = equations.host_bound_time(time, fixed.host, calls_made(plan, fixed), fixed.issue)
    return time if fixed.beside is None else equations.planned_ahead_time(time, fixed.planning, fixed.beside)


def _unlimited(plan: Plan, calls: Number, fixed: Fixed) -> Number:
    """Return the time of a step as if the host were never late, and did nothing meanwhile [s]."""
    return equations.step_time(
        fixed.host, calls_made(plan, fixed), fixed.boundary, calls + plan.fused_calls * fixed.first_bytes
    )


def step_terms(plan: Plan, busy: Busy, fixed: Fixed) -> Terms:
    """Return the terms of a step, which add up to its `step_time`."""
    calls = call_times(busy)
    boundary = calls_made(plan, fixed) * fixed.boundary + plan.fused_calls * fixed.first_bytes + busy.refill
    excess = _plain_time(plan, calls, fixed) - _unlimited(plan, calls, fixed)
    terms = Terms(
        busy.stream, busy.compute, boundary + busy.lost, busy.collective, busy.latency, fixed.host + busy.host + excess
    )
    return terms if fixed.factor is None else Terms(*(fixed.factor * term for term in terms))
