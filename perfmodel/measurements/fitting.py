"""The parameters that may explain a measured step alone, each with what is assumed of it.

Parameters are handled as natural logarithms. Their prior is the catalogue's interval: low and high are the
5th and 95th percentile, so half the interval is 1.645 standard deviations, on each side its own.
"""

import math
from collections.abc import Sequence

import msgspec

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.estimates.memoryparameters import sustained_names
from perfmodel.estimates.prepared import prepare_question
from perfmodel.estimates.question import Question
from perfmodel.estimates.regression import MeasuredSide
from perfmodel.estimates.sides import PreparedSide
from perfmodel.numbers.choices import added
from perfmodel.operations.work import ACTIVATIONS, split_kind
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.hardware import Hardware
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
    below = (centre - math.log(quantity.low)) / NORMAL_PERCENTILE if quantity.low > 0 else _OPEN_SPREAD
    above = (math.log(quantity.high) - centre) / NORMAL_PERCENTILE
    wider = max(below, above)
    # A value at the end of its interval says little of that side; half of the other side's spread stands in.
    return Prior(path, quantity, max(below, wider / 2, _LEAST_SPREAD), max(above, wider / 2, _LEAST_SPREAD))


def adjustable(question: Question, measured: float) -> MeasuredSide:
    """Return the side before of a question, measured [s], with what whole steps tell as single parameters.

    Its boundary is one quantity, and each storage format has a share of its own.
    """
    device = with_format_shares(with_boundary(question.hardware, question.before), question.formats.storage.formats())
    same = question.after_hardware is question.hardware
    prepared = prepare_question(
        msgspec.structs.replace(question, hardware=device, after_hardware=device if same else question.after_hardware)
    )
    return MeasuredSide(prepared.before, question.batch, question.context, measured)


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


def weights_path(side: PreparedSide) -> str:
    """Return the path of the share of a memory's rate that the first kind of weights sustains."""
    return _sustained(side, side.plan.kinds[0])


def priors_of(side: PreparedSide) -> dict[str, Prior]:
    """Return the priors of the parameters that a whole step can tell something of.

    Shares, boundary, stage, host, collectives.
    """
    used = side.parameters.used
    wanted = [_sustained(side, kind) for kind in side.plan.kinds if kind != ACTIVATIONS]
    wanted += [path for path in used if path.rpartition(".")[2] in _KEYS and path.startswith("modes.")]
    wanted += [path for path in used if path.startswith("collectives.") and path.endswith(".latency")]
    return {
        path: prior_of(path, used[path][1])
        for path in dict.fromkeys(wanted)
        if path in used and used[path][1].value > 0 and used[path][1].low < used[path][1].high
    }


def _sustained(side: PreparedSide, kind: str) -> str:
    """Return the path of the share of a memory's rate that one kind of bytes sustains."""
    tier, storage = split_kind(kind)
    if tier:
        own = f"tiers.{tier}.sustained"
        return own if own in side.hardware.values else "memory.sustained.weights"
    paths = (f"memory.sustained.{name}" for name in sustained_names(storage))
    return next(path for path in paths if path in side.hardware.values)
