"""The counts of a plan at one batch and context: bytes, FLOPs and payloads of each call. Numbers of any kind."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from perfmodel import equations
from perfmodel.estimates.plan import Plan, StagePlan
from perfmodel.numbers.choices import added, smaller

Number = Any


class StageCounts(msgspec.Struct, frozen=True):
    """A stage at one workload.

    Bytes by kind [B], those of routed experts again [B], FLOPs [FLOP], collective payloads [B].

    known: bytes by kind without those of routed experts [B]; held: activations that a fused call keeps on chip [B];
    state: recurrent state of one sequence, which passes through [B].
    """

    bytes: tuple[Number, ...]
    late: tuple[tuple[int, Number], ...]
    flops: Number
    payloads: tuple[tuple[int, Number], ...]
    known: tuple[Number, ...]
    held: Number = 0.0
    state: Number = 0.0
    matrix: str = ""
    tokens: Number = 1  # new ones of each sequence
    rows: Number = 1  # tokens that one of its matrices sees
    further: Number = None  # tokens that kernels for few tokens do one by one (D3), None for one token a sequence
    weights: tuple[Number, ...] = ()  # bytes of matrices that all tokens share, where further tokens are priced [B]
    matrix_flops: Number = 0.0  # operations of these for one token [FLOP]
    unpacked: Number = 0.0  # bytes of its narrow weights in 16 bits [B]
    new: Number = 1  # tokens that the call is for, of all data-parallel groups where it has experts [-]
    each: tuple[tuple[int, Number], ...] = ()  # bytes of the routed experts of one token, as `late` has them [B]

    def rows_at_work(self) -> Number:
        """Return the tokens that a matrix sees which is read at all [-]: of experts those that are woken."""
        if not self.each:
            return self.rows
        each, woken = (added([size for _, size in sizes]) for sizes in (self.each, self.late))
        return self.new * each / woken

    def read_again(self, most: Number) -> list[tuple[int, Number]]:
        """Return the bytes of routed experts by kind [B] that kernels for at most `most` tokens read again (E3)."""
        taken_over = equations.taken_over(self.new, most)
        pairs = zip(self.each, self.late, strict=True)
        return [
            (position, equations.experts_read_again(each, distinct, self.new, taken_over))
            for (position, each), (_, distinct) in pairs
        ]


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


class Further(msgspec.Struct, frozen=True):
    """How further tokens of a sequence count.

    The tokens from which kernels for matrices take over (D3), and what one counts among independent ones (D4) [-].
    """

    most: Number = 1.0
    independence: Number = 1.0


def counts_at(plan: Plan, batch: Number, context: Number, further: Further | None = None) -> list[CallCounts]:
    """Return the plan's counts for `batch` sequences [-] with `context` tokens [-] each in the cache.

    further: what further tokens of a sequence cost, where a step has several.
    """
    parallel = plan.parallel
    tokens = parallel.tokens(batch)
    one = _Load(tokens, tokens, parallel.sequences(batch), context, network=plan.network)
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
            (one.sequences + load.beside) * call.hands_over if call.hands_over else None,
        )
        for call in plan.calls
    ]


# Stages of the head and of what follows it.
HEAD_STAGES = frozenset(("head", "sampling", "gather_logits"))


class _Load(msgspec.Struct, frozen=True):
    """What the calls of a step are done for.

    experts: tokens that wake experts independently [-]; sequences: of which caches are read [-], with `context` tokens
    each; tokens: new ones of each sequence [-]; last: of them those that the head is for [-]; further: those that
    kernels for few tokens do one by one (D3), None for one token; beside: sequences that decode beside them, one token
    each [-], with `cached` tokens in the cache [-]; everyone: tokens of all data-parallel groups [-], which share
    experts; prompted, network: as the plan says.
    """

    experts: Number
    everyone: Number
    sequences: Number
    context: Number
    tokens: Number = 1
    last: Number = 1
    further: Number = None
    beside: Number = 0
    cached: Number = 0
    prompted: bool = False
    network: bool = False


def _several(plan: Plan, one: _Load, further: Further) -> _Load:
    beside, cached = plan.beside
    return msgspec.structs.replace(
        one,
        experts=equations.independent_tokens(one.experts, plan.tokens, further.independence)
        + plan.parallel.tokens(beside),
        everyone=one.everyone * plan.tokens + plan.parallel.tokens(beside),
        beside=plan.parallel.sequences(beside),
        cached=cached,
        tokens=plan.tokens,
        last=1 if plan.prompted else plan.tokens,
        further=equations.further_tokens(further.most, one.experts, plan.tokens),
        prompted=plan.prompted,
    )


def _stage_counts(stage: StagePlan, load: _Load) -> StageCounts:
    tokens = load.last if stage.name in HEAD_STAGES else load.tokens
    cache: Number = stage.state
    flops: Number = stage.flops * tokens
    several = load.further is not None
    for entry in stage.caches:
        if several:
            read = equations.tokens_read(load.context, load.tokens, entry.window)
            seen = equations.tokens_seen(load.context, load.tokens, entry.window)
        else:
            read = seen = _cached(load.context, entry.window)
        cache = cache + entry.bytes * read
        flops = flops + entry.flops * seen
    late: tuple[tuple[int, Number], ...] = ()
    weights: tuple[Number, ...] = stage.weights
    if stage.experts:
        late = tuple((position, bank.bytes_read(load.experts)) for position, bank in stage.experts)
        weights = tuple(
            size + added(woken for position, woken in late if position == i) for i, size in enumerate(weights)
        )
    cache, flops, new = cache * load.sequences, flops * load.sequences, load.sequences * tokens
    if load.prompted:
        # Beside them others decode: a token each, and a cache of its own.
        held = [(entry, _cached(load.cached, entry.window)) for entry in stage.caches]
        cache = cache + load.beside * (stage.state + added(entry.bytes * size for entry, size in held))
        flops = flops + load.beside * (stage.flops + added(entry.flops * size for entry, size in held))
        new = new + load.beside
    rows: Number = new
    for _, bank in stage.experts:
        rows = equations.rows_of_an_expert(load.everyone, bank.count, bank.chosen)
    if load.network:
        # An input has many positions: as many as its matrix has operations for two bytes of a weight. What has no
        # matrix is attention, or small.
        tokens = max(stage.flops / max(_wide_bytes(stage.weights, stage.widths, 0.0), 1.0), 1.0)
        rows = new * tokens
    payloads = tuple([(position, size * new) for position, size in stage.payloads]) if stage.payloads else ()
    return StageCounts(
        (*weights, cache, stage.activations * new),
        late,
        flops,
        payloads,
        (*stage.weights, cache, stage.activations * new),
        stage.held * new,
        stage.state,
        stage.matrix,
        tokens,
        rows,
        load.further,
        stage.weights if several else (),
        stage.flops if several and stage.matrix and not stage.experts else 0.0,
        _wide_bytes(weights, stage.widths, 1.0) if load.prompted else 0.0,
        load.everyone if stage.experts else new,
        tuple([(position, bank.bytes_of_token()) for position, bank in stage.experts]) if stage.experts else (),
    )


def _cached(context: Number, window: Number | None) -> Number:
    """Return the cached tokens that one new one sees [-]."""
    return context if window is None else smaller(context, window)


def _wide_bytes(weights: Iterable[Number], widths: Iterable[float], above: float) -> Number:
    """Return the bytes [B] in 16 bits of the weights that are more than `above` times as large so."""
    return added(size * width for size, width in zip(weights, widths, strict=True) if width > above)
