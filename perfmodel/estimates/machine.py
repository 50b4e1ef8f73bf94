"""The parameters of one side of a question by their paths, and what the machine sustains and costs at numbers for them.

Numbers are handed in by path, and may be of any kind. A position of -1 is the slow end of a parameter, 0 its value, +1
the fast end.
"""

import math
from collections.abc import Container, Mapping, Sequence

from perfmodel import equations
from perfmodel.errors import SpecificationError
from perfmodel.estimates.machinerates import Chain, Costs, Fixed, PromptRates, Rates, Route
from perfmodel.estimates.plan import Further, Plan
from perfmodel.estimates.routes import RoutePaths, collective_routes
from perfmodel.numbers.choices import Number, smaller
from perfmodel.operations.work import ACTIVATIONS, CACHE, ON_CHIP, computed_by, split_kind
from perfmodel.specifications.formats import STORAGE_FORMATS, arithmetic_format
from perfmodel.specifications.hardware import Hardware, Mode
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity


def at(quantity: Quantity, position: float, slower: int) -> float:
    """Return `quantity` at `position` between its slow and fast ends; straight between value and either end."""
    if position == 0:
        return quantity.value
    # The slow end is the high one when a larger value slows the step.
    end = quantity.high if (position < 0) == (slower > 0) else quantity.low
    return quantity.value + abs(position) * (end - quantity.value)


def standing_at(path: str, quantity: Quantity, position: float) -> float:
    """Return the number of a parameter at `position` between its slow and fast ends [base units]."""
    parameter = lookup(path)
    return at(quantity, position, parameter.slower if parameter else 0)


def moves_with(path: str) -> str:
    """Return the name of the group of parameters that move together, in which an uncertain parameter stands.

    What one memory sustains for weights of several formats, and what one library adds to each kind of collective, comes
    from the same kernels; all else stands alone.
    """
    parts = path.split(".")
    if parts[:2] == ["memory", "sustained"] and parts[2] != CACHE:
        return "memory.sustained"
    return f"collectives.{parts[2]}" if parts[0] == "collectives" else path


