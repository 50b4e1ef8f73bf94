"""Plans: a schedule prepared for a list of byte kinds, whose counts at a workload follow. Numbers of any kind."""

from collections.abc import Iterable
from typing import Any

import msgspec

from perfmodel.numbers.choices import added
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.work import ACTIVATIONS, CACHE, Cache, ExpertBank, Work, split_kind
from perfmodel.schedule.calls import Schedule, Stage
from perfmodel.specifications.formats import STORAGE_FORMATS

Number = Any


class StagePlan(msgspec.Struct, frozen=True):
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
    matrix: str = ""  # 'matrix', 'experts' or '' (see `perfmodel.schedule.calls.Stage`)
    widths: tuple[float, ...] = ()  # how many times as large the weights of each kind are in 16 bits


class CallPlan(msgspec.Struct, frozen=True):
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
    whether there may be any; undrafted: the kernel calls, and the fused ones, that are not theirs. prompted: whether
    the tokens are those of a prompt, of which the last alone goes through the head; network: whether it is of no
    decoder, whose matrices see many positions of an input; beside: sequences that decode beside a prompt's tokens, and
    the context of each [-]. kv_tier,
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
    network: bool = False
    beside: tuple[Number, Number] = (0, 0)
    kv_tier: str = ""
    kv_share: float = 0.0
    host_layers: int = 0

    @property
    def narrow(self) -> bool:
        """Whether any weights have less than 16 bits."""
        return any(_bits(kind) < _WIDE for kind in self.kinds[:-2])

    @property
    def chooses_experts(self) -> bool:
        """Whether any of its stages has routed experts."""
        return any(stage.experts for call in self.calls for _, stages in call.segments for stage in stages)

    @property
    def stages(self) -> int:
        """Dependent stages of a step without its drafts, one in each plain call."""
        return added(
            call.times * iterations * len(stages)
            for call in self.calls
            if not call.draft
            for iterations, stages in call.segments
        )


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
    calls = (*calls[:-1], msgspec.structs.replace(last, hands_over=1 / last.times))
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
        tuple(_WIDE / _bits(kind) for kind in kinds[:-2]),
    )


_WIDE = 16.0


def _bits(kind: str) -> float:
    """Return the bits of a weight of one kind of bytes; of what is no storage format, 16."""
    stored = STORAGE_FORMATS.get(split_kind(kind)[1])
    return _WIDE if stored is None else stored.bits
