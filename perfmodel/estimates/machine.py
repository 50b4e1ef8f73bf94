"""The parameters of one side of a question by their paths, and what the machine sustains and costs at numbers for them.

Numbers are handed in by path, and may be of any kind. A position of -1 is the slow end of a parameter, 0 its value, +1
the fast end.
"""

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import mul
from typing import TYPE_CHECKING

from perfmodel import equations
from perfmodel.errors import SpecificationError
from perfmodel.estimates.callparameters import CallParameters
from perfmodel.estimates.counts import Further
from perfmodel.estimates.machinerates import Chain, Columns, Costs, FewTokens, Fixed, PromptRates, Rates, Route
from perfmodel.estimates.memoryparameters import MemoryParameters
from perfmodel.estimates.plan import Plan
from perfmodel.estimates.positions import standing_at
from perfmodel.estimates.taking import Taking
from perfmodel.numbers.choices import Number
from perfmodel.specifications.formats import arithmetic_format
from perfmodel.specifications.hardware import Hardware, Mode

if TYPE_CHECKING:
    from perfmodel.estimates.routes import RoutePaths

# Rate, share and half rows of a prompt's matrices, rate and share of its attention.
_PROMPT = ("prompts.rate", "prompts.share", "prompts.half", "prompts.attention_rate", "prompts.attention")
# The rate that a power limit allows, of a device that has one.
_POWER_RATE = ("prompts.power_rate",)
_UNPACKED = "prompts.unpacked"
# What large products sustain of the arithmetic rate, and what kernels of few rows reach of that.
_SHARES = ("arithmetic.sustained", "kernels.arithmetic")
# Of plain calls: rows of a tile, what is added, the most tokens of kernels for few, and of those for routed experts.
_APART = "kernels.experts_apart"
_PLAIN = ("kernels.tile", "kernels.added", "kernels.most_columns", _APART)
# What kernels for few sequences take for each, of matrices below 16 bits.
_COLUMNS = ("kernels.most_columns", "kernels.column", "arithmetic.fp32")
# What kernels for few tokens take for each.
_FEW = ("drafts.token", "drafts.operations", "drafts.vector_rate")


