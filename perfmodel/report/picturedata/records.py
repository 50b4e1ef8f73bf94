"""What a picture shows, as plain numbers in base units."""

import msgspec

from perfmodel.estimates.answers import Estimate


class Caption(msgspec.Struct, frozen=True):
    """What stands under a picture: the question, and every assumption with its interval."""

    question: str
    assumptions: tuple[str, ...]


class Band(msgspec.Struct, frozen=True):
    """A curve with its interval; low is never above high."""

    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class SideBars(msgspec.Struct, frozen=True):
    """One side of a waterfall: terms [s] in the order of TERM_NAMES, the step and its interval [s]."""

    mode: str
    terms: tuple[float, ...]
    step: float
    low: float
    high: float
    kernel_calls: int


class Waterfall(msgspec.Struct, frozen=True):
    """Where the time of a step goes. peak [s]: the step at the datasheet bandwidth."""

    caption: Caption
    peak: float
    before: SideBars
    after: SideBars
    speedup: tuple[float, float, float]


class RooflinePoint(msgspec.Struct, frozen=True):
    """Operations of alike intensity [FLOP/B], the rate [FLOP/s] they reach under the roofs, and their share of the bytes [-]."""

    names: tuple[str, ...]
    intensity: float
    rate: float
    share: float


class Roofline(msgspec.Struct, frozen=True):
    """The roofs of one device and what lies under them.

    bandwidth, sustained_bandwidth [B/s]; rates: arithmetic format and datasheet rate [FLOP/s], the one in use first;
    sustained_rate [FLOP/s]; step: intensity of the whole step, its rate before and after on one device, and at peak.
    """

    caption: Caption
    hardware: str
    bandwidth: float
    sustained_bandwidth: float
    rates: tuple[tuple[str, float], ...]
    sustained_rate: float
    points: tuple[RooflinePoint, ...]
    step_intensity: float
    step_rates: tuple[float, float, float]
    modes: tuple[str, str]


class Curves(msgspec.Struct, frozen=True):
    """Rates [unit], fractions of peak [-] and speed-up [-] over one axis.

    axis: devices, context or batch; at: the points; fits: whether weights and cache fit at each.
    marks: places on the axis worth a line, with what they are.
    """

    caption: Caption
    axis: str
    at: tuple[int, ...]
    fits: tuple[bool, ...]
    modes: tuple[str, str]
    peak: tuple[float, ...]
    before: Band
    after: Band
    before_fraction: Band
    after_fraction: Band
    speedup: Band
    marks: tuple[tuple[str, float], ...] = ()
    unit: str = "tok/s"


class Map(msgspec.Struct, frozen=True):
    """Speed-up [-] over batch (columns) and context (rows), and whether each fits."""

    caption: Caption
    batches: tuple[int, ...]
    contexts: tuple[int, ...]
    speedup: tuple[tuple[float, ...], ...]
    fits: tuple[tuple[bool, ...], ...]
    modes: tuple[str, str]


class TornadoBar(msgspec.Struct, frozen=True):
    """One assumption, its ends as text, and the figure with it alone at either end."""

    name: str
    low: str
    high: str
    at_low: float
    at_high: float
    share: float


class Tornado(msgspec.Struct, frozen=True):
    """How far each assumption alone moves a figure, the most first; value, low, high of that figure [unit]."""

    caption: Caption
    figure: str
    unit: str
    value: float
    low: float
    high: float
    bars: tuple[TornadoBar, ...]


class Measured(msgspec.Struct, frozen=True):
    """One published measurement beside its prediction and interval [s]; group: its class."""

    name: str
    group: str
    measured: float
    predicted: float
    low: float
    high: float


class Validated(msgspec.Struct, frozen=True):
    """Predicted against measured. median: of |error| [-]; inside: share of measurements inside the interval [-]."""

    caption: Caption
    points: tuple[Measured, ...]
    median: float
    inside: float


class Line(msgspec.Struct, frozen=True):
    """One line of a sweep: rates before and after [tok/s], speed-up [-], whether each point fits into memory."""

    name: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    speedup: Band
    fits: tuple[bool, ...]


class Lines(msgspec.Struct, frozen=True):
    """A sweep over one axis, a line for each choice of the others.

    at: the points [unit]; left_out: lines that had no room.
    """

    caption: Caption
    title: str
    axis: str
    unit: str
    at: tuple[float, ...]
    lines: tuple[Line, ...]
    left_out: int


class Bar(msgspec.Struct, frozen=True):
    """One choice: its rate [tok/s] with the interval, and the rate before; None where not known."""

    name: str
    rate: float
    low: float | None
    high: float | None
    before: float | None
    fits: bool


class Bars(msgspec.Struct, frozen=True):
    """Choices side by side, in the order of `bars`. left_out: choices that had no room."""

    caption: Caption
    title: str
    bars: tuple[Bar, ...]
    left_out: int


class WhatIf(msgspec.Struct, frozen=True):
    """A question next to the one asked, and its answer."""

    change: str
    answer: Estimate


class Report(msgspec.Struct, frozen=True):
    """Everything a page about one answer shows. last_paying_batch: None where it does not pay or has no end."""

    answer: Estimate
    last_paying_batch: int | None
    pictures: tuple["Picture", ...]
    what_ifs: tuple[WhatIf, ...]


Picture = Waterfall | Roofline | Curves | Map | Tornado | Validated
Drawn = Picture | Lines | Bars
