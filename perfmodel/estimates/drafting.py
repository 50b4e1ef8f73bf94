"""Drafts: what proposes the tokens that a step verifies, what it costs, and the calls it adds to a step."""

from collections.abc import Iterable
from typing import Any

import msgspec

from perfmodel import equations
from perfmodel.errors import PerfModelError, UnknownNameError, UsageError, ValueRangeError, nearest, shown
from perfmodel.estimates.capacity import Resident, resident_work
from perfmodel.estimates.plan import CallPlan, Plan
from perfmodel.numbers.choices import Number
from perfmodel.operations import Formats, decode_step, plain_formats, total_work
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.step import Step
from perfmodel.operations.storing import formats_of
from perfmodel.operations.work import Work
from perfmodel.specifications.catalogue import find_model
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What is drafted in a step.

    tokens: drafts of a step, K [-]; drafter: mtp, eagle, ngram or the name of a model; accepted: drafts accepted on the
    average, A [-].
    model: the drafter, None where it is none; head: whether it stands on the target's layers; formats: how it is
    stored.
    """

    tokens: Number
    drafter: str
    accepted: Number
    model: Model | None
    head: bool
    formats: Formats | None

    @property
    def tokens_per_step(self) -> Number:
        """Return the tokens that a sequence gets in a step [-] (D2)."""
        return equations.tokens_a_step(self.accepted)

    def step(self, parallel: Parallel, replicates: tuple[str, ...]) -> Step | None:
        """Return the operations of one draft on the fullest device, None where no model drafts."""
        if self.model is None or self.formats is None:
            return None
        from perfmodel.operations.drafters import draft_step

        # All of a drafter is on the devices of one pipeline stage.
        stage = msgspec.structs.replace(parallel, pipeline=1)
        return draft_step(self.model, self.formats, stage, replicates, head=self.head)


def read_draft(
    draft: int,
    drafter: str | None,
    accepted: float | None,
    acceptance: float | None,
    target: Model,
    hardware: Hardware,
    formats: Formats,
    weights: str | None,
) -> Draft | None:
    """Return what the options --draft, --drafter, --accepted and --acceptance say, None for no drafts.

    hardware: with `draft_defaults`; formats: those of the target; weights: the format that was asked for.
    Raises UsageError for what is missing or given twice, ValueRangeError for more accepted than drafted.
    """
    if accepted is not None and acceptance is not None:
        raise UsageError("--accepted and --acceptance exclude each other; give the mean number or the chance")
    if accepted is not None and accepted > draft:
        raise ValueRangeError(f"--accepted: {accepted:g} is more than the {draft:,} drafts of a step")
    if not draft:
        return None
    if drafter is None:
        raise UsageError("--draft: needs --drafter, which is mtp, eagle, ngram or a model")
    if accepted is None and acceptance is None:
        raise UsageError(
            "--draft: needs --accepted, the mean number of drafts accepted, or --acceptance, the chance of each"
        )
    if target.step:
        raise ValueRangeError(f"--draft: {target.name} is no decoder, so there is nothing to draft")
    if acceptance is not None:
        accepted = float(draft) if acceptance == 1 else float(equations.accepted_drafts(acceptance, draft))
    from perfmodel.operations.drafters import HEADS

    model, stored = _drafter(drafter, target, hardware, formats, weights)
    return Draft(
        tokens=draft,
        drafter=drafter if model is None or drafter in HEADS else model.name,
        accepted=accepted,
        model=model,
        head=drafter in HEADS or (model is not None and bool(model.head)),
        formats=stored,
    )


def _drafter(
    drafter: str, target: Model, hardware: Hardware, formats: Formats, weights: str | None
) -> tuple[Model | None, Formats | None]:
    from perfmodel.operations.drafters import HEADS, WITHOUT_MODEL, drafter_head

    if drafter == WITHOUT_MODEL:
        return None, None
    if drafter in HEADS:
        layers, vocabulary = (int(hardware.values[f"drafts.{name}"].value) for name in ("layers", "vocabulary"))
        # Heads that are trained after the target are published in the width of its activations.
        own = formats if drafter == "mtp" else plain_formats(target.activations, formats.kv, target.activations)
        return drafter_head(target, drafter, layers, vocabulary), own
    try:
        model = find_model(drafter)
    except PerfModelError as error:
        words = (*HEADS, WITHOUT_MODEL)
        raise UnknownNameError(
            f"--drafter: {shown(drafter)} is none of {', '.join(words)}{nearest(drafter, words)}, and as a model:"
            f" {error}"
        ) from None
    if model.step:
        raise ValueRangeError(f"--drafter: {model.name} is no decoder")
    if model.head == "eagle" and model.hidden != target.hidden:
        raise ValueRangeError(f"--drafter: {model.name} is {model.hidden:,} wide, and {target.name} {target.hidden:,}")
    # A drafter is stored as the target is asked to be, unless that is said by part.
    plain = None if weights is None or "=" in weights else weights
    return model, formats_of(model, plain, None)


def redrafted(plan: Plan, drafts: Number) -> Plan:
    """Return the plan of the same step with another number of drafts [-]."""
    kernel_calls, fused_calls = plan.undrafted
    return msgspec.structs.replace(
        plan,
        kernel_calls=kernel_calls + drafts * (plan.kernel_calls - kernel_calls) / plan.drafts,
        fused_calls=fused_calls + drafts * (plan.fused_calls - fused_calls) / plan.drafts,
        tokens=drafts + 1,
        drafts=drafts,
    )


def acceptance_of(accepted: float, drafts: int) -> float:
    """Return the chance of each draft [-] at which `accepted` of `drafts` are on the average (D1)."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if equations.accepted_drafts(middle, drafts) < accepted else (low, middle)
    return high