class SideParameters:
    """The quantities that one side (a plan under a launch mode) takes from a device, by path and group.

    used: group and quantity of each path.
    """

    def __init__(self, hardware: Hardware, mode: Mode, plan: Plan, activations: str) -> None:
        taking = Taking(hardware, mode)
        self.used = taking.used
        self._memory = MemoryParameters(taking, plan)
        self._arithmetic = _arithmetic_paths(taking, activations)
        held = () if taking.fused else hardware.values
        self._plain = [
            taking.take(path, "arithmetic") if path in held and (path != _APART or plan.chooses_experts) else None
            for path in _PLAIN
        ]
        few = plan.narrow and not taking.fused
        self._columns = taking.take_known(_COLUMNS, "arithmetic") if few else []
        self._prompt = (
            [*(taking.take(path, "prompts") for path in _PROMPT), *taking.take_known(_POWER_RATE, "prompts")]
            if plan.prompted or plan.network
            else []
        )
        # Kernels of a mode's own multiply blocks as they are.
        self._unpacked = taking.take(_UNPACKED, "prompts") if self._prompt and not taking.fused else None
        self._few = [taking.take(path, "drafts") for path in _FEW] if plan.drafted else []
        self._collective_legs = [_collective_paths(taking, *each) for each in plan.collectives]
        self._library = [
            taking.take_mode(key, "collective") if not taking.fused and plan.collectives else None
            for key in ("exchange", "exchange_rise")
        ]
        self._calls = CallParameters(taking, plan, self._memory.crossing)

    def values(self) -> dict[str, float]:
        """Return the value of each path in use [base units]."""
        return {path: quantity.value for path, (_, quantity) in self.used.items()}

    def standing(self, position: float) -> dict[str, float]:
        """Return the number of each path in use, all of them at `position` [base units]."""
        return {path: standing_at(path, quantity, position) for path, (_, quantity) in self.used.items()}

    def costs(self, numbers: Mapping[str, Number], drafts: Number = None, stages: Number = None) -> Costs:
        """Return all that the side takes from the machine, with each path in use at its number [base units].

        drafts, stages: of a step [-], None for those of the plan.
        """
        rates, fixed = self.rates(numbers, stages), self.fixed(numbers, drafts)
        return Costs(rates, self.chain(numbers), fixed, self.further(numbers))

    def rates(self, numbers: Mapping[str, Number], stages: Number = None) -> Rates:
        """Return what the machine sustains, with each path in use at its number [base units].

        stages: dependent ones of a step [-], None for those of the plan.
        """
        bandwidths = self._memory.bandwidths(numbers, stages)
        collectives = tuple(
            tuple(tuple(_route(route, numbers, self._library) for route in leg) for leg in legs)
            for legs in self._collective_legs
        )
        rate, *shares = self._arithmetic
        tile, added, most, apart = (None if path is None else numbers[path] for path in self._plain)
        return Rates(
            bandwidths,
            numbers["memory.bandwidth"],
            numbers[rate],
            reduce(mul, (numbers[share] for share in shares)) if shares else 1.0,
            collectives,
            tile,
            added,
            prompt=self._prompt_rates(numbers),
            few=FewTokens(*(numbers[path] for path in self._few)) if self._few else None,
            columns=Columns(*(numbers[path] for path in self._columns)) if self._columns else None,
            most=most,
            apart=apart,
        )

    def _prompt_rates(self, numbers: Mapping[str, Number]) -> PromptRates | None:
        if not self._prompt:
            return None
        rate, share, half, attention, attending, *power = (numbers[path] for path in self._prompt)
        unpacked = 0.0 if self._unpacked is None else numbers[self._unpacked]
        limit = power[0] if power else math.inf
        return PromptRates(rate, share, half, attention * attending, limit, unpacked)

    def chain(self, numbers: Mapping[str, Number]) -> Chain:
        """Return what serialises calls, with each path in use at its number [base units]."""
        return self._calls.chain(numbers)

    def further(self, numbers: Mapping[str, Number]) -> Further | None:
        """Return how further tokens of a sequence count, None where a step has one; each path in use at its number."""
        return self._calls.further(numbers)

    def fixed(self, numbers: Mapping[str, Number], drafts: Number = None) -> Fixed:
        """Return the cost of calls and step, with each path in use at its number [base units].

        drafts: of a step [-], None for those of the plan.
        """
        return self._calls.fixed(numbers, drafts)


def _arithmetic_paths(taking: Taking, activations: str) -> list[str]:
    """Return the path of the arithmetic rate for a format of activations, and those of the shares of it."""
    values = taking.hardware.values
    offered = [path.removeprefix("arithmetic.") for path in values if path.startswith("arithmetic.")]
    name = arithmetic_format(activations, offered)
    if name is None:
        raise SpecificationError(
            f"{taking.hardware.path}: has no arithmetic rate as wide as {activations}; it has"
            f" {', '.join(offered) or 'none'}"
        )
    return [taking.take(path, "arithmetic") for path in (f"arithmetic.{name}", *(p for p in _SHARES if p in values))]


def _collective_paths(taking: Taking, kind: str, group: int, stride: int) -> "tuple[tuple[RoutePaths, ...], ...]":
    """Return the routes of each leg of a collective over `group` devices, `stride` apart."""
    from perfmodel.estimates.routes import collective_routes

    legs = collective_routes(taking.hardware, kind, group, stride)
    for path in dict.fromkeys(path for leg in legs for route in leg for path in route.paths()):
        taking.take(path, "collective")
    return legs


def _route(paths: "RoutePaths", numbers: Mapping[str, Number], library: Sequence[str | None]) -> Route:
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
