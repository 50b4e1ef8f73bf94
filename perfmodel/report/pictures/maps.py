"""The speed-up as cells over batch and context."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from perfmodel.estimates.answers import Estimate
from perfmodel.report.pictures.axes import dressed, key, say
from perfmodel.report.pictures.captions import caption_of, question_line
from perfmodel.report.pictures.curves import contexts_of, doubling, points_of
from perfmodel.report.pictures.paper import DARK_MARK, INK, LIGHT_MARK, MARGIN, WIDTH
from perfmodel.report.pictures.picture import Picture, Room
from perfmodel.report.words import number_label, tokens_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# From paper to a deep blue; a loss is orange.
_STEPS = (
    (1.0, "#f5c26b", "loses: under 1 x"),
    (1.05, "#f2f2f2", "hardly: 1 to 1.05 x"),
    (1.2, "#d3e6f5", "to 1.2 x"),
    (1.5, "#9ecae1", "to 1.5 x"),
    (2.0, "#5aa2d0", "to 2 x"),
    (3.0, "#2171b5", "to 3 x"),
    (float("inf"), "#08306b", "over 3 x"),
)
_DEEP = ("#2171b5", "#08306b")
_HIGHEST, _TALLEST = 330.0, 34.0  # of all rows, of one [pt]


class Map(Picture, frozen=True):
    """Speed-up [-] over batch (columns) and context (rows), and whether each fits."""

    batches: tuple[int, ...]
    contexts: tuple[int, ...]
    speedup: tuple[tuple[float, ...], ...]
    fits: tuple[tuple[bool, ...], ...]
    modes: tuple[str, str]

    def heading(self) -> str:
        """Return the title."""
        return f"Speed-up by {self.modes[1]} over {self.modes[0]}, by batch and context"

    def note(self) -> str:
        """Return how to read hatched cells."""
        return "" if all(map(all, self.fits)) else "Hatched: weights and cache do not fit into memory there."

    def room(self) -> Room:
        """Return where the axes lie."""
        high = min(_TALLEST, _HIGHEST / len(self.contexts))
        return Room(MARGIN + 66, 24.0, WIDTH - 196, 24.0 + max(high * len(self.contexts), 184.0))

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each cell."""
        return [
            {"context": c, "batch": b, "speedup": self.speedup[i][j], "fits": self.fits[i][j]}
            for i, c in enumerate(self.contexts)
            for j, b in enumerate(self.batches)
        ]

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw a cell for each point, which holds its number, so that colour is never needed to read it."""
        dressed(axes, left=False, bottom=False).grid(visible=False)
        axes.set(xlim=(-0.5, len(self.batches) - 0.5), ylim=(-0.5, len(self.contexts) - 0.5))
        axes.tick_params(length=0)
        axes.set_xticks(range(len(self.batches)), labels=[number_label(b) for b in self.batches])
        axes.set_yticks(range(len(self.contexts)), labels=[tokens_label(c) for c in self.contexts])
        axes.set_xlabel("batch [sequences in a step]", color=INK, size=12)
        axes.set_ylabel("context [tokens; k = 1,024]", color=INK, size=12)
        for i, row in enumerate(self.speedup):
            for j, value in enumerate(row):
                self._cell(axes, j, i, value, fits=self.fits[i][j])
        if beside:
            self._key(axes)
        return axes

    def _cell(self, axes: "Axes", x: int, y: int, value: float, *, fits: bool) -> None:
        from matplotlib.patches import Rectangle

        colour = next(colour for end, colour, _ in _STEPS if value < end)
        ink = LIGHT_MARK if colour in _DEEP else DARK_MARK
        place = (x - 0.5, y - 0.5)
        axes.add_patch(Rectangle(place, 1, 1, facecolor=colour, edgecolor=LIGHT_MARK, linewidth=0.8))
        behind = None
        if not fits:
            axes.add_patch(
                Rectangle(place, 1, 1, facecolor="none", edgecolor=ink, hatch="///", linewidth=0, alpha=0.45)
            )
            behind = {"facecolor": colour, "edgecolor": "none", "pad": 1.2}
        size = 11 if len(self.batches) <= 14 else 9
        axes.text(x, y, f"{value:.2f}", size=size, color=ink, ha="center", va="center", bbox=behind)

    def _key(self, axes: "Axes") -> None:
        from matplotlib.patches import Patch

        entries = [Patch(facecolor=colour, edgecolor=INK, linewidth=0.8, label=words) for _, colour, words in _STEPS]
        if not all(map(all, self.fits)):
            entries.append(Patch(facecolor="none", edgecolor=INK, hatch="////", linewidth=0.8, label="does not fit"))
        say(axes, 24, 12, "speed-up [x]", right=True, weight="bold")
        key(axes, entries, (24, 24), right=True, size=11)


def speedup_map(answer: Estimate, batches: Sequence[int] | None = None, contexts: Sequence[int] | None = None) -> Map:
    """Return the speed-up over batch and context; batches, contexts: their points, powers of two if not given."""
    columns = tuple(batches or doubling(1, max(512, answer.batch), answer.batch))
    rows = tuple(contexts or contexts_of(answer, 512))
    # Batch stands before context among the axes of a sweep, so context changes fastest.
    found, _ = points_of(answer, ("speedup.value", "fits.fits"), batch=columns, context=rows)
    speedup, fits = (
        tuple(tuple(found[name][i :: len(rows)]) for i in range(len(rows))) for name in ("speedup.value", "fits.fits")
    )
    return Map(
        caption_of(question_line(answer, "batch", "context"), answer.assumptions),
        columns,
        rows,
        speedup,
        fits,
        (answer.before.mode, answer.after.mode),
    )
