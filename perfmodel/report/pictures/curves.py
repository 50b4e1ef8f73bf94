"""Rates over devices, context or batch, with fraction of peak or speed-up beside them, and their intervals as bands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from perfmodel.errors import SpecificationError, ValueRangeError
from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.results import Assumption
from perfmodel.report.pictures.axes import (
    AXIS_WORDS,
    banded,
    key,
    key_line,
    limited,
    marked,
    numbered,
    panel,
    placed,
    size_of,
    unfitting,
)
from perfmodel.report.pictures.captions import caption_of, question_line, rate_unit
from perfmodel.report.pictures.paper import AFTER, BEFORE, INK, MARGIN, PEAK, WIDTH, Look, text_width
from perfmodel.report.pictures.picture import Band, Picture, Room
from perfmodel.report.words import number_label, tokens_label
from perfmodel.units import LARGEST_BATCH, MOST_DEVICES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CURVE_DEVICES, _CURVE_BATCHES, CURVE_CONTEXT = 16, 1024, 131_072
_BANDS = ("before.tokens_per_second", "after.tokens_per_second", "before.fraction_of_peak", "after.fraction_of_peak")
_COLUMNS = (
    *(
        f"{side}.{end}{figure}"
        for side, _, figure in (b.partition(".") for b in _BANDS)
        for end in ("", "low.", "high.")
    ),
    *(f"speedup.{end}" for end in ("value", "low", "high")),
    "peak.tokens_per_second",
    "fits.fits",
)


class Curves(Picture, frozen=True):
    """Rates [unit], fractions of peak [-] and speed-up [-] over one axis.

    axis: devices, context or batch; at: the points; fits: whether weights and cache fit at each.
    marks: places on the axis worth a line, with what they are.
    """

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

    def heading(self) -> str:
        """Return the title."""
        return f"Rate and {'fraction of peak' if self.axis == 'devices' else 'speed-up'} over {self.axis}"

    def note(self) -> str:
        """Return how to read bands and markers."""
        return "Bands: intervals of the assumptions." + (
            "" if all(self.fits) else " Hollow markers: weights and cache do not fit into memory there."
        )

    def room(self) -> Room:
        """Return where the axes lie."""
        return Room(MARGIN, 22.0, WIDTH - MARGIN, 314.0)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each point of the axis."""
        bands = dict(zip(_BANDS, (self.before, self.after, self.before_fraction, self.after_fraction), strict=True)) | {
            "speedup": self.speedup
        }
        return [
            {self.axis: at, "fits": self.fits[i], "peak.tokens_per_second": self.peak[i]}
            | {
                f"{name}.{end}": getattr(band, field)[i]
                for name, band in bands.items()
                for end, field in (("value", "values"), ("low", "low"), ("high", "high"))
            }
            for i, at in enumerate(self.at)
        ]

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw rates on the left and, on the right, fraction of peak or speed-up, and return `axes`."""
        axes.set_axis_off()
        wide, high = size_of(axes)
        half = wide / 2
        ending = "" if self.axis == "devices" else ", and its speed-up"
        entries = [key_line(look, words) for look, words in (
            (PEAK, "peak"),
            (BEFORE, f"before: {self.modes[0]}"),
            (AFTER, f"after: {self.modes[1]}{ending}"),
        )]  # fmt: skip
        top = 32 if beside else 0
        left, right = panel(axes, 58, top, half - 6, high), panel(axes, half + 70, top, wide - 8, high)
        key(axes if beside else left, entries, (58, 0) if beside else None, columns=3 if beside else 1)
        for each in (left, right):
            limited(each, "x", self.at, room=1.25, log=min(self.at) > 0)
            words = AXIS_WORDS[self.axis] if beside else self.axis
            placed(each, self.at, words, _whole_tokens if self.axis == "context" else number_label)
        self._rates(left)
        self._shares(right)
        for each in (left, right):
            self._marks(each, named=each is right)
            self._unfitting(each, named=each is left)
        return axes

    def _rates(self, axes: "Axes") -> None:
        limited(axes, "y", [*self.before.low, *self.after.high, *self.peak])
        numbered(
            axes, "y", f"rate [{self.unit}, all sequences]" if self.axis == "batch" else f"rate [{self.unit}]", count=6
        )
        axes.plot(self.at, self.peak, color=PEAK.colour, linestyle=PEAK.dash, linewidth=1.5)
        self._banded(axes, self.before, BEFORE, 1.0)
        self._banded(axes, self.after, AFTER, 1.0)

    def _shares(self, axes: "Axes") -> None:
        if self.axis == "devices":
            highest = max(*self.before_fraction.high, *self.after_fraction.high)
            axes.set_ylim(0.0, 100.0 if highest > 0.4 else 130.0 * highest)
            numbered(axes, "y", "fraction of peak [%]", count=6)
            self._banded(axes, self.before_fraction, BEFORE, 100.0)
            self._banded(axes, self.after_fraction, AFTER, 100.0)
            return
        limited(axes, "y", [0.9, *self.speedup.low, *self.speedup.high], zero=False, log=False)
        numbered(axes, "y", "speed-up [x]", count=6)
        axes.axhline(1.0, color=INK, linewidth=1.2, linestyle=PEAK.dash)
        self._banded(axes, self.speedup, AFTER, 1.0)

    def _banded(self, axes: "Axes", band: Band, look: Look, factor: float) -> None:
        values, low, high = ([factor * value for value in ends] for ends in (band.values, band.low, band.high))
        banded(axes, self.at, low, high, look)
        if len(self.at) == 1:  # one point has no band, but an interval still
            axes.vlines(self.at, low, high, color=look.colour, linewidth=1.2)
        marked(axes, self.at, values, self.fits, look)

    def _marks(self, axes: "Axes", *, named: bool) -> None:
        low, high = axes.get_xlim()
        for words, place in self.marks:
            if not low < place < high:
                continue
            axes.axvline(place, color=INK, linewidth=1, linestyle=(0, (8, 3, 2, 3)))
            if named:
                # The words stand where there is room: left of the line, above what falls from left to right.
                at = axes.transAxes.inverted().transform(axes.transData.transform((place, axes.get_ylim()[0])))[0]
                left = at * size_of(axes)[0] > text_width(words, 11) + 10
                falls = self.axis != "devices" or self.before_fraction.low[-1] < 0.25 * self.before_fraction.high[0]
                axes.annotate(
                    words,
                    (place, 1.0 if falls else 0.0),
                    (-5 if left else 5, -12 if falls else 8),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    ha="right" if left else "left",
                    size=11,
                    color=INK,
                )

    def _unfitting(self, axes: "Axes", *, named: bool) -> None:
        unfitting(axes, self.at, self.fits, named=named)


def _whole_tokens(value: float) -> str:
    return tokens_label(round(value))


def points_of(
    answer: Estimate, columns: Sequence[str], **axes: Sequence[int]
) -> tuple[dict[str, list[Any]], list[Assumption]]:
    """Return columns of the question of `answer` over `axes`, the first slowest, and every assumption behind them.

    axes: devices, batch or context, in this order, each with its points.
    """
    from perfmodel.sweeps.sweeps import make_grid, work_out

    asked = answer.asked.arguments | {name: list(values) for name, values in axes.items()}
    known = answer.prepared.known
    grid = make_grid(asked.pop("model"), asked.pop("hardware"), **asked, columns=list(columns), known=known)
    found = work_out(grid).to_dict()
    return found, [a for case in grid.questions.values() for a in case.question.assumptions]


def _curves(answer: Estimate, axis: str, at: Sequence[int], marks: Sequence[tuple[str, float]] = ()) -> Curves:
    found, assumptions = points_of(answer, _COLUMNS, **{axis: at})

    def band(name: str) -> Band:
        side, _, figure = name.partition(".")
        ends = [
            sorted(pair) for pair in zip(found[f"{side}.low.{figure}"], found[f"{side}.high.{figure}"], strict=True)
        ]
        return Band(tuple(found[name]), tuple(low for low, _ in ends), tuple(high for _, high in ends))

    return Curves(
        caption=caption_of(question_line(answer, axis), assumptions),
        axis=axis,
        at=tuple(at),
        fits=tuple(found["fits.fits"]),
        modes=(answer.before.mode, answer.after.mode),
        peak=tuple(found["peak.tokens_per_second"]),
        before=band("before.tokens_per_second"),
        after=band("after.tokens_per_second"),
        before_fraction=band("before.fraction_of_peak"),
        after_fraction=band("after.fraction_of_peak"),
        speedup=Band(tuple(found["speedup.value"]), tuple(found["speedup.low"]), tuple(found["speedup.high"])),
        marks=tuple(marks),
        unit=rate_unit(answer),
    )


def doubling(first: int, last: int, asked: int) -> tuple[int, ...]:
    """Return first, twice, four times and so on up to last, with the asked point among them."""
    found = {asked}
    while first <= last:
        found.add(first)
        first *= 2
    return tuple(sorted(found))


def scaling(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over devices; `at` or powers of two up to sixteen, or twice the asked number.

    Where the device has no figures of a link, or the question says how its devices share the work, only the number
    asked for stays.
    """
    devices = tuple(at or doubling(1, min(max(_MOST_CURVE_DEVICES, 2 * answer.devices), MOST_DEVICES), answer.devices))
    reached = [count for count in devices if _askable(answer, count)]
    domain = answer.prepared.hardware.values.get("link.domain")
    within = domain is not None and domain.value < (reached or devices)[-1]
    marks = [(f"link domain: {domain.value:g}", domain.value)] if domain is not None and within else []
    return _curves(answer, "devices", reached or devices, marks)


def _askable(answer: Estimate, devices: int) -> bool:
    """Whether the question can be asked of so many devices: it cannot without figures of a link."""
    if devices == answer.devices:
        return True
    try:
        answer.replace(devices=devices)
    except (SpecificationError, ValueRangeError):
        return False
    return True


def over_context(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over context; `at` or powers of two up to what the model was made for."""
    return _curves(answer, "context", at or contexts_of(answer, 128))


def contexts_of(answer: Estimate, first: int) -> tuple[int, ...]:
    """Return contexts from `first` up to what the model was made for, the asked one among them."""
    longest = answer.prepared.model.longest_context or CURVE_CONTEXT
    return doubling(first, min(max(longest, 4096), CURVE_CONTEXT), max(answer.context, 1))


def over_batch(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over batch; `at` or powers of two, with the largest batch at which looping pays."""
    batches = tuple(at or doubling(1, min(max(_CURVE_BATCHES, answer.batch), LARGEST_BATCH), answer.batch))
    last = (answer if answer.batch == 1 else answer.replace(batch=1)).breakeven_batch
    marks = [(f"pays up to {last:,}", float(last))] if last is not None and last <= batches[-1] else []
    return _curves(answer, "batch", batches, marks)
