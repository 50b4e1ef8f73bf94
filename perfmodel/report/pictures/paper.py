"""The sheet a picture is drawn on: colours, fonts, title and caption, and how it becomes SVG, PNG or PDF.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; each comes with a hatch, dashes or a marker,
so that a black-and-white print tells them apart too. matplotlib draws, without its global state.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.quoting import markup
from perfmodel.report.pictures.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER, INK, SOFT, GRID, AXIS = "#ffffff", "#1a1a1a", "#595959", "#dedede", "#4d4d4d"
ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE, GREY = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#bdbdbd",
)
# Dark on colours and light on colours, whatever the scheme of the page is.
DARK_MARK, LIGHT_MARK = "#1b1b1b", "#fefefe"
# The colours that a dark page turns round: the variable of the page, and what it is there.
VARIABLES = {
    PAPER: ("--paper", "#16181b"),
    INK: ("--ink", "#ececec"),
    SOFT: ("--soft", "#b4b8bd"),
    GRID: ("--grid", "#33373c"),
    AXIS: ("--axis", "#a9aeb4"),
    BLUE: ("--win", "#56b4e9"),
}
WIDTH, MARGIN, LINE = 860.0, 16.0, 14.0  # of a sheet, its margin, a line of small text [pt]
_TITLE, _QUESTION, _FOOT = 24.0, 18.0, 14.0  # heights of a title, of the question under it, of the lower margin [pt]
_POINTS = 72.0  # in an inch
_SPARE = 1.02  # letters on a coarse grid are a little wider
_SCALE = 2  # pixels of a PNG in a point

# matplotlib measures with the font that it brings; a reader's own is narrower, so nothing runs over.
_FONT = "DejaVu Sans"
_FACES = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_SETTINGS: dict[str, Any] = {
    "font.family": [_FONT],
    "font.size": 12,
    "text.color": INK,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.id": None,
    "pdf.fonttype": 42,
    "hatch.linewidth": 1.0,
    "path.simplify": False,
}
_DARK = "".join(
    f".perfmodel [style*='{role}: {light}']{{{role}:{dark}!important}}"
    for light, (_, dark) in VARIABLES.items()
    for role in ("fill", "stroke")
)
_LONG = re.compile(r"-?\d+\.\d{3,}")


class Paint(msgspec.Struct, frozen=True):
    """A colour and the hatch over it, as matplotlib writes hatches; '' for none."""

    colour: str
    hatch: str = ""

    def style(self) -> dict[str, Any]:
        """Return what a patch of matplotlib is given."""
        return {"facecolor": self.colour, "edgecolor": INK, "hatch": self.hatch or None, "linewidth": 0.8}


class Look(msgspec.Struct, frozen=True):
    """How a curve is drawn: colour, dashes, marker, and the hatch of its band."""

    colour: str
    dash: Any = "-"
    marker: str = ""
    hatch: str = ""


BEFORE = Look(VERMILLION, (0, (4, 2.4)), "s", "////")
AFTER = Look(BLUE, "-", "o")
PEAK = Look(INK, (0, (1.4, 2)))
# Lines and groups of one picture, told apart by colour, marker and band.
SERIES = (
    Look(BLUE, "-", "o"),
    Look(VERMILLION, "-", "s", "////"),
    Look(GREEN, "-", "^", "\\\\\\\\"),
    Look(PURPLE, "-", "D", "----"),
    Look("#8c8c8c", "-", "X", "||||"),
    Look(ORANGE, "-", "v", "xx"),
    Look(INK, "-", "P", "++"),
    Look(SKY, "-", "*", "oo"),
)


@contextmanager
def drawing(**settings: Any) -> Iterator[None]:
    """Draw with the settings of these pictures, whatever those of the user are."""
    import warnings

    from matplotlib import rc_context

    chosen: Any = _SETTINGS | settings
    with rc_context(chosen), warnings.catch_warnings():
        # A name in letters that the font lacks is drawn by the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def text_width(words: str, size: float = 12.0, *, bold: bool = False) -> float:
    """Return how wide `words` are [pt] in letters of `size` [pt]."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=[_FONT], size=size, weight="bold" if bold else "normal")
    return _SPARE * float(text_to_path.get_text_width_height_descent(words, font, ismath=False)[0])


