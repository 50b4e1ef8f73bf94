"""The numbers of a plan apart from its structure: plans of one structure have one recording, with these as inputs."""

from collections.abc import Callable, Hashable
from typing import Any

import msgspec

from perfmodel.estimates.counts import HEAD_STAGES
from perfmodel.estimates.plan import Plan, StagePlan

Number = Any
Change = Callable[[Number], Number]


def with_coefficients(plan: Plan, change: Change) -> Plan:
    """Return `plan` with each of its numbers replaced by what `change` makes of it; a zero stays.

    Numbers are counts of calls and iterations [-], bytes [B] and operations [FLOP] of stages, the tokens of windows and
    the experts of banks [-]; how devices share the work stays too.
    """

    def changed(number: Number) -> Number:
        return number if number.__class__ in (int, float) and number == 0 else change(number)

    calls = tuple(
        msgspec.structs.replace(
            call,
            times=changed(call.times),
            hands_over=changed(call.hands_over),
            segments=tuple(
                (changed(iterations), tuple(_stage(stage, changed) for stage in stages))
                for iterations, stages in call.segments
            ),
        )
        for call in plan.calls
    )
    kernel_calls, fused_calls, *undrafted = map(changed, (plan.kernel_calls, plan.fused_calls, *plan.undrafted))
    return msgspec.structs.replace(
        plan, calls=calls, kernel_calls=kernel_calls, fused_calls=fused_calls, undrafted=tuple(undrafted)
    )


def _stage(stage: StagePlan, changed: Change) -> StagePlan:
    return msgspec.structs.replace(
        stage,
        weights=tuple(map(changed, stage.weights)),
        experts=tuple(
            (
                place,
                msgspec.structs.replace(
                    bank, count=changed(bank.count), chosen=changed(bank.chosen), bytes=changed(bank.bytes)
                ),
            )
            for place, bank in stage.experts
        ),
        caches=tuple(
            msgspec.structs.replace(
                cache,
                window=None if cache.window is None else changed(cache.window),
                bytes=changed(cache.bytes),
                flops=changed(cache.flops),
            )
            for cache in stage.caches
        ),
        state=changed(stage.state),
        activations=changed(stage.activations),
        flops=changed(stage.flops),
        payloads=tuple((place, changed(size)) for place, size in stage.payloads),
        held=changed(stage.held),
    )


def coefficients(plan: Plan) -> tuple[float, ...]:
    """Return the numbers of a plan but for zeros, in the order in which `with_coefficients` changes them."""
    found: list[float] = []
    with_coefficients(plan, lambda number: found.append(number) or number)  # type: ignore[func-returns-value]
    return tuple(found)


def shape_of(plan: Plan) -> Hashable:
    """Return what plans of one structure have in common: all of a plan that an equation asks about but its numbers."""

    def plain(stage: StagePlan) -> StagePlan:
        experts = tuple((place, msgspec.structs.replace(bank, kind="")) for place, bank in stage.experts)
        return msgspec.structs.replace(stage, name="head" if stage.name in HEAD_STAGES else "", experts=experts)

    bare = with_coefficients(plan, lambda _: 1.0)
    calls = tuple(
        msgspec.structs.replace(call, segments=tuple((k, tuple(map(plain, stages))) for k, stages in call.segments))
        for call in bare.calls
    )
    # Sharing by tensor parallelism, and where experts lie, is all in the numbers.
    parallel = msgspec.structs.replace(plan.parallel, tensor=1, expert=1)
    return msgspec.structs.replace(bare, calls=calls, kinds=(), collectives=(), parallel=parallel)


def asks_of(plan: Plan) -> Hashable:
    """Return all that `SideParameters` reads of a plan, but for its stages and drafts: which parameters it takes."""
    matrices = {(call.fused, stage.matrix) for call in plan.calls for _, stages in call.segments for stage in stages}
    asked = (plan.kinds, plan.collectives, plan.fused_calls > 0, plan.limited, plan.drafted, plan.prompted)
    return (*asked, plan.kv_tier, plan.kv_share, plan.host_layers, frozenset(matrices))
