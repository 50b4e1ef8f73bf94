"""Questions: what a query needs that does not depend on batch and context, prepared once."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import msgspec

from perfmodel.errors import ValueRangeError
from perfmodel.estimates.beyond import beyond_of
from perfmodel.estimates.capacity import Resident, resident_work
from perfmodel.estimates.drafting import Draft, DraftedWork, whole_work, with_drafter
from perfmodel.estimates.intervals import Beyond
from perfmodel.estimates.known import Known, beyond_parts
from perfmodel.estimates.onchiproom import on_chip_room
from perfmodel.estimates.placement import Placement, host_layers
from perfmodel.estimates.plan import plan_kinds
from perfmodel.estimates.question import Question
from perfmodel.estimates.recording import Recording
from perfmodel.estimates.results import Assumption, LoopFound
from perfmodel.estimates.sides import Drafts, Lies, PreparedSide
from perfmodel.estimates.splits import fewest
from perfmodel.numbers.choices import Number
from perfmodel.operations import Formats, Step
from perfmodel.operations.parallel import Parallel, over
from perfmodel.operations.work import Work
from perfmodel.schedule.calls import Cutting, Schedule
from perfmodel.schedule.cutting import make_schedule, read_loop_only
from perfmodel.schedule.made import schedule_of, steps_of
from perfmodel.specifications.hardware import Hardware, Mode
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Quantity

if TYPE_CHECKING:
    from perfmodel.numbers.python import Replay


class Prepared:
    """A question made ready: everything of it that does not depend on batch and context."""

    def __init__(
        self,
        model: Model,
        hardware: Hardware,
        parallel: Parallel,
        formats: Formats,
        before: Mode,
        after: Mode,
        loop_at_most: int | None,
        loop_only: str | None = None,
        placement: Placement | None = None,
        draft: Draft | None = None,
        after_hardware: Hardware | None = None,
    ) -> None:
        machines = hardware, after_hardware or hardware
        self.model, self.hardware, self.formats = model, hardware, formats
        self.parallel, self.devices = parallel, parallel.devices
        self.draft, self.placement = draft, placement
        drafting = draft.step(parallel, hardware.replicates) if draft is not None else None
        schedules = self._schedules((before, after), machines, drafting, loop_at_most, loop_only)
        self._lies = None if placement is None else Lies(placement.tier, placement.kv, host_layers(placement, model))
        kinds = plan_kinds(schedules)
        self.before, self.after = (
            PreparedSide(
                schedules[side],
                kinds,
                self.parallel,
                machines[side],
                mode,
                formats.activations,
                None if draft is None else Drafts(schedules[side + 2] if drafting else None, draft.tokens),
                network=bool(model.step) and "prompts.rate" in machines[side].values,
                lies=self._lies,
            )
            for side, mode in enumerate((before, after))
        )
        self.after.own = _differing(self.before, self.after)
        # The peak counts each byte once, so it comes from the undivided model.
        independence = 1.0 if draft is None else hardware.values["drafts.independence"].value
        self.whole: Work | DraftedWork = whole_work(model, formats, draft, independence)
        self.resident = self.resident_over(parallel)
        self.known: Known | None = None
        self.assumptions = self._assumptions()
        self.beyond = beyond_of(self.before, self.after)
        # The numbers of answers, and functions of batch and context that give them; see `perfmodel.estimates.columns`.
        self.answered: dict[tuple[int, int], tuple[int, int, tuple[float, ...]]] = {}
        self.further: dict[tuple[int, int], Replay] = {}
        # A function of batch, context and tokens that gives the terms of a step; see `perfmodel.estimates.prompts`.
        self.prompt_step: Replay | None = None
        self.prompt_assumptions: tuple[Assumption, ...] = ()
        self.loops = tuple(LoopFound(loop.body, loop.layers, loop.count) for loop in self.after.schedule.loops)

    def _schedules(
        self,
        modes: tuple[Mode, Mode],
        machines: tuple[Hardware, Hardware],
        drafting: Step | None,
        loop_at_most: int | None,
        loop_only: str | None,
    ) -> list[Schedule]:
        """Return the kernel calls of both modes, then those of a draft in both, if a model drafts."""
        shares = [(self.model, self.formats, self.parallel, machine.replicates) for machine in machines]
        only = read_loop_only(loop_only, steps_of(*shares[0]))
        if only is not None and not any(mode.loops and mode.kernels == "layer" for mode in modes):
            raise ValueRangeError(
                f"--loop-only: neither {modes[0].name} nor {modes[1].name} loops over layers; ask for --after looped"
            )
        room = on_chip_room(self.hardware)
        cuttings = [Cutting(mode.kernels, mode.loops, loop_at_most, only, room) for mode in modes]
        schedules = [schedule_of(*share, cutting) for share, cutting in zip(shares, cuttings, strict=True)]
        if drafting is not None:
            whole = (msgspec.structs.replace(cutting, loop_only=None) for cutting in cuttings)
            schedules += [make_schedule(drafting, cutting) for cutting in whole]
        placement = self.placement
        return schedules if placement is None else [placement.schedule(schedule) for schedule in schedules]

    @property
    def tokens_per_step(self) -> Number:
        """Return the tokens that a sequence gets in a step [-]."""
        return 1 if self.draft is None else self.draft.tokens_per_step

    @cached_property
    def prompting(self) -> Recording:
        """The equations of a step of its prompt, which has no drafts, run once."""
        before, after = (
            PreparedSide(
                side.schedule,
                side.plan.kinds,
                self.parallel,
                side.hardware,
                side.mode,
                self.formats.activations,
                prompted=True,
                lies=self._lies,
            )
            for side in (self.before, self.after)
        )
        after.own = _differing(before, after)
        self.prompt_assumptions = assumptions_of(before, after)
        return Recording(before, after)

    @cached_property
    def recording(self) -> Recording:
        """The equations of the question, run once."""
        return Recording(self.before, self.after)

    @property
    def of(self) -> tuple[str, ...]:
        """Return what a measured row of the side before has in common with others of its batch and context."""
        formats = self.formats
        return (
            self.model.name,
            self.hardware.name,
            str(self.parallel),
            formats.weights,
            formats.kv,
            self.before.mode.name,
        )

    def beyond_at(self, batch: Number, context: Number) -> Beyond:
        """Return what widens times and speed-up beside the parameters at a workload.

        Away from the measured step the row has a noise of its own.
        """
        if self.known is None or self.known.origin is not None:
            return self.beyond
        _, noise = beyond_parts(self.before.hardware, self.before.mode.name) or (0.0, 0.0)
        noise = noise * self.known.away(self.of, batch, context)
        if noise.__class__ is float and not noise:
            return self.beyond
        return msgspec.structs.replace(
            self.beyond, before=(*self.beyond.before, noise), speedup=(*self.beyond.speedup, noise)
        )

    def learn(self, known: Known) -> None:
        """Take in a measured step, which moved the parameters of this question's devices: the rest is bound by it."""
        self.known, self.beyond = known, beyond_of(self.before, self.after, known)
        self.answered, self.further = {}, {}
        self.assumptions = self._assumptions()

    def _assumptions(self) -> tuple[Assumption, ...]:
        found = assumptions_of(self.before, self.after, self.known)
        if self.draft is None:
            return found
        from perfmodel.operations.drafters import HEADS

        # A head that has a file of its own states its shape.
        if self.draft.drafter not in HEADS:
            return found
        shape = {path: self.hardware.values[path] for path in ("drafts.layers", "drafts.vocabulary")}
        return (*found, *_assumed(shape))

    def fewest_split(self, batch: int, context: int) -> Parallel | None:
        """Return how the fewest devices that can be built and hold weights and cache share them, or None.

        However the question shares them.
        """
        available = self.hardware.values["memory.capacity"].value
        return fewest(self.model, self.resident_over, batch, context, available)

    def resident_over(self, parallel: Parallel) -> Resident:
        """Return what a device holds if the work is shared in another way."""
        replicates = self.hardware.replicates
        resident = self._placed(resident_work(self.model, self.formats, parallel, replicates))
        return resident if self.draft is None else with_drafter(resident, self.draft, replicates)

    def _placed(self, resident: Resident) -> Resident:
        placement = self.placement
        return (
            resident
            if placement is None
            else msgspec.structs.replace(resident, works=tuple(placement.resident(work) for work in resident.works))
        )


