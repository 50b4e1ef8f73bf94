"""What every picture is: plain numbers in base units, with what to say about them and how to draw them."""

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Caption(msgspec.Struct, frozen=True):
    """What stands under a picture: the question, and every assumption with its interval."""

    question: str
    assumptions: tuple[str, ...]


class Band(msgspec.Struct, frozen=True):
    """A curve with its interval; low is never above high."""

    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Room(msgspec.Struct, frozen=True):
    """Where the axes of a picture lie on a sheet of its own [pt]: from the left edge, and from under the title.

    below: for ticks and words under the axes.
    """

    left: float
    top: float
    right: float
    bottom: float
    below: float = 46.0


class Picture(msgspec.Struct, frozen=True):
    """The numbers of a picture in base units. Each kind has a record of its own, which draws itself."""

    caption: Caption

    def heading(self) -> str:
        """Return the title."""
        raise NotImplementedError

    def verdict(self) -> str:
        """Return what the picture says in few words, beside the title; '' for nothing."""
        return ""

    def note(self) -> str:
        """Return how to read the picture, under it; '' for nothing."""
        return ""

    def room(self) -> Room:
        """Return where the axes lie on a sheet of its own."""
        raise NotImplementedError

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw the picture on matplotlib's `axes` and return them.

        beside: whether there is room right of them, for a key.
        """
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """Return the numbers as flat rows, in base units."""
        raise NotImplementedError
