"""Calls to terms: how long each part of a step takes, by the equations. Numbers, arrays and symbols alike.

A plan is a schedule prepared for a list of byte kinds; counts are the plan at one batch and context;
busy time is what the calls take without boundaries and host; terms add those and sum to the step.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import msgspec

from perfmodel import equations
from perfmodel.numbers.choices import larger, smaller
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.work import ACTIVATIONS, CACHE, Cache, ExpertBank, Work
from perfmodel.schedule.cutting import Schedule, Stage

Number = Any
TERM_NAMES = ("stream", "compute", "boundary", "collective", "latency", "host")


class StagePlan(NamedTuple):
    """A stage's coefficients, weights in the order of the plan's kinds."""

    weights: tuple[float, ...]
    experts: tuple[tuple[int, ExpertBank], ...]  # position of the storage format, and what is read of it
    caches: tuple[Cache, ...]
    state: float
    activations: float
    flops: float
    payloads: tuple[tuple[int, float], ...]  # position in the plan's collectives, bytes per sequence
    held: float = 0.0  # activations that stay on chip inside a fused call, per sequence
    name: str = ""
    matrix: str = ""  # 'matrix', 'experts' or '' (see `perfmodel.schedule.cutting.Stage`)


class CallPlan(NamedTuple):
    """How often a call is made, and its segments.

    Iterations and stages; in a pipeline the stage it belongs to, and how many are like that.
    """

    times: int
    fused: bool
    segments: tuple[tuple[int, tuple[StagePlan, ...]], ...]
    pipeline_stage: int = 0
    alike: int = 1
    hands_over: float = 0.0  # share of one call's hand-over of tokens to the host that it stands for
    draft: bool = False  # of a draft, of which a step has several


class Plan(msgspec.Struct, frozen=True):
    """A schedule made ready for workloads.

    kinds: weight formats, then the cache, then activations; collectives: kind, devices and stride [-].

    limited: whether what fused calls hold on chip is compared with the room there is.
    tokens: of a sequence in a step [-]; several: whether they may be more than one; drafts: of a step [-]; drafted:
    whether there may be any; undrafted: the kernel calls, and the fused ones, that are not theirs. prompted: whether the
    tokens are those of a prompt, of which the last alone goes through the head. kv_tier,
    kv_share: the slower memory in which a share of the cache lies [-]; host_layers: whose experts the host computes.
    """

    calls: tuple[CallPlan, ...]
    kinds: tuple[str, ...]
    collectives: tuple[tuple[str, int, int], ...]
    kernel_calls: Number
    fused_calls: Number
    parallel: Parallel
    limited: bool = False
    tokens: Number = 1
    several: bool = False
    drafts: Number = 0
    drafted: bool = False
    undrafted: tuple[Number, Number] = (0, 0)
    prompted: bool = False
    kv_tier: str = ""
    kv_share: float = 0.0
    host_layers: int = 0

    @property
    def stages(self) -> int:
        """Dependent stages of a step without its drafts, one in each plain call."""
        return sum(
            call.times * iterations * len(stages)
            for call in self.calls
            if not call.draft
            for iterations, stages in call.segments
        )


class StageCounts(NamedTuple):
    """A stage at one workload.

    Bytes by kind [B], those of routed experts again [B], FLOPs [FLOP], collective payloads [B].

    held: activations that a fused call keeps on chip [B]; state: recurrent state of one sequence, which passes through
    [B].
    """

    bytes: tuple[Number, ...]
    late: tuple[tuple[int, Number], ...]
    flops: Number
    payloads: tuple[tuple[int, Number], ...]
    held: Number = 0.0
    state: Number = 0.0
    matrix: str = ""
    further: tuple[Number, ...] = ()  # bytes whose streaming takes as long as what further tokens add (D3)
    tokens: Number = 1  # new ones of each sequence
    rows: Number = 1  # tokens that one of its matrices sees


class CallCounts(NamedTuple):
    """A call at one workload.

    microbatches: parts of the batch in the pipeline at once [-]; None where there is no pipeline.
    handed_over: sequences whose tokens the host takes over after a call [-], None for none.
    """

    times: int
    fused: bool
    segments: list[tuple[int, list[StageCounts]]]
    pipeline_stage: int = 0
    alike: int = 1
    microbatches: Number = None
    handed_over: Number = None


class Route(NamedTuple):
    """A way to do a collective: alpha [s] (C2), g(n) [-], and the bandwidth of its links [B/s]."""

    latency: Number
    traffic_factor: float
    bandwidth: Number


class Rates(NamedTuple):
    """What the machine sustains.

    bandwidths [B/s] by kind, and beta [B/s]; arithmetic [FLOP/s] and its share; the legs of each collective, each with
    its routes; of plain calls the rows of a tile [-] and the share of the shorter of streaming and arithmetic that is
    added [-], None where nothing is known of them.
    """

    bandwidths: tuple[Number, ...]
    datasheet_bandwidth: Number
    arithmetic: Number
    arithmetic_share: Number
    collectives: tuple[tuple[tuple[Route, ...], ...], ...]
    tile: Number = None
    added: Number = None
    prompt: "PromptRates | None" = None


class PromptRates(NamedTuple):
    """What arithmetic of a prompt sustains (T3).

    The rate of its matrices [FLOP/s] and the share of it that many rows reach [-], the rows at which half of that is
    reached [-]; the rate that its attention reaches [FLOP/s]; the
    operations on scales beside each of a matrix [-], and the rate of the plain units that do them [FLOP/s].
    """

    rate: Number
    share: Number
    half: Number
    attention: Number
    scales: Number
    plain_rate: Number


class Chain(NamedTuple):
    """What serialises calls.

    Of fused ones: stage cost [s], prefetch room [B], share of arithmetic that overlaps [-]; share of collectives that
    any call hides [-]. Besides: what a plain call loses with a matrix and with experts, a stage with a matrix, the host
    for each sequence [s]; on-chip memory [B], None where it is not known or nothing is held.
    """

    stage: Number
    prefetch: Number
    overlap: Number
    collective_overlap: Number
    matrix: Number = 0.0
    experts: Number = 0.0
    stage_matrix: Number = 0.0
    sequence: Number = 0.0
    room: Number = None


class Further(NamedTuple):
    """What further tokens of a sequence cost.

    The share of streaming that each adds, the tokens from which it adds nothing (D3), and what it counts among
    independent ones (D4) [-].
    """

    token: Number = 0.0
    most: Number = 1.0
    independence: Number = 1.0


class Fixed(NamedTuple):
    """What each call and each step costs: boundary, first bytes of a fused call, host per step, host per call [s]."""

    boundary: Number
    first_bytes: Number
    host: Number
    issue: Number


class Busy(NamedTuple):
    """Sums over the calls of a step, without boundaries and host [s].

    refill: the window's part of (L2) fill; lost: what matrices lose (B2); host: its time for the sequences. calls: the
    time of all calls, which the terms add up to. waiting: time by which serial chains exceed streaming and its stalls;
    it is part of the others, and says whether any loop is bound by its own latency.
    """

    stream: Number
    compute: Number
    latency: Number
    collective: Number
    refill: Number
    lost: Number
    host: Number
    calls: Number
    waiting: Number


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


def plan_kinds(schedules: Iterable[Schedule]) -> tuple[str, ...]:
    """Return the kinds of bytes of `schedules`: weight formats, most bytes first, then the cache, then activations."""
    total = Work()
    for schedule in schedules:
        for count, call in schedule.calls:
            for segment in call.segments:
                for stage in segment.stages:
                    total = total + Work(weights=stage.work.weights, experts=stage.work.experts).times(
                        count * segment.iterations
                    )
    sizes = dict(total.weights)
    for bank in total.experts:
        sizes[bank.kind] = sizes.get(bank.kind, 0.0) + bank.bytes_read(1)
    return (*sorted(sizes, key=lambda kind: -sizes[kind]), CACHE, ACTIVATIONS)


def make_plan(schedule: Schedule, kinds: tuple[str, ...], parallel: Parallel, *, room_known: bool = False) -> Plan:
    """Return `schedule` prepared for workloads. room_known: whether the device says how much on-chip memory it has."""
    collectives = tuple(
        sorted(
            {
                (c.kind, c.group, c.stride)
                for _, call in schedule.calls
                for segment in call.segments
                for stage in segment.stages
                for c in stage.collectives
            }
        )
    )
    stages = [(number, alike) for number, (alike, size) in enumerate(schedule.stages) for _ in range(size)] or [
        (0, 1)
    ] * len(schedule.calls)
    calls = tuple(
        CallPlan(
            count,
            call.fused,
            tuple(
                (s.iterations, tuple(_stage_plan(stage, kinds, collectives) for stage in s.stages))
                for s in call.segments
            ),
            *stage,
        )
        for (count, call), stage in zip(schedule.calls, stages, strict=True)
    )
    # The tokens are there, and the host takes over, after the last call.
    last = calls[-1]
    calls = (*calls[:-1], last._replace(hands_over=1 / last.times))
    fused_calls = sum(count for count, call in schedule.calls if call.fused)
    holds = any(
        stage.held for _, call in schedule.calls if call.fused for segment in call.segments for stage in segment.stages
    )
    return Plan(calls, kinds, collectives, schedule.kernel_calls, fused_calls, parallel, room_known and holds)


def _stage_plan(stage: Stage, kinds: tuple[str, ...], collectives: tuple[tuple[str, int, int], ...]) -> StagePlan:
    weights = dict(stage.work.weights)
    return StagePlan(
        tuple(weights.get(kind, 0.0) for kind in kinds[:-2]),
        tuple((kinds.index(bank.kind), bank) for bank in stage.work.experts),
        stage.work.caches,
        stage.work.state,
        stage.work.activations,
        stage.work.flops,
        tuple((collectives.index((c.kind, c.group, c.stride)), c.payload) for c in stage.collectives),
        stage.held,
        stage.name,
        stage.matrix,
    )


def counts_at(plan: Plan, batch: Number, context: Number, further: Further | None = None) -> list[CallCounts]:
    """Return the plan's counts for `batch` sequences [-] with `context` tokens [-] each in the cache.

    further: what further tokens of a sequence cost, where a step has several.
    """
    parallel = plan.parallel
    one = _Load(parallel.tokens(batch), parallel.sequences(batch), context)
    load = one if not plan.several else _several(plan, one, further or Further())
    microbatches = parallel.microbatches(batch) if parallel.pipeline > 1 else None
    return [
        CallCounts(
            call.times * plan.drafts if call.draft else call.times,
            call.fused,
            [
                (iterations, [_stage_counts(stage, one if call.draft else load) for stage in stages])
                for iterations, stages in call.segments
            ],
            call.pipeline_stage,
            call.alike,
            microbatches,
            one.sequences * call.hands_over if call.hands_over else None,
        )
        for call in plan.calls
    ]


# Stages of the head and of what follows it.
_HEAD = frozenset(("head", "sampling", "gather_logits"))


class _Load(NamedTuple):
    """What the calls of a step are done for.

    experts: tokens that wake experts independently [-]; sequences: of which caches are read [-], with `context` tokens
    each; tokens: new ones of each sequence [-]; last: of them those that the head is for [-]; further: share that they add to the streaming of weights (D3), None for
    one token.
    """

    experts: Number
    sequences: Number
    context: Number
    tokens: Number = 1
    last: Number = 1
    further: Number = None


def _several(plan: Plan, one: _Load, further: Further) -> _Load:
    return one._replace(
        experts=equations.independent_tokens(one.experts, plan.tokens, further.independence),
        tokens=plan.tokens,
        last=1 if plan.prompted else plan.tokens,
        further=equations.further_tokens_share(further.token, further.most, one.experts, plan.tokens),
    )


def _stage_counts(stage: StagePlan, load: _Load) -> StageCounts:
    tokens = load.last if stage.name in _HEAD else load.tokens
    cache: Number = stage.state
    flops: Number = stage.flops * tokens
    several = load.further is not None
    for entry in stage.caches:
        if several:
            read = equations.tokens_read(load.context, load.tokens, entry.window)
            seen = equations.tokens_seen(load.context, load.tokens, entry.window)
        else:
            read = seen = load.context if entry.window is None else smaller(load.context, entry.window)
        cache = cache + entry.bytes * read
        flops = flops + entry.flops * seen
    late: tuple[tuple[int, Number], ...] = ()
    weights: tuple[Number, ...] = stage.weights
    if stage.experts:
        late = tuple((position, bank.bytes_read(load.experts)) for position, bank in stage.experts)
        weights = tuple(
            size + sum(woken for position, woken in late if position == i) for i, size in enumerate(weights)
        )
    new = load.sequences * tokens
    rows: Number = new
    for _, bank in stage.experts:
        rows = equations.rows_of_an_expert(new, bank.count, bank.chosen)
    payloads = tuple([(position, size * new) for position, size in stage.payloads]) if stage.payloads else ()
    return StageCounts(
        (*weights, cache * load.sequences, stage.activations * new),
        late,
        flops * load.sequences,
        payloads,
        stage.held * new,
        stage.state,
        stage.matrix,
        tuple(size * load.further for size in stage.weights) if several else (),
        tokens,
        rows,
    )


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
    waiting: Number = 0.0
    each: list[Number] = []
    counts = list(counts)
    for count, fused, segments, _, _, microbatches, handed_over in counts:
        before = calls
        if fused:
            fill: Number = 0.0
            for iterations, one in ((iterations, _iteration(stages, rates, chain)) for iterations, stages in segments):
                times = count * iterations
                stream = stream + times * one.stream
                compute = compute + times * one.compute
                latency = latency + times * one.latency
                collective = collective + times * one.collective
                calls = calls + times * one.time
                waiting = waiting + times * one.waiting
                fill = larger(fill, equations.fill_time(0.0, one.swing, one.chain, iterations * one.waiting))
            refill = refill + count * fill
            calls = calls + count * fill
        else:
            stage = segments[0][1][0]
            m = equations.streaming_time(stage.bytes, rates.bandwidths)
            a = _arithmetic(stage, _flops(stage, rates), rates)
            stream = stream + count * m
            roofline = equations.plain_call_time(m, a, added=rates.added)
            compute = compute + count * (roofline - m)
            calls = calls + count * roofline
            if stage.payloads:
                exchange = count * equations.exposed_collective(_collectives(stage, rates), chain.collective_overlap)
                collective, calls = collective + exchange, calls + exchange
            if stage.further:
                extra = count * equations.streaming_time(stage.further, rates.bandwidths)
                compute, calls = compute + extra, calls + extra
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
        return Busy(stream, compute, latency, collective, refill, lost, host, calls, waiting)
    # What a step waits for its slowest stage is latency.
    return Busy(stream, compute, latency + (paced - calls), collective, refill, lost, host, paced, waiting)


def _arithmetic(stage: StageCounts, flops: Number, rates: Rates) -> Number:
    """Return the time of the arithmetic of a stage [s] by (R2), with several tokens of a prompt by (T3)."""
    plain = equations.arithmetic_time(flops, rates.arithmetic, rates.arithmetic_share)
    prompt = rates.prompt
    if prompt is None:
        return plain
    if not stage.matrix:
        return equations.prompt_arithmetic_time(plain, flops, prompt.attention, 1.0, 1, 0, stage.tokens)
    return equations.prompt_arithmetic_time(
        plain, flops, prompt.rate, prompt.share, stage.rows, prompt.half, stage.tokens, prompt.scales, prompt.plain_rate
    )


def _flops(stage: StageCounts, rates: Rates) -> Number:
    """Return the operations of a plain call [FLOP], with rows padded to a tile where its kernels do that."""
    if rates.tile is None or not stage.matrix:
        return stage.flops
    return equations.padded_flops(stage.flops, rates.tile, sum(stage.bytes[:-2]))


def pipelined(counts: Sequence[CallCounts], times: Sequence[Number], calls: Number = None) -> Number:
    """Return the time of the calls of a step [s] by (S3); of a step without a pipeline their sum.

    times: of each of `counts`, all of it together [s]; calls: their sum, where it is known.
    """
    calls = sum(times) if calls is None else calls
    stages: dict[int, Number] = {}  # time of one stage of each kind
    in_flight: Number = None
    for count, time in zip(counts, times, strict=True):
        if count.microbatches is not None:
            in_flight = count.microbatches
            stages[count.pipeline_stage] = stages.get(count.pipeline_stage, 0.0) + time / count.alike
    return calls if in_flight is None else equations.pipeline_time(calls, reduce(larger, stages.values()), in_flight)


class _Iteration(NamedTuple):
    stream: Number
    compute: Number
    latency: Number
    collective: Number
    chain: Number
    swing: Number
    time: Number
    waiting: Number


def _iteration(stages: list[StageCounts], rates: Rates, chain: Chain) -> _Iteration:
    """One pass over the stages of a fused call, by (L1), split into terms."""
    streaming = [equations.streaming_time(stage.bytes, rates.bandwidths) for stage in stages]
    links = [_collectives(stage, rates) for stage in stages]
    exchange = [
        equations.exposed_collective(x, chain.collective_overlap) if stage.payloads else x
        for x, stage in zip(links, stages, strict=True)
    ]
    m = sum(streaming)
    arithmetic = [_arithmetic(stage, stage.flops, rates) for stage in stages]
    a = sum(arithmetic)
    waited = [(chain.stage + chain.stage_matrix if stage.matrix else chain.stage) for stage in stages]
    latencies = [cost + x for cost, x in zip(waited, exchange, strict=True)]
    serial = sum(latencies)
    beyond = [
        equations.arithmetic_beyond_streaming(one, stream, chain.overlap)
        for one, stream in zip(arithmetic, streaming, strict=True)
    ]
    # The address of routed experts is known only inside the iteration: nothing fetches them ahead.
    waits = [
        sum([size / rates.bandwidths[position] for position, size in stage.late]) if stage.late else 0.0
        for stage in stages
    ]
    ahead = [stream - wait for stream, wait in zip(streaming, waits, strict=True)]
    prefetch = chain.prefetch
    if chain.room is not None:
        prefetch = equations.prefetch_room(
            prefetch, chain.room, reduce(larger, [stage.held + stage.state for stage in stages])
        )
        # What does not stay on chip is made in the iteration, so it cannot be fetched ahead either.
        spilled = [equations.spilled_bytes(stage.held, chain.room) / rates.bandwidths[-1] for stage in stages]
        m, waits = m + sum(spilled), [wait + spill for wait, spill in zip(waits, spilled, strict=True)]
    # As a time the window is taken at the datasheet rate, the least it can hide: bytes of every kind pass through it.
    window = prefetch / rates.datasheet_bandwidth
    # While a stage computes, the memory goes on fetching as its bytes leave the window.
    computing = [(1 - chain.overlap) * one for one in arithmetic]
    stall, swing = equations.prefetch(latencies, ahead, window, computing)
    i = equations.iteration_time(m, serial, a, sum(waits), stall, chain.overlap, sum(links))
    roofline = larger(larger(m, a), smaller(i, m + sum(beyond)))
    # What neither streaming nor arithmetic explains goes to stages and collectives by their parts of l.
    exposed = i - roofline
    shared = exposed * sum(exchange) / larger(serial, 1e-30)
    waiting = i - (m + stall)
    compute = roofline - m
    if stages[0].further:
        extra = sum([equations.streaming_time(stage.further, rates.bandwidths) for stage in stages])
        compute, i = compute + extra, i + extra
    return _Iteration(m, compute, exposed - shared, shared, serial, swing, i, waiting)


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


def step_time(plan: Plan, calls: Number, fixed: Fixed) -> Number:
    """Return the time of a step [s] by (S1, L2, L3), then (S2), from its `call_times`."""
    unlimited = _unlimited(plan, calls, fixed)
    if fixed.issue.__class__ is float and not fixed.issue:
        return unlimited  # what (S2) gives for a host that issues calls in no time
    return equations.host_bound_time(unlimited, fixed.host, plan.kernel_calls, fixed.issue)


def _unlimited(plan: Plan, calls: Number, fixed: Fixed) -> Number:
    """Return the time of a step as if the host were never late [s]."""
    return equations.step_time(
        fixed.host, plan.kernel_calls, fixed.boundary, calls + plan.fused_calls * fixed.first_bytes
    )


def step_terms(plan: Plan, busy: Busy, fixed: Fixed) -> Terms:
    """Return the terms of a step, which add up to its `step_time`."""
    calls = call_times(busy)
    boundary = plan.kernel_calls * fixed.boundary + plan.fused_calls * fixed.first_bytes + busy.refill
    excess = step_time(plan, calls, fixed) - _unlimited(plan, calls, fixed)
    return Terms(
        busy.stream, busy.compute, boundary + busy.lost, busy.collective, busy.latency, fixed.host + busy.host + excess
    )
