"""What is asked of an inverse question: a figure and the value it is to have, or a question that has a name."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, UnreadableValueError, ValueRangeError, shown
from perfmodel.estimates.breakeven import PAYS
from perfmodel.estimates.figures import FIGURES, figure_name
from perfmodel.units import read_quantity_option

COMPUTE_BOUND = "arithmetic_over_streaming"
# Targets about the speed-up in other words: what is more than 1, and a share of that.
GAINS = ("gain", "share-of-gain")


class NamedQuestion(msgspec.Struct, frozen=True):
    """A question with a name. unknown and target as `solve` takes them; target is what is meant if none is given."""

    unknown: str
    target: str
    meaning: str


NAMED = {
    "boundary-for-peak": NamedQuestion(
        "boundary", "before.fraction_of_peak=0.9", "the boundary cost at which the calls as they are reach 90 % of peak"
    ),
    "boundaries-that-may-stay": NamedQuestion(
        "loop_at_most",
        "share-of-gain=0.9",
        "how few iterations a looped call may hold, and so how many boundaries may stay, for 90 % of what looping"
        " gains",
    ),
    "devices-for-rate": NamedQuestion(
        "devices", "after.tokens_per_second_per_sequence=100", "the fewest devices that give each user 100 tok/s"
    ),
    "compute-bound-batch": NamedQuestion(
        "batch", "before.compute-bound", "the smallest batch whose arithmetic takes as long as its streaming"
    ),
    "last-paying-batch": NamedQuestion("batch", f"speedup={PAYS}", "the largest batch at which looping still pays"),
    "cache-passes-weights": NamedQuestion(
        "context", "cache_over_weights=1", "the context at which a step reads as much cache as weights"
    ),
    "bandwidth-for-rate": NamedQuestion(
        "memory.bandwidth",
        "after.tokens_per_second_per_sequence=100",
        "the memory bandwidth a new chip needs for 100 tok/s a user",
    ),
    "model-size": NamedQuestion(
        "hidden", f"speedup={PAYS}", "the width of a model of this shape and depth at which looping stops paying"
    ),
}


class Target(msgspec.Struct, frozen=True):
    """A figure of `perfmodel.estimates.figures` and what it should be [unit]."""

    figure: str
    value: float

    @property
    def unit(self) -> str:
        """Return the unit of the figure."""
        return FIGURES[self.figure]

    def met(self, figure: float) -> bool:
        """Return whether `figure` is at least the target, or for a time at most."""
        slack = 1e-12 * abs(self.value)
        return figure <= self.value + slack if self.unit == "s" else figure >= self.value - slack


def read_target(target: str | Mapping[str, Any], speedup: Callable[[], float]) -> Target:
    """Return what a target text or mapping asks for.

    gain=5% is a speed-up of 1.05; share-of-gain=90% keeps nine tenths of what looping gains as asked.
    speedup: gives the speed-up [-] now.
    """
    if isinstance(target, str):
        name, equals, text = (part.strip() for part in target.partition("="))
        value: Any = text
        if name.endswith("compute-bound") and not equals:
            name, value = f"{name.removesuffix('compute-bound') or 'before.'}{COMPUTE_BOUND}", "1"
        elif not equals or not text:
            raise UnreadableValueError(
                f"target: {shown(target)} is not FIGURE=VALUE; write something like after.tokens_per_second=100tok/s"
                " or speedup=1.2"
            )
    else:
        if len(target) != 1:
            raise SpecificationError("target: one figure is solved for at a time")
        ((name, value),) = target.items()
    figure = "speedup.value" if name in GAINS else figure_name(name)
    where = f"target {name}"
    # Rates may be bare numbers; from Python any number is in base units.
    bare = FIGURES[figure] == "1" or not isinstance(value, str) or (FIGURES[figure] == "tok/s" and value[-1:].isdigit())
    number = read_quantity_option(
        value.removesuffix("x") if isinstance(value, str) and bare else value, "1" if bare else FIGURES[figure], where
    )
    if name == "speedup" and str(value).rstrip().endswith("%"):
        raise UnreadableValueError(f"{where}: {shown(value)} is {number:g} x; a gain of {shown(value)} is gain={value}")
    if number <= 0:
        raise ValueRangeError(f"{where}: {shown(value)} is out of range; more than 0 is accepted")
    if name == "share-of-gain":
        return Target(figure, 1 + number * (speedup() - 1))
    # A gain with an x is the speed-up itself.
    return Target(figure, 1 + number if name == "gain" and not str(value).endswith("x") else number)