def shortened(words: str, width: float, size: float = 12.0, *, bold: bool = False) -> str:
    """Return `words`, cut with three dots where they are wider than `width` [pt]."""
    if text_width(words, size, bold=bold) <= width:
        return words
    kept = words
    while kept and text_width(kept + "...", size, bold=bold) > width:
        kept = kept[:-1]
    return kept.rstrip() + "..."


def wrapped(words: str, width: float, size: float = 11.0) -> list[str]:
    """Return `words` in lines of at most `width` [pt], broken at spaces."""
    space, room = text_width("a a", size) - 2 * text_width("a", size), 0.0
    lines: list[str] = []
    for word in words.split():
        long = text_width(word, size)
        if not lines or room + space + long > width:
            lines.append(shortened(word, width, size))
            room = long
        else:
            lines[-1] += f" {word}"
            room += space + long
    return lines


def printable(words: str) -> str:
    """Return `words` without the control characters that XML has no way to write."""
    return "".join(c if c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and c not in "\ufffe\uffff" else " " for c in words)


def figure_of(
    picture: Picture, *, title: str | None = None, caption: bool = True, assumptions: bool = True, paper: str = PAPER
) -> "Figure":
    """Return a picture on a sheet of its own, a matplotlib Figure whose first axes it is drawn on.

    title: in place of the usual one; '' leaves it out. caption: the question, how to read the picture and the
    assumptions. assumptions: those too, where there is a caption. paper: the colour of the sheet, or none.
    """
    from matplotlib.figure import Figure

    with drawing():
        wide, room = WIDTH - 2 * MARGIN, picture.room()
        heading = printable(picture.heading() if title is None else title)
        below = wrapped(printable(picture.note()), wide) if caption else []
        if caption and assumptions and picture.caption.assumptions:
            below += wrapped(printable(f"Assumptions: {'; '.join(picture.caption.assumptions)}."), wide)
        asked = printable(picture.caption.question) if caption else ""
        head = MARGIN + (_TITLE if heading else 0.0) + (_QUESTION if asked else 0.0)
        end = head + room.bottom + room.below
        height = end + LINE * len(below) + _FOOT
        figure = Figure(figsize=(WIDTH / _POINTS, height / _POINTS), dpi=_POINTS, facecolor=paper)

        def say(x: float, y: float, words: str, **kind: Any) -> None:
            figure.text(x / WIDTH, 1 - y / height, words, **kind)

        verdict = printable(picture.verdict()) if heading else ""
        left = wide - (text_width(verdict, 13, bold=True) + 20 if verdict else 0)
        if heading:
            say(MARGIN, 30, shortened(heading, left, 17, bold=True), size=17, weight="bold")
        if verdict:
            say(WIDTH - MARGIN, 30, verdict, size=13, weight="bold", ha="right")
        if asked:
            say(MARGIN, head - 8, shortened(asked, wide), color=SOFT)
        for i, line in enumerate(below):
            say(MARGIN, end + LINE * (i + 1), line, size=11, color=SOFT)
        axes = figure.add_axes(
            (
                room.left / WIDTH,
                1 - (head + room.bottom) / height,
                (room.right - room.left) / WIDTH,
                (room.bottom - room.top) / height,
            )
        )
        picture.draw(axes)
    return figure


