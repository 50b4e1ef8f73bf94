"""What can be asked on the page: models over devices with their drafters, and machines with each kind of software."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from perfmodel.estimates.draftcosts import draft_defaults
from perfmodel.estimates.drafting import Draft, drafted_plan, read_draft
from perfmodel.estimates.onchiproom import on_chip_room
from perfmodel.estimates.plan import Plan, make_plan, plan_kinds
from perfmodel.estimates.splits import obstacle
from perfmodel.operations import Formats, Step, decode_step
from perfmodel.operations.drafters import WITHOUT_MODEL
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.storing import formats_of
from perfmodel.schedule.calls import Cutting, Schedule
from perfmodel.schedule.cutting import fused_step, make_schedule
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.software import (
    KINDS,
    NO_SOFTWARE,
    find_software,
    on_own_mode,
    software_in_use,
    software_of,
    with_software,
)

DEVICES = (1, 2, 4, 8)
# A draft of one token stands for any number of them.
_ONE_DRAFT, _ACCEPTED = 1, 0.5


class Style(NamedTuple):
    """How a launch mode of a device cuts a step into calls: all that a plan takes from the device.

    room: on-chip memory [B] where some model overfills it, else None; room_known: whether the device says how much it
    has.
    """

    kernels: str
    loops: bool
    replicates: tuple[str, ...]
    room: float | None
    room_known: bool


class SharedModel(NamedTuple):
    """A model over some devices. drafts: what may be drafted, first None for no drafts."""

    model: Model
    formats: Formats
    parallel: Parallel
    drafts: tuple[Draft | None, ...]

    def key(self, draft: Draft | None) -> str:
        """Return what the page calls the case with a drafter."""
        return f"{self.model.name}|{self.parallel.devices}|{'' if draft is None else draft.drafter}"

    def plans(self, style: Style) -> Iterator[tuple[Draft | None, Plan]]:
        """Yield the plan of a step in a style for each drafter, with one draft where there is any."""
        schedule = self._schedule(decode_step(self.model, self.formats, self.parallel, style.replicates), style)
        for draft in self.drafts:
            one = None if draft is None else draft.step(self.parallel, style.replicates)
            cuts = [schedule] if one is None else [schedule, self._schedule(one, style)]
            kinds = plan_kinds(cuts)
            plan, *drafting = (make_plan(cut, kinds, self.parallel, room_known=style.room_known) for cut in cuts)
            yield draft, plan if draft is None else drafted_plan(plan, drafting[0] if drafting else None, _ONE_DRAFT)

    def _schedule(self, step: Step, style: Style) -> Schedule:
        return make_schedule(step, Cutting(style.kernels, style.loops, room=style.room))

    def held(self) -> float:
        """Return the most that a stage of a fused call of one sequence holds on chip [B]."""
        drafting = [None if draft is None else draft.step(self.parallel, ()) for draft in self.drafts]
        steps = [decode_step(self.model, self.formats, self.parallel), *(step for step in drafting if step is not None)]
        calls = [call for step in steps for call in fused_step(step).calls]
        return max(stage.held + stage.work.state for call in calls for s in call.segments for stage in s.stages)


class Used(NamedTuple):
    """A machine with one kind of software.

    device: the machine alone; software: its name, none where the machine's own file says what its software does.
    """

    device: Hardware
    software: str
    hardware: Hardware


def cases(
    models: Sequence[Model], machines: Sequence[Hardware], weights: str | None, kv: str | None
) -> Iterator[SharedModel]:
    """Yield each model over each number of devices that can share it, with each drafter it may have.

    weights, kv: storage formats, None as published.
    """
    numbers = sorted({*DEVICES, *(device.devices for device in machines)})
    for model in models:
        formats = formats_of(model, weights, kv)
        drafts: list[Draft | None] = [None]
        for drafter in drafters(model):
            shaped = draft_defaults(machines[0], model, formats, drafter)
            drafts.append(read_draft(_ONE_DRAFT, drafter, _ACCEPTED, None, model, shaped, formats, weights))
        for devices in numbers:
            parallel = Parallel(tensor=devices)
            if not obstacle(model, parallel):
                yield SharedModel(model, formats, parallel, tuple(drafts))


def drafters(model: Model) -> tuple[str, ...]:
    """Return what may draft for a model on the page; MTP modules only where the model was published with them."""
    if model.step:
        return ()
    return (*(("mtp",) if model.draft_layers else ()), "eagle", WITHOUT_MODEL)


def machines_used(machines: Sequence[Hardware]) -> Iterator[Used]:
    """Yield each machine with each kind of software, of the newest year, its usual one first, in its own mode."""
    for device in machines:
        usual = software_in_use(device)
        first = None if usual else software_of(device)
        if first is None:
            yield Used(device, usual or NO_SOFTWARE, device)
            continue
        yield Used(device, first.name, on_own_mode(with_software(device, first), device))
        for software in map(find_software, KINDS):
            if software is not first:
                yield Used(device, software.name, with_software(device, software))


def style_of(hardware: Hardware, mode: str, held: float) -> Style:
    """Return the style of a launch mode of a device; held: the most that any model holds on chip [B]."""
    room, chosen = on_chip_room(hardware), hardware.modes[mode]
    if chosen.kernels not in ("layer", "step"):  # calls that hold nothing on chip
        room = None
    narrow = room if room is not None and room < held else None
    return Style(chosen.kernels, chosen.loops, hardware.replicates, narrow, room is not None)
