"""One side of a question made ready: its calls, its plan, its parameters, and what it holds on chip."""

from collections.abc import Mapping

import msgspec

from perfmodel import equations
from perfmodel.estimates.devices import AFTER
from perfmodel.estimates.drafting import drafted_plan
from perfmodel.estimates.machine import SideParameters
from perfmodel.estimates.onchiproom import on_chip_room, room_paths
from perfmodel.estimates.plan import Plan, make_plan
from perfmodel.estimates.results import OnChip
from perfmodel.estimates.terms import calls_made
from perfmodel.numbers.choices import Number
from perfmodel.operations.parallel import Parallel
from perfmodel.schedule.calls import Schedule
from perfmodel.specifications.hardware import Hardware, Mode


class Drafts(msgspec.Struct, frozen=True):
    """The kernel calls of a draft, None where no model drafts, and the drafts of a step [-]."""

    schedule: Schedule | None
    tokens: Number


class Lies(msgspec.Struct, frozen=True):
    """The slower memory in which a share of the cache lies [-], and the layers whose experts the host computes [-]."""

    kv_tier: str
    kv_share: float
    host_layers: int


class PreparedSide:
    """One side of a question.

    schedule: its kernel calls but for drafts; plan: the same made ready for workloads; parameters: what it takes from
    the device.
    """

    def __init__(
        self,
        schedule: Schedule,
        kinds: tuple[str, ...],
        parallel: Parallel,
        hardware: Hardware,
        mode: Mode,
        activations: str,
        drafts: Drafts | None = None,
        *,
        prompted: bool = False,
        network: bool = False,
        lies: Lies | None = None,
    ) -> None:
        self.schedule, self.mode, self.room, self.hardware = schedule, mode, on_chip_room(hardware), hardware
        # Paths of which the other side has another quantity; their numbers are given under keys of their own.
        self.own: frozenset[str] = frozenset()
        room_known = bool(room_paths(hardware.values))
        self.plan: Plan = make_plan(schedule, kinds, parallel, room_known=room_known)
        if drafts is not None:
            one = drafts.schedule
            draft = None if one is None else make_plan(one, kinds, parallel, room_known=room_known)
            self.plan = drafted_plan(self.plan, draft, drafts.tokens)
        # What each entry of the plan's calls is called; those of drafts stand behind the others.
        self.names = tuple(call.name for _, call in schedule.calls)
        if drafts is not None and drafts.schedule is not None:
            self.names += tuple(f"draft_{call.name}" for _, call in drafts.schedule.calls)
        if lies is not None:
            self.plan = msgspec.structs.replace(
                self.plan, kv_tier=lies.kv_tier, kv_share=lies.kv_share, host_layers=lies.host_layers
            )
        if network:
            self.plan = msgspec.structs.replace(self.plan, network=True)
        if prompted:
            self.plan = msgspec.structs.replace(self.plan, several=True, prompted=True)
        self.parameters = SideParameters(hardware, mode, self.plan, activations)
        # What each stage of a fused call holds: activations of a sequence, and state [B].
        self._held = {
            (stage.held, stage.state)
            for call in self.plan.calls
            if call.fused
            for _, segment in call.segments
            for stage in segment
        }
        self._prefetch = self.parameters.chain(self.parameters.values()).prefetch
        self._most_held = max([size for size, _ in self._held], default=0.0)
        self._split = max([size for _, size in schedule.split], default=0.0)

    @property
    def kernel_calls(self) -> Number:
        """Return the kernel calls of a step [-]."""
        calls = calls_made(self.plan, self.parameters.fixed(self.parameters.values()))
        return round(calls) if isinstance(calls, float) else calls

    def numbers(self, given: Mapping[str, Number]) -> dict[str, Number]:
        """Return the number of each path in use [base units]: as given under its key, else its value."""
        known = self.parameters.values()
        return known | {path: given[key] for path in known if (key := self.key(path)) in given}

    def key(self, path: str) -> str:
        """Return what the parameter at `path` is called in an answer: where the after side has its own, after:path."""
        return AFTER + path if path in self.own else path

    def on_chip(self, batch: int) -> OnChip | None:
        """Return what the fused calls hold on chip at `batch` sequences.

        None where nothing is fused or the device does not say what it has.
        """
        if not self.plan.limited and not self.schedule.split:
            return None
        room, prefetch = self.room or 0.0, self._prefetch
        sequences = self.plan.parallel.sequences(batch) * self.plan.tokens
        held = max([size * sequences + state for size, state in self._held], default=0.0)
        spilled = equations.spilled_bytes(self._most_held * sequences, room)
        needed = max(held, self._split) + prefetch
        fits = "split" if self.schedule.split else "tiled" if needed > room else "whole"
        return OnChip(
            fits, round(needed), round(room), round(equations.prefetch_room(prefetch, room, held)), round(spilled)
        )