def axes_of(picture: Picture, axes: "Axes | None" = None, *, title: str | None = None, caption: bool = True) -> "Axes":
    """Return the axes that a picture is drawn on: those given, under its title, or those of a sheet of its own."""
    if axes is None:
        return figure_of(picture, title=title, caption=caption).axes[0]
    with drawing():
        picture.draw(axes, beside=False)
        heading = printable(picture.heading() if title is None else title)
        wide = axes.get_window_extent().width * _POINTS / axes.figure.dpi
        axes.set_title(shortened(heading, wide, bold=True), loc="left", weight="bold", color=INK)
    return axes


def to_svg(picture: Picture, *, inline: bool = False, title: str | None = None, caption: bool = True) -> str:
    """Return a picture as SVG, the same text each time.

    inline: for a page, which holds the variables of colours and writes the assumptions itself.
    """
    sheet = "none" if inline else PAPER
    figure = figure_of(picture, title=title, caption=caption, assumptions=not inline, paper=sheet)
    salt = f"{picture.heading()} {picture.caption.question}"
    text = _written(figure, "svg", salt).decode()
    told = printable(title or picture.heading())
    return _finished(text, told, printable(_description(picture)), inline=inline)


def to_png(picture: Picture, *, title: str | None = None, caption: bool = True) -> bytes:
    """Return a picture as PNG, two pixels to a point."""
    return _written(figure_of(picture, title=title, caption=caption), "png", "")


def to_pdf(picture: Picture, *, title: str | None = None, caption: bool = True) -> bytes:
    """Return a picture as PDF, the same bytes each time."""
    return _written(figure_of(picture, title=title, caption=caption), "pdf", "")


def _written(figure: "Figure", form: str, salt: str) -> bytes:
    silent = {
        "svg": ("Date", "Creator", "Format", "Type"),
        "pdf": ("CreationDate", "Creator", "Producer"),
        "png": ("Software",),
    }[form]
    out = BytesIO()
    with drawing(**{"svg.hashsalt": salt}):
        figure.savefig(out, format=form, dpi=_POINTS * _SCALE, metadata=dict.fromkeys(silent))
    return out.getvalue()


def _description(picture: Picture) -> str:
    said = picture.caption.assumptions
    return f"{picture.caption.question}. Assumptions: {'; '.join(said)}." if said else f"{picture.caption.question}."


def _finished(svg: str, title: str, description: str, *, inline: bool) -> str:
    """Return what matplotlib wrote, shorter, told to a screen reader, and dark where the reader's scheme is."""
    head, _, rest = svg[svg.index("<svg") :].partition(">")
    box = re.search(r'viewBox="0 0 ([^" ]*) ([^"]*)"', head)
    width, height = (_short(number) for number in box.groups()) if box else ("", "")
    rest = re.sub(r"<defs>\s*<style.*?</defs>", "", rest, count=1, flags=re.DOTALL)
    rest = re.sub(r'<g id="[^"]*">', "<g>", rest)
    rest = re.sub(r'="[^"]*"', lambda value: _LONG.sub(lambda number: _short(number[0]), value[0]), rest)
    rest = re.sub(r">\s+<", ">\n<", rest.replace(" \n", " ").replace("xlink:href", "href"))
    rest = rest.replace(f"; font-family: '{_FONT}'", "")
    space, style = f'viewBox="0 0 {width} {height}"', ""
    if inline:
        for colour, (variable, _) in VARIABLES.items():
            rest = rest.replace(colour, f"var({variable})")
    else:
        space = f'xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {space}'
        style = f"<style>@media (prefers-color-scheme:dark){{{_DARK}}}</style>"
    label = markup(title)
    return (
        f'<svg class="perfmodel" {space} role="img" aria-label="{label}" font-family="{_FACES}"'
        ' stroke-linejoin="round">'
        f"<title>{label}</title><desc>{markup(description)}</desc>{style}{rest}"
    )


def _short(number: str) -> str:
    """A coordinate to a hundredth of a point, without needless zeros."""
    return f"{float(number):.2f}".rstrip("0").rstrip(".")