def drafted_plan(plan: Plan, draft: Plan | None, drafts: Number) -> Plan:
    """Return the plan of a step that verifies `drafts` drafts [-], each with the calls of the plan `draft`.

    draft: None where no model drafts.
    """
    if draft is None:
        calls, collectives, kernel_calls, fused_calls = plan.calls, plan.collectives, 0, 0
    else:
        collectives = tuple(sorted({*plan.collectives, *draft.collectives}))
        last = max(call.pipeline_stage for call in plan.calls)
        calls = (
            *_placed(plan.calls, plan.collectives, collectives),
            *(
                msgspec.structs.replace(call, draft=True, hands_over=0.0, pipeline_stage=last)
                for call in _placed(draft.calls, draft.collectives, collectives)
            ),
        )
        kernel_calls, fused_calls = draft.kernel_calls, draft.fused_calls
    return msgspec.structs.replace(
        plan,
        calls=calls,
        collectives=collectives,
        kernel_calls=plan.kernel_calls + drafts * kernel_calls,
        fused_calls=plan.fused_calls + drafts * fused_calls,
        limited=plan.limited or (draft is not None and draft.limited),
        tokens=drafts + 1,
        several=True,
        drafts=drafts,
        drafted=True,
        undrafted=(plan.kernel_calls, plan.fused_calls),
    )


def undrafted(plan: Plan) -> Plan:
    """Return a plan without the calls of its drafts, to add up a step as if they cost nothing."""
    kernel_calls, fused_calls = plan.undrafted
    return msgspec.structs.replace(plan, kernel_calls=kernel_calls, fused_calls=fused_calls, drafts=0)


def _placed(
    calls: Iterable[CallPlan], before: tuple[tuple[str, int, int], ...], after: tuple[tuple[str, int, int], ...]
) -> Iterable[CallPlan]:
    """Yield `calls` with their collectives at their places in another list."""
    place = [after.index(one) for one in before]
    for call in calls:
        segments = tuple(
            (
                iterations,
                tuple(
                    msgspec.structs.replace(stage, payloads=tuple((place[i], size) for i, size in stage.payloads))
                    for stage in stages
                ),
            )
            for iterations, stages in call.segments
        )
        yield msgspec.structs.replace(call, segments=segments)


class DraftedWork(msgspec.Struct, frozen=True):
    """The work of a step that verifies drafts, as `Work` counts that of a plain one.

    target: of a step with one token a sequence; draft: of a draft; tokens: of a sequence in the step [-]; independence:
    what a further one counts among tokens that wake experts independently [-] (D4).
    """

    target: Work
    draft: Work
    tokens: Number
    independence: float

    @property
    def experts(self) -> tuple[Any, ...]:
        """Return the routed experts of the target."""
        return self.target.experts

    def cache_bytes(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] of cache and state read for `batch` sequences of `context` tokens."""
        size = self.target.state * batch
        for cache in self.target.caches:
            size = size + cache.bytes * batch * equations.tokens_read(context, self.tokens, cache.window)
        return size + (self.tokens - 1) * self.draft.cache_bytes(batch, context)

    def flops_at(self, batch: Any, context: Any) -> Any:
        """Return the FLOPs [FLOP] of a step."""
        flops = self.target.flops * self.tokens
        for cache in self.target.caches:
            flops = flops + cache.flops * equations.tokens_seen(context, self.tokens, cache.window)
        return flops * batch + (self.tokens - 1) * self.draft.flops_at(batch, context)

    def bytes_read(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] that count as peak: weights and woken experts, cache and state read, no activations."""
        woken = equations.independent_tokens(batch, self.tokens, self.independence)
        target = self.target.bytes_read(woken, 0) - self.target.cache_bytes(woken, 0)
        draft = self.draft.bytes_read(batch, context) - self.draft.cache_bytes(batch, context)
        return target + (self.tokens - 1) * draft + self.cache_bytes(batch, context)


def whole_work(model: Model, formats: Formats, draft: Draft | None, independence: Number) -> Work | DraftedWork:
    """Return the work of a step of the undivided model, whose bytes the peak counts once.

    independence: what a further token counts among tokens that wake experts independently [-] (D4).
    """
    target = total_work(decode_step(model, formats, 1))
    if draft is None:
        return target
    alone = draft.step(Parallel(), ())
    return DraftedWork(target, Work() if alone is None else total_work(alone), draft.tokens + 1, independence)


def with_drafter(resident: Resident, draft: Draft, replicates: tuple[str, ...]) -> Resident:
    """Return what a device holds with the drafter and the snapshots of recurrent state that a step makes."""
    works = [
        msgspec.structs.replace(work, state=work.state * (1 + draft.tokens)) if work.state else work
        for work in resident.works
    ]
    step = draft.step(resident.parallel, replicates)
    if step is not None and draft.model is not None and draft.formats is not None:
        if draft.head:
            # It looks words up in the target's table; MTP and the first EAGLE score them by the target's LM head.
            shared = draft.drafter == "mtp" or draft.model.head == "eagle"
            own = msgspec.structs.replace(step, after=()) if shared else step
            held = total_work(own)
        else:
            stage = msgspec.structs.replace(resident.parallel, pipeline=1)
            held = resident_work(draft.model, draft.formats, stage, replicates).works[0]
        works[resident.stages[-1]] = works[resident.stages[-1]] + held
    return msgspec.structs.replace(resident, works=tuple(works))