class SideParameters:
    """The quantities that one side (a plan under a launch mode) takes from a device, by path and group."""

    def __init__(self, hardware: Hardware, mode: Mode, plan: Plan, activations: str) -> None:
        self.used: dict[str, tuple[str, Quantity]] = {}  # path -> group, quantity
        self._hardware, self._mode, self._plan = hardware, mode, plan
        # Modes with kernels of their own lose nothing that an engine's kernels, and its library, lose between calls.
        self._fused_mode = mode.kernels in ("layer", "step")
        self._memory = self._memory_paths()
        self._kv = (
            [self._take(f"tiers.{plan.kv_tier}.{key}", "memory") for key in ("bandwidth", "sustained")]
            if plan.kv_share
            else []
        )
        self._crossing = self._take("tiers.host.crossing", "host") if plan.host_layers and not plan.prompted else None
        self._tasks = self._task_paths()
        stream = ("units.count", "units.stream")
        self._stream = (
            [self._take(path, "memory") for path in stream]
            if not self._fused_mode and all(path in hardware.values for path in stream)
            else []
        )
        self._arithmetic = self._arithmetic_paths(activations)
        plain = not self._fused_mode
        self._plain = [
            self._take(path, "arithmetic") if plain and path in hardware.values else None
            for path in ("kernels.tile", "kernels.added")
        ]
        self._prompt = (
            [
                self._take(path, "prompts")
                for path in (*_PROMPT, *(_POWER_RATE if all(path in hardware.values for path in _POWER_RATE) else ()))
            ]
            if plan.prompted
            else []
        )
        self._collective_legs = [self._collective_paths(*each) for each in plan.collectives]
        self._library = [
            self._mode_path(key, "collective") if plain and plan.collectives else None
            for key in ("exchange", "exchange_rise")
        ]
        fused = plan.fused_calls > 0
        self._chain = [
            self._mode_path(key, "chain", needed=key == "stage") if fused else None
            for key in ("stage", "prefetch", "overlap")
        ]
        self._chain.append(self._mode_path("collective_overlap", "chain") if plan.collectives else None)
        matrices = {stage.matrix for call in plan.calls for _, stages in call.segments for stage in stages}
        plain_matrices = {
            stage.matrix for call in plan.calls if not call.fused for _, stages in call.segments for stage in stages
        }
        self._losses = [
            self._mode_path("matrix", "chain") if "matrix" in plain_matrices else None,
            (self._mode_path("experts", "chain") or self._mode_path("matrix", "chain"))
            if "experts" in plain_matrices
            else None,
            self._mode_path("stage_matrix", "chain") if fused and matrices - {""} else None,
            self._mode_path("sequence", "chain"),
        ]
        self._room = [self._take(path, "chain") for path in room_paths(hardware.values)] if plan.limited else []
        self._boundary = self._mode_path("boundary", "boundary")
        self._boundary_parts = (
            []
            if self._boundary
            else [
                self._mode_path(key, "boundary", needed=key in ("bare", "ramp"))
                for key in ("bare", "ramp", "tail", "hidden", "covered")
            ]
        )
        if self._boundary and lookup_own(hardware, mode, "hidden"):
            self._boundary_parts = [
                None,
                None,
                None,
                self._mode_path("hidden", "boundary"),
                self._mode_path("covered", "boundary"),
            ]
        self._fill = self._mode_path("fill", "boundary") if fused else None
        self._host = [self._mode_path(key, "host") for key in ("host", "issue")]
        self._further = (
            [self._take(f"drafts.{key}", "drafts") for key in ("token", "most_tokens", "independence")]
            if plan.drafted
            else []
        )
        self._drafting = [self._take(f"drafts.{key}", "drafts") for key in ("verify", "host")] if plan.drafted else []

    def _take(self, path: str, group: str) -> str:
        self.used[path] = (group, self._hardware.values[path])
        return path

    def _memory_paths(self) -> list[tuple[str, ...]]:
        values = self._hardware.values
        paths: list[tuple[str, ...]] = []
        for kind in self._plan.kinds:
            tier, storage = split_kind(kind)
            if tier.endswith(COMPUTED):
                paths.append(self._host_paths(tier.removesuffix(COMPUTED)))
                continue
            if tier:
                share = f"tiers.{tier}.sustained"
                paths.append(
                    (
                        self._take(f"tiers.{tier}.bandwidth", "memory"),
                        self._take(share if share in values else "memory.sustained.weights", "memory"),
                    )
                )
                continue
            reach = None if self._fused_mode or kind in (ACTIVATIONS, ON_CHIP) else self._reach_path(storage)
            own = self._hardware.mode_value(self._mode.name, "kv") if kind == CACHE else None
            sustained = (
                own[0]
                if own
                else next(
                    (
                        path
                        for path in (f"memory.sustained.{name}" for name in sustained_names(storage))
                        if path in values
                    ),
                    None,
                )
            )
            if sustained is None:
                raise SpecificationError(
                    f"{self._hardware.path}: has no memory.sustained.weights, the share of the bandwidth that reads"
                    " sustain"
                )
            # Cache and weights may pull the speed-up apart: a loop hides the cache's reads, a plain call does not.
            group = "cache" if kind == CACHE and sustained.endswith(f".{CACHE}") else "memory"
            if kind == ON_CHIP and "on_chip.bandwidth" not in values:
                raise SpecificationError(
                    f"{self._hardware.path}: has no on_chip.bandwidth, from which weights that stay on chip are read;"
                    " set it: --set on_chip.bandwidth=5TB/s"
                )
            paths.append(
                (
                    self._take("on_chip.bandwidth" if kind == ON_CHIP else "memory.bandwidth", "memory"),
                    self._take(sustained, group),
                    *((self._take(reach, "cache" if kind == CACHE else "memory"),) if reach else ()),
                )
            )
        limit = ("units.count", "memory.bytes_in_flight", "memory.latency")
        if all(path in values for path in limit):
            paths.append(tuple(self._take(path, "memory") for path in limit))
        else:
            paths.append(())
        return paths

    def _host_paths(self, tier: str) -> tuple[str, ...]:
        """Return what experts that the host computes depend on; with a prompt's tokens they stream to the device."""
        if self._plan.prompted:
            return tuple(self._take(f"tiers.{tier}.{key}", "memory") for key in ("bandwidth", "sustained"))
        cores = ("cores", "core_stream") if f"tiers.{tier}.cores" in self._hardware.values else ()
        return tuple(self._take(f"tiers.{tier}.{key}", "memory") for key in ("memory", "computed", *cores))

    def _reach_path(self, storage: str) -> str | None:
        """Return the share of the memory's sustained rate that the software's kernels reach with one kind of bytes.

        None where nothing is known of it, or where the whole share of the kind itself is given.
        """
        names = ("kv",) if storage == CACHE else sustained_names(storage)
        return next((path for path in (f"reach.{name}" for name in names) if path in self._hardware.values), None)

    def _task_paths(self) -> tuple[str, str] | None:
        tasks = self._hardware.mode_value(self._mode.name, "tasks")
        if tasks is None:
            return None
        if "units.block_bandwidth" not in self._hardware.values:
            raise SpecificationError(
                f"{self._hardware.path}: has no units.block_bandwidth, which {tasks[0]} needs; set it: --set"
                " units.block_bandwidth=12GB/s"
            )
        return self._take(tasks[0], "memory"), self._take("units.block_bandwidth", "memory")

    def _arithmetic_paths(self, activations: str) -> tuple[str, str | None]:
        values = self._hardware.values
        offered = [path.removeprefix("arithmetic.") for path in values if path.startswith("arithmetic.")]
        name = arithmetic_format(activations, offered)
        if name is None:
            raise SpecificationError(
                f"{self._hardware.path}: has no arithmetic rate as wide as {activations}; it has"
                f" {', '.join(offered) or 'none'}"
            )
        share = self._take("arithmetic.sustained", "arithmetic") if "arithmetic.sustained" in values else None
        return self._take(f"arithmetic.{name}", "arithmetic"), share

    def _collective_paths(self, kind: str, group: int, stride: int) -> tuple[tuple[RoutePaths, ...], ...]:
        found = collective_routes(self._hardware, kind, group, stride)
        for path in dict.fromkeys(path for leg in found for route in leg for path in route.paths()):
            self._take(path, "collective")
        return found

    def _mode_path(self, key: str, group: str, *, needed: bool = False) -> str | None:
        found = self._hardware.mode_value(self._mode.name, key)
        if found is None:
            if needed:
                raise SpecificationError(
                    f"{self._hardware.path}: modes.{self._mode.name} has no {key}; give it, or a base mode that has it"
                )
            return None
        return self._take(found[0], group)

    def values(self) -> dict[str, float]:
        """Return the value of each path in use [base units]."""
        return {path: quantity.value for path, (_, quantity) in self.used.items()}

    def standing(self, position: float) -> dict[str, float]:
        """Return the number of each path in use, all of them at `position` [base units]."""
        return {path: standing_at(path, quantity, position) for path, (_, quantity) in self.used.items()}

    def costs(self, numbers: Mapping[str, Number], drafts: Number = None) -> Costs:
        """Return all that the side takes from the machine, with each path in use at its number [base units].

        drafts: of a step [-], None for those of the plan.
        """
        return Costs(self.rates(numbers), self.chain(numbers), self.fixed(numbers, drafts), self.further(numbers))

    def rates(self, numbers: Mapping[str, Number]) -> Rates:
        """Return what the machine sustains, with each path in use at its number [base units]."""
        *kinds, limit_paths = self._memory
        limit = equations.in_flight_limit(*(numbers[path] for path in limit_paths)) if limit_paths else None
        if self._stream:
            units, stream = (numbers[path] for path in self._stream)
            limit = units * stream if limit is None else smaller(limit, units * stream)
        if self._tasks:
            tasks, block = (numbers[path] for path in self._tasks)
            few = equations.few_tasks_limit(tasks, self._plan.stages, block)
            limit = few if limit is None else smaller(limit, few)
        bandwidths = tuple(
            equations.host_bandwidth(*(numbers[path] for path in (beta, eta, *reach)))
            if beta.endswith(".memory")
            else equations.sustained_bandwidth(
                numbers[beta],
                numbers[eta],
                limit if beta == "memory.bandwidth" else None,
                *(numbers[path] for path in reach),
            )
            for beta, eta, *reach in kinds
        )
        if self._kv:
            *weights, cache, activations = bandwidths
            link = equations.sustained_bandwidth(*(numbers[path] for path in self._kv))
            cache = equations.divided_bandwidth(cache, link, self._plan.kv_share)
            bandwidths = (*weights, cache, activations)
        collectives = tuple(
            tuple(tuple(_route(route, numbers, self._library) for route in leg) for leg in legs)
            for legs in self._collective_legs
        )
        rate, share = self._arithmetic
        tile, added = (None if path is None else numbers[path] for path in self._plain)
        return Rates(
            bandwidths,
            numbers["memory.bandwidth"],
            numbers[rate],
            1.0 if share is None else numbers[share],
            collectives,
            tile,
            added,
            prompt=self._prompt_rates(numbers),
        )

    def _prompt_rates(self, numbers: Mapping[str, Number]) -> PromptRates | None:
        if not self._prompt:
            return None
        rate, share, half, attention, attending, *power = (numbers[path] for path in self._prompt)
        return PromptRates(rate, share, half, attention * attending, *(power or (math.inf,)))

    def chain(self, numbers: Mapping[str, Number]) -> Chain:
        """Return what serialises calls, with each path in use at its number [base units]."""
        room = equations.on_chip_room(*(numbers[p] if p in self._room else 0.0 for p in _ROOM)) if self._room else None
        stage, prefetch, overlap, links, *losses = (
            0.0 if path is None else numbers[path] for path in (*self._chain, *self._losses)
        )
        matrix, experts, stage_matrix, sequence = losses
        return Chain(stage, prefetch, overlap, links, matrix, experts, stage_matrix, sequence, room)

    def further(self, numbers: Mapping[str, Number]) -> Further | None:
        """Return what further tokens of a sequence cost, None where a step has one; each path in use at its number."""
        return Further(*(numbers[path] for path in self._further)) if self._further else None

    def fixed(self, numbers: Mapping[str, Number], drafts: Number = None) -> Fixed:
        """Return the cost of calls and step, with each path in use at its number [base units].

        drafts: of a step [-], None for those of the plan.
        """

        def number(path: str | None) -> Number:
            return 0.0 if path is None else numbers[path]

        parts = [number(path) for path in self._boundary_parts]
        covered = 1.0 if not parts or self._boundary_parts[4] is None else parts[4]
        if self._boundary:
            hidden = parts[3] if parts else 0.0
            boundary = equations.call_boundary(number(self._boundary), 0.0, 0.0, hidden, covered)
        else:
            bare, ramp, tail, hidden = parts[:4]
            boundary = equations.call_boundary(bare, ramp, tail, hidden, covered)
        host = number(self._host[0])
        if self._drafting:
            verify, draft = (numbers[path] for path in self._drafting)
            host = host + equations.drafting_host_time(verify, draft, self._plan.drafts if drafts is None else drafts)
        if self._crossing is not None:
            host = host + equations.crossings_time(self._plan.host_layers, numbers[self._crossing])
        return Fixed(boundary, number(self._fill), host, number(self._host[1]))


