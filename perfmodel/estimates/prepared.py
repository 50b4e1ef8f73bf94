"""Questions: what a query needs that does not depend on batch and context, prepared once."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any, Unpack

import msgspec

from perfmodel import equations
from perfmodel.errors import ValueRangeError
from perfmodel.estimates.capacity import Resident, resident_work
from perfmodel.estimates.machine import GROUPS, Ends, Position, SideParameters, on_chip_room, room_paths
from perfmodel.estimates.options import Asked
from perfmodel.estimates.placement import Placement
from perfmodel.estimates.question import Question, read_question
from perfmodel.estimates.results import Assumption, LoopFound, OnChip
from perfmodel.estimates.splits import fewest
from perfmodel.estimates.terms import (
    Busy,
    Chain,
    Fixed,
    Plan,
    Rates,
    busy_replay,
    busy_time,
    call_times,
    counts_at,
    flat_costs,
    make_plan,
    plan_kinds,
)
from perfmodel.numbers.python import Replay
from perfmodel.operations import Formats, decode_step, pipeline_stages, total_work
from perfmodel.operations.parallel import Parallel, over
from perfmodel.schedule.cutting import Schedule, make_pipeline, read_loop_only
from perfmodel.specifications.hardware import Hardware, Mode
from perfmodel.specifications.model import Model

# Workloads answered by the equations themselves before replays are made, which takes some milliseconds.
_REPLAY_AFTER = 12
# Positions of a group tried inside its interval where a larger() may switch there.
_INSIDE = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)
_Costs = tuple[Rates, Chain, tuple[Any, ...]]


class PreparedSide:
    """One side of a question: its calls, its parameters, and its times at any position of the parameters.

    shared: the paths that the other side uses too; the others are this side's own.
    own_in_calls: whether own parameters with an interval enter the time of the calls.
    """

    def __init__(
        self,
        schedule: Schedule,
        kinds: tuple[str, ...],
        parallel: Parallel,
        hardware: Hardware,
        mode: Mode,
        activations: str,
    ) -> None:
        self.schedule, self.mode, self.room = schedule, mode, on_chip_room(hardware)
        self.plan: Plan = make_plan(schedule, kinds, parallel, room_known=bool(room_paths(hardware.values)))
        self.parameters = SideParameters(hardware, mode, self.plan, activations)
        # What each stage of a fused call holds: activations of a sequence, and state [B].
        self._held = {
            (stage.held, stage.state)
            for call in self.plan.calls
            if call.fused
            for _, segment in call.segments
            for stage in segment
        }
        self.share(frozenset())
        # By whether terms are wanted, and whether the room on chip may be short.
        self._replays: dict[tuple[bool, bool], Replay] = {}
        self._asked = 0

    def share(self, shared: frozenset[str]) -> None:
        """Set which paths the other side uses too."""
        self.shared = shared
        own_groups = {
            group
            for path, (group, quantity) in self.parameters.used.items()
            if path not in shared and quantity.low < quantity.high
        }
        self.own_in_calls = bool(own_groups - {"boundary", "host"})
        # By whether the room on chip may be short, then by where shared and own parameters stand.
        self._costs: dict[bool, dict[tuple[Position, float], _Costs]] = {False: {}, True: {}}
        self._most_with_room = self._sequences_with_room()
        self._fixed: dict[tuple[Ends, float], Fixed] = {}

    def fixed(self, ends: Ends, own: float) -> Fixed:
        """Return the costs of calls and step with shared parameters at `ends`, own ones at `own`."""
        found = self._fixed.get((ends, own))
        if found is None:
            found = self._fixed[ends, own] = self.parameters.fixed(
                self.parameters.numbers(Position(), ends, own, self.shared)
            )
        return found

    def _sequences_with_room(self) -> float:
        """The most sequences at which the room on chip is short of nothing, wherever the parameters stand [-]."""
        if not self.plan.limited:
            return math.inf
        chains = [self.parameters.chain(self.parameters.standing(end)) for end in (-1.0, 1.0)]
        spare = min(chain.room for chain in chains) - max(chain.prefetch for chain in chains)
        return float(min((spare - state) / held for held, state in self._held if held))

    def _short_of_room(self, batch: int) -> bool:
        return self.plan.limited and self.plan.parallel.sequences(batch) > self._most_with_room

    def _replay(self, short: bool, rates: Rates, *, terms: bool) -> Replay:
        found = self._replays.get((terms, short))
        if found is None:
            plan = self.plan if short or not self.plan.limited else msgspec.structs.replace(self.plan, limited=False)
            found = self._replays[terms, short] = busy_replay(plan, rates, terms=terms)
        return found

    def busy(self, batch: int, context: int) -> Busy:
        """Return the busy time with every parameter at its value."""
        short = self._short_of_room(batch)
        rates, chain, flat = self._costs_at(Position(), 0.0, short=short)
        if self._asked <= _REPLAY_AFTER:
            self._asked += 1
            return busy_time(counts_at(self.plan, batch, context), rates, chain)
        return Busy(*self._replay(short, rates, terms=True)(batch, context, *flat)[:-1])

    def timed(self, batch: int, context: int) -> Callable[[Position, float], tuple[Any, ...]]:
        """Return a function of a position and of where own parameters stand, that gives waiting (see Busy) and the time of the calls [s].

        A question that is asked again and again is answered by a replay of the same equations.
        """
        short = self._short_of_room(batch)
        known = self._costs[short]
        replay = self._replays.get((False, short))
        if replay is None and self._asked > _REPLAY_AFTER:
            replay = self._replay(short, self._costs_at(Position(), 0.0, short=short)[0], terms=False)

        def at(position: Position, own: float) -> tuple[Any, ...]:
            rates, chain, flat = known.get((position, own)) or self._costs_at(position, own, short=short)
            if replay is not None:
                return replay(batch, context, *flat)
            busy = busy_time(counts_at(self.plan, batch, context), rates, chain)
            return busy.waiting, call_times(busy)

        return at

    def on_chip(self, batch: int) -> OnChip | None:
        """Return what the fused calls hold on chip at `batch` sequences.

        None where nothing is fused or the device does not say what it has.
        """
        if not self.plan.limited and not self.schedule.split:
            return None
        chain, room = self._costs_at(Position(), 0.0, short=True)[1], self.room or 0.0
        sequences = self.plan.parallel.sequences(batch)
        held = max([size * sequences + state for size, state in self._held], default=0.0)
        spilled = equations.spilled_bytes(max([size for size, _ in self._held], default=0.0) * sequences, room)
        needed = max(held, *(size for _, size in self.schedule.split), 0.0) + chain.prefetch
        fits = "split" if self.schedule.split else "tiled" if needed > room else "whole"
        return OnChip(
            fits, round(needed), round(room), round(equations.prefetch_room(chain.prefetch, room, held)), round(spilled)
        )

    def _costs_at(self, position: Position, own: float, *, short: bool) -> _Costs:
        costs = self._costs[short].get((position, own))
        if costs is None:
            numbers = self.parameters.numbers(position, Ends(), own, self.shared)
            rates, chain = self.parameters.rates(numbers), self.parameters.chain(numbers)
            chain = chain if short else chain._replace(room=None)
            costs = self._costs[short][position, own] = rates, chain, flat_costs(rates, chain)
        return costs


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
    ) -> None:
        self.model, self.hardware, self.parallel, self.devices, self.formats = (
            model,
            hardware,
            parallel,
            parallel.devices,
            formats,
        )
        step = decode_step(model, formats, parallel, hardware.replicates)
        stages = pipeline_stages(step, model.hidden, formats, parallel.pipeline, parallel.stage_devices)
        only = read_loop_only(loop_only, stages)
        if only is not None and not any(mode.loops and mode.kernels == "layer" for mode in (before, after)):
            raise ValueRangeError(
                f"--loop-only: neither {before.name} nor {after.name} loops over layers; ask for --after looped"
            )
        schedules = [
            make_pipeline(
                stages,
                mode.kernels,
                loops=mode.loops,
                loop_at_most=loop_at_most,
                loop_only=only,
                room=on_chip_room(hardware),
            )
            for mode in (before, after)
        ]
        self.placement = placement
        if placement is not None:
            schedules = [placement.schedule(schedule) for schedule in schedules]
        kinds = plan_kinds(schedules)
        self.before = PreparedSide(schedules[0], kinds, self.parallel, hardware, before, formats.activations)
        self.after = PreparedSide(schedules[1], kinds, self.parallel, hardware, after, formats.activations)
        self._share()
        # The peak counts each byte once, so it comes from the undivided model.
        self.whole = total_work(decode_step(model, formats, 1))
        self.resident = self.resident_over(parallel)
        self.assumptions = self._assumptions()
        self.loops = tuple(LoopFound(loop.body, loop.layers, loop.count) for loop in self.after.schedule.loops)

    def _share(self) -> None:
        before, after = self.before.parameters.used, self.after.parameters.used
        both = frozenset(before) & frozenset(after)
        self.before.share(both)
        self.after.share(both)
        uncertain = {before[path][0] for path in both if before[path][1].low < before[path][1].high}
        # A group without a shared interval stays at its value, so that equal corners are equal keys.
        self._ends: dict[str, tuple[float, ...]] = {
            group: (-1.0, 1.0) if group in uncertain else (0.0,) for group in GROUPS
        }
        self.slow, self.fast = (
            (Position(*ends[:5]), Ends(*ends[5:])) for ends in ([self._ends[g][i] for g in GROUPS] for i in (0, -1))
        )
        self._corners: dict[tuple[bool, bool, bool], list[Position]] = {}
        self._pairs: dict[tuple[Any, ...], list[tuple[Fixed, Fixed]]] = {}
        self._guessed: dict[tuple[tuple[bool, ...], float], list[tuple[Fixed, Fixed]]] = {}
        self.added = self._added_groups()
        self.times_met = tuple(times for met in self.added.values() for times in met)
        sides = (self.before.parameters, self.after.parameters)
        self.prefetches = any(side.chain(side.standing(1.0)).prefetch > 0 for side in sides)
        self.issues = any(side.fixed(Ends(), 0.0).issue > 0 for side in (self.before, self.after))

    def _added_groups(self) -> dict[str, tuple[float, ...]]:
        """For each shared group that is added to the calls.

        How many times each of its costs is met before for once after.
        """
        before, after = self.before.plan, self.after.plan
        times: dict[str, tuple[float, ...]] = {}
        if len(self._ends["boundary"]) > 1:
            fills = (before.fused_calls / after.fused_calls,) if before.fused_calls and after.fused_calls else ()
            times["boundary"] = (before.kernel_calls / after.kernel_calls, *fills)
        if len(self._ends["host"]) > 1:
            times["host"] = (1.0,)
        return times

    def fixed_pairs(self, own: float, ends: Mapping[str, tuple[float, ...]]) -> list[tuple[Fixed, Fixed]]:
        """Return the fixed costs of both sides at all combinations of `ends`, own ones of the side before at `own`, after at the other end."""
        key = (own, *ends.items())
        found = self._pairs.get(key)
        if found is None:
            own_after = own if self.before.mode == self.after.mode else -own
            corners = (Ends(*pair) for pair in product(*(ends.get(group, (0.0,)) for group in ("boundary", "host"))))
            found = self._pairs[key] = [
                (self.before.fixed(end, own), self.after.fixed(end, own_after)) for end in corners
            ]
        return found

    def guessed_pairs(self, above: tuple[bool, ...], own: float) -> list[tuple[Fixed, Fixed]]:
        """Return the fixed costs at which the ratio is least (own = 1) or largest (own = -1) if each entry of `above` holds.

        above: for each entry of `times_met`, whether it is more than the ratio.
        """
        found = self._guessed.get((above, own))
        if found is None:
            answers = iter(above)
            # A group is pushed to its slow end for a large ratio only if all its costs raise it.
            raises = {group: all(next(answers) for _ in met) for group, met in self.added.items()}
            ends = {group: ((-1.0 if up == (own < 0) else 1.0),) for group, up in raises.items()}
            found = self._guessed[above, own] = self.fixed_pairs(own, ends)
        return found

    def corners(self, *, inside: bool, arithmetic: bool, cache: bool) -> list[Position]:
        """Return the positions of the shared parameters at which the speed-up may be extreme.

        inside: whether a larger() may switch inside the box, so that positions between the ends are tried too.
        arithmetic, cache: whether these groups can pull the speed-up apart from the memory's; where arithmetic
        bounds nothing, or no loop waits for its chain, they move along with it.
        """
        found = self._corners.get((inside, arithmetic, cache))
        if found is None:
            ends = dict(self._ends)
            if inside:
                ends["memory"] += _INSIDE
                ends["arithmetic"] += _INSIDE
            corners = (Position(*corner) for corner in product(*(ends[group] for group in GROUPS[:5])))
            found = [
                c
                for c in corners
                if (arithmetic or c.arithmetic == self._along("arithmetic", c))
                and (cache or c.cache == self._along("cache", c))
            ]
            self._corners[inside, arithmetic, cache] = found
        return found

    def _along(self, group: str, corner: Position) -> float:
        """The position of a group that moves along with the memory."""
        if len(self._ends[group]) == 1 or len(self._ends["memory"]) == 1:
            return self._ends[group][0]
        return -1.0 if corner.memory < 0 else 1.0

    def _assumptions(self) -> tuple[Assumption, ...]:
        used = {
            path: quantity for side in (self.before, self.after) for path, (_, quantity) in side.parameters.used.items()
        }
        return tuple(Assumption(path, q.value, q.low, q.high, q.unit, q.kind, q.source) for path, q in used.items())

    def fewest_split(self, batch: int, context: int) -> Parallel | None:
        """Return how the fewest devices that can be built and hold weights and cache share them, or None.

        However the question shares them.
        """
        available = self.hardware.values["memory.capacity"].value
        return fewest(self.model, self.resident_over, batch, context, available)

    def resident_over(self, parallel: Parallel) -> Resident:
        """Return what a device holds if the work is shared in another way."""
        return self._placed(resident_work(self.model, self.formats, parallel, self.hardware.replicates))

    def _placed(self, resident: Resident) -> Resident:
        placement = self.placement
        return (
            resident
            if placement is None
            else msgspec.structs.replace(resident, works=tuple(placement.work(work) for work in resident.works))
        )


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
) -> Prepared:
    """Return the prepared question; devices: how they share the work, a number for tensor parallelism.

    Raise SpecificationError for a mode or parameter the device lacks.
    """
    return Prepared(
        model,
        hardware,
        over(devices),
        formats,
        hardware.mode(before, "--before"),
        hardware.mode(after, "--after"),
        loop_at_most,
        loop_only,
        placement,
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
    )


def ask(model: str | Model, hardware: str | Hardware, **asked: Unpack[Asked]) -> Prepared:
    """Return the prepared question behind `estimate`, whose arguments these are."""
    return prepare_question(read_question(model, hardware, **asked))