def assumptions_of(before: PreparedSide, after: PreparedSide, known: Known | None = None) -> tuple[Assumption, ...]:
    """Return the parameters that two sides take from the device; those of the after side alone have keys of its own."""
    return _assumed(
        {
            side.key(path): quantity if known is None else known.narrowed(side.key(path), quantity)
            for side in (before, after)
            for path, (_, quantity) in side.parameters.used.items()
        }
    )


def _differing(before: PreparedSide, after: PreparedSide) -> frozenset[str]:
    """Return the paths of which two sides have different quantities."""
    used = before.parameters.used
    return frozenset(
        path for path, (_, quantity) in after.parameters.used.items() if path in used and used[path][1] != quantity
    )


def _assumed(used: Mapping[str, Quantity]) -> tuple[Assumption, ...]:
    return tuple(Assumption(path, q.value, q.low, q.high, q.unit, q.kind, q.source) for path, q in used.items())


@lru_cache(maxsize=256)
def prepare(
    model: Model,
    hardware: Hardware,
    devices: int | Parallel,
    formats: Formats,
    before: str,
    after: str,
    loop_at_most: int | None,
    loop_only: str | None = None,
    placement: Placement | None = None,
    draft: Draft | None = None,
    after_hardware: Hardware | None = None,
) -> Prepared:
    """Return the prepared question; devices: how they share the work, a number for tensor parallelism.

    after_hardware: the device as the software of the after side uses it, None for that before.
    Raise SpecificationError for a mode or parameter the device lacks.
    """
    return Prepared(
        model,
        hardware,
        over(devices),
        formats,
        hardware.mode(before, "--before"),
        (after_hardware or hardware).mode(after, "--after"),
        loop_at_most,
        loop_only,
        placement,
        draft,
        after_hardware,
    )


def prepare_question(question: Question) -> Prepared:
    """Return a question made ready for any batch and context; equal ones are prepared once."""
    return prepare(
        question.model,
        question.hardware,
        question.parallel,
        question.formats,
        question.before,
        question.after,
        question.loop_at_most,
        question.loop_only,
        question.placement,
        question.draft,
        None if question.after_hardware is question.hardware else question.after_hardware,
    )