def _route(paths: RoutePaths, numbers: Mapping[str, Number], library: Sequence[str | None]) -> Route:
    hops, traffic, doublings = paths.shape
    alpha = equations.collective_latency(
        numbers[paths.latency],
        hops,
        numbers[paths.hop] if hops != 1 and paths.hop is not None else 0.0,
        doublings,
        numbers[paths.doubling] if doublings and paths.doubling is not None else 0.0,
    )
    if any(library):
        extra, rise = (0.0 if path is None else numbers[path] for path in library)
        alpha = equations.library_time(alpha, extra, math.log2(max(paths.devices, 2)) - 1, rise)
    bandwidth = numbers[paths.bandwidth]
    if paths.per_peer is not None:
        bandwidth = equations.group_bandwidth(bandwidth, numbers[paths.per_peer], paths.devices)
    sustained = 1.0 if paths.sustained is None else numbers[paths.sustained]
    return Route(alpha, traffic * paths.share, bandwidth * sustained)


# Rate, share and half rows of a prompt's matrices, rate and share of its attention.
_PROMPT = ("prompts.rate", "prompts.share", "prompts.half", "prompts.attention_rate", "prompts.attention")
# What ends the name of a tier whose machine computes with what it holds.
COMPUTED = computed_by("")
# The rate that a power limit allows, of a device that has one.
_POWER_RATE = ("prompts.power_rate",)
_ROOM = ("on_chip.capacity", "on_chip.shared_per_unit", "units.count")


def room_paths(known: Container[str]) -> list[str]:
    """Return the keys that say how much on-chip memory a device has, of those in `known`.

    None where it does not say.
    """
    scratchpads = all(path in known for path in _ROOM[1:])
    return [path for path in _ROOM if path in known and (scratchpads or path == _ROOM[0])]


def on_chip_room(hardware: Hardware) -> float | None:
    """Return the on-chip memory of a device [B], None where its file does not say."""
    paths = room_paths(hardware.values)
    return (
        equations.on_chip_room(*(hardware.values[path].value if path in paths else 0.0 for path in _ROOM))
        if paths
        else None
    )


def lookup_own(hardware: Hardware, mode: Mode, key: str) -> bool:
    """Return whether `mode` itself, not the mode it is based on, gives `key`."""
    return f"modes.{mode.name}.{key}" in hardware.values


def sustained_names(kind: str) -> tuple[str, ...]:
    """Return the keys under memory.sustained that may hold the share of `kind`, nearest first."""
    if kind in (CACHE, ACTIVATIONS, ON_CHIP):
        return kind, "weights"
    return (kind, "quantised", "weights") if STORAGE_FORMATS[kind].bits < 16 else (kind, "weights")
