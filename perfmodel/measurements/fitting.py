"""A step whose uncertain parameters can be moved one by one: what calibration and the explanation of a gap share.

Parameters are handled as natural logarithms. Their prior is the catalogue's interval: low and high are the
5th and 95th percentile, so half the interval is 1.645 standard deviations, on each side its own.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec

from perfmodel.equations.uncertainty import TO_PERCENTILE
from perfmodel.estimates.counts import counts_at
from perfmodel.estimates.memoryparameters import sustained_names
from perfmodel.estimates.placement import Placement
from perfmodel.estimates.prepared import Prepared, prepare
from perfmodel.estimates.stepping import step_of
from perfmodel.numbers.choices import added
from perfmodel.operations import Formats
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.work import ACTIVATIONS, split_kind
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity

# Spread of a parameter whose catalogue interval is closed or reaches zero on one side: a factor of two.
_LEAST_SPREAD, _OPEN_SPREAD = 0.005, math.log(2.0)
_KEYS = ("boundary", "matrix", "experts", "stage", "host", "sequence", "issue", "kv", "exchange", "exchange_rise")


class Prior(msgspec.Struct, frozen=True):
    """What is assumed of a parameter before any row.

    Path, quantity, and the spreads of its logarithm below and above the value [-].
    """

    path: str
    quantity: Quantity
    below: float
    above: float

    def deviation(self, logarithm: float) -> float:
        """Return how many standard deviations a value with this logarithm lies from the catalogue's value [-]."""
        offset = logarithm - math.log(self.quantity.value)
        return offset / (self.below if offset < 0 else self.above)


def prior_of(path: str, quantity: Quantity) -> Prior:
    """Return the prior that the interval of `quantity` stands for; its value must be positive."""
    centre = math.log(quantity.value)
    below = (centre - math.log(quantity.low)) / TO_PERCENTILE if quantity.low > 0 else _OPEN_SPREAD
    above = (math.log(quantity.high) - centre) / TO_PERCENTILE
    wider = max(below, above)
    # A value at the end of its interval says little of that side; half of the other side's spread stands in.
    return Prior(path, quantity, max(below, wider / 2, _LEAST_SPREAD), max(above, wider / 2, _LEAST_SPREAD))


def with_boundary(hardware: Hardware, mode: str) -> Hardware:
    """Return the device with the boundary of `mode` as one quantity in place of its parts, whose sum it is (B1)."""
    if hardware.mode_value(mode, "boundary") is not None:
        return hardware
    parts = [found[1] for key in ("bare", "ramp", "tail") if (found := hardware.mode_value(mode, key)) is not None]
    if not parts:
        return hardware
    low, value, high = (added(getattr(part, end) for part in parts) for end in ("low", "value", "high"))
    quantity = Quantity(
        low=low,
        value=value,
        high=high,
        unit="s",
        kind="derived",
        source="; ".join(dict.fromkeys(part.source for part in parts)),
    )
    return hardware.replace_values({f"modes.{mode}.boundary": quantity})


def with_format_shares(hardware: Hardware, formats: Sequence[str]) -> Hardware:
    """Return the device with a sustained share of its own for each storage format below 16 bits."""
    shares: dict[str, Quantity] = {}
    for name in formats:
        if STORAGE_FORMATS[name].bits < 16 and f"memory.sustained.{name}" not in hardware.values:
            found = next(
                (
                    hardware.values[p]
                    for p in (f"memory.sustained.{key}" for key in sustained_names(name))
                    if p in hardware.values
                ),
                None,
            )
            if found is not None:
                shares[f"memory.sustained.{name}"] = found
    return hardware.replace_values(shares)


class AdjustableStep:
    """A decode step at one workload whose parameters can be replaced; times are at the value of all others."""

    def __init__(
        self,
        model: Model,
        hardware: Hardware,
        mode: str,
        devices: int | Parallel,
        formats: Formats,
        batch: int,
        context: int,
        placement: Placement | None = None,
    ) -> None:
        self.hardware = with_format_shares(with_boundary(hardware, mode), formats.storage.formats())
        side = prepare(model, self.hardware, devices, formats, mode, mode, None, None, placement).before
        self.mode, self.plan = mode, side.plan
        self._counts = counts_at(self.plan, batch, context)
        self._parameters, self._values = side.parameters, side.parameters.values()
        self.weights_path = self._sustained(self.plan.kinds[0])

    @classmethod
    def of(cls, question: Prepared, mode: str, batch: int, context: int) -> "AdjustableStep":
        """Return the step of a prepared question in one of its modes."""
        return cls(
            question.model,
            question.hardware,
            mode,
            question.parallel,
            question.formats,
            batch,
            context,
            question.placement,
        )

    def _sustained(self, kind: str) -> str:
        """Return the path of the share of a memory's rate that one kind of bytes sustains."""
        tier, storage = split_kind(kind)
        if tier:
            own = f"tiers.{tier}.sustained"
            return own if own in self.hardware.values else "memory.sustained.weights"
        paths = (f"memory.sustained.{name}" for name in sustained_names(storage))
        return next(path for path in paths if path in self.hardware.values)

    def priors(self) -> dict[str, Prior]:
        """Return the priors of the parameters that whole steps can tell something of.

        Shares, boundary, stage, host, collectives.
        """
        wanted: list[str] = [self._sustained(kind) for kind in self.plan.kinds if kind != ACTIVATIONS]
        wanted += [
            path for path in self._parameters.used if path.rpartition(".")[2] in _KEYS and path.startswith("modes.")
        ]
        wanted += [
            path for path in self._parameters.used if path.startswith("collectives.") and path.endswith(".latency")
        ]
        found: dict[str, Prior] = {}
        for path in dict.fromkeys(wanted):
            used = self._parameters.used.get(path)
            if used is not None and used[1].value > 0 and used[1].low < used[1].high:
                found[path] = prior_of(path, used[1])
        return found

    def time(self, values: Mapping[str, float]) -> float:
        """Return the time of the step [s] with some parameters at these values, in base units.

        Those it does not use are ignored.
        """
        numbers = self._values | {path: value for path, value in values.items() if path in self._values}
        return float(step_of(self.plan, self._parameters.costs(numbers), self._counts).time())


def largest(path: str) -> float:
    """Return the largest value that the parameter `path` may have, in its base unit."""
    parameter = lookup(path)
    return parameter.most if parameter is not None else 1e30
