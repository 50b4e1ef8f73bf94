"""The question that an answer answers, and what the answer says of it without a time."""

from functools import cached_property

import msgspec

from perfmodel._layout import SCHEMA
from perfmodel.estimates.columns import drafting_of, placed_of
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import Question
from perfmodel.estimates.results import Drafting, Evidence, LoopFound, Measured, ModelPart, Nearby, OnChip, Placed
from perfmodel.specifications.software import software_in_use

# Columns of one answer that a sweep does not work out at each point.
ALONE = ("breakeven_batch",)


class Answered(msgspec.Struct, frozen=True, eq=False, dict=True):
    """A question with the numbers of its answer; everything else is made of these when it is read.

    asked, prepared: the question. numbers: all that the equations give, as `perfmodel.estimates.columns.ANSWER` names
    them.
    """

    asked: Question
    prepared: Prepared
    numbers: tuple[float, ...]

    @property
    def schema(self) -> str:
        """The version of what `to_dict` gives, as `perfmodel schema` describes it."""
        return SCHEMA

    @property
    def model(self) -> str:
        """The model's name."""
        return self.prepared.model.name

    @property
    def hardware(self) -> str:
        """The device's name."""
        return self.prepared.hardware.name

    @property
    def devices(self) -> int:
        """Devices that share the work [-]."""
        return self.prepared.devices

    @property
    def batch(self) -> int:
        """Sequences in the step [-]."""
        return self.asked.batch

    @property
    def context(self) -> int:
        """Tokens in the cache that the step reads, per sequence [-]."""
        return self.asked.context

    @property
    def weight_format(self) -> str:
        """The format of the weights."""
        return self.prepared.formats.weights

    @property
    def kv_format(self) -> str:
        """The format of the cache."""
        return self.prepared.formats.kv

    @property
    def parallel(self) -> str:
        """How the devices share the work, as `--parallel` takes it."""
        return str(self.prepared.parallel)

    @property
    def software(self) -> str | None:
        """The software whose values stand in the device, as kind-year; None where its own file says all."""
        return software_in_use(self.prepared.hardware)

    @property
    def loops(self) -> tuple[LoopFound, ...]:
        """The loops of the after side."""
        return self.prepared.loops

    @cached_property
    def parts(self) -> tuple[ModelPart, ...]:
        """The parts of the model and the cache, each with its format and bytes."""
        from perfmodel.estimates.parts import parts_of

        return parts_of(self.prepared, self.batch, self.context)

    @cached_property
    def draft(self) -> Drafting | None:
        """What is drafted, and the best numbers of drafts; None where nothing is."""
        return drafting_of(self.prepared, self.batch, self.context)

    @cached_property
    def on_chip(self) -> OnChip | None:
        """What fused calls hold on chip; None where nothing is fused or the device does not say what it has."""
        return self.prepared.after.on_chip(self.batch)

    @cached_property
    def placement(self) -> Placed | None:
        """What streams from a slower tier; None for nothing."""
        return placed_of(self.prepared)

    @cached_property
    def measured(self) -> Measured | None:
        """The before side as measured, and what that says little of; None where nothing was measured."""
        known = self.prepared.known
        return None if known is None else Measured(known.time, known.undetermined)

    @cached_property
    def evidence(self) -> Evidence:
        """How right predictions of published rows like this question were."""
        from perfmodel.estimates.evidence import evidence_of

        return evidence_of(self.prepared)

    @cached_property
    def nearby(self) -> tuple[Nearby, ...]:
        """Published measurements nearest to the question."""
        from perfmodel.estimates.evidence import nearby_to

        return nearby_to(self.prepared, self.batch, self.context)
