"""A small SVG writer: each function returns one element as text, escaped; `picture` puts them together.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; each comes with a hatch, so that a
black-and-white print tells them apart too. Every element has its light colour as an attribute, which any
renderer understands; a style sheet turns paper, ink and lines around where a dark scheme is preferred.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape

import msgspec

FACE = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
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
DARK_STYLE = (
    ".perfmodel .paper{fill:#16181b}.perfmodel .ink{fill:#ececec}.perfmodel .soft{fill:#b4b8bd}.perfmodel"
    " .grid{stroke:#33373c}.perfmodel .axis{stroke:#a9aeb4}.perfmodel .edge{stroke:#ececec}.perfmodel"
    " .hollow{fill:#16181b}.perfmodel .blue{stroke:#56b4e9}.perfmodel .bluefill{fill:#56b4e9}"
)
STYLE = f"@media (prefers-color-scheme: dark){{{DARK_STYLE}}}"

# What a hatch draws over its colour, in a tile of 8 x 8.
_HATCHES = {
    "rising": "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4",
    "falling": "M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4",
    "flat": "M0,2 h8 M0,6 h8",
    "upright": "M2,0 v8 M6,0 v8",
    "crossed": "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4 M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4",
    "dotted": "M2,2 h0.01 M6,6 h0.01",
}
_PAINT = re.compile(r"url\(#paint-([a-z]+)-([0-9a-f]{6})\)")


class Paint(msgspec.Struct, frozen=True):
    """A colour and the hatch over it; '' for none."""

    colour: str
    hatch: str = ""

    @property
    def fill(self) -> str:
        """Return what stands in the attribute `fill`."""
        return f"url(#paint-{self.hatch}-{self.colour[1:]})" if self.hatch else self.colour


def rectangle(
    x: float,
    y: float,
    width: float,
    height: float,
    paint: Paint,
    *,
    edge: str | None = INK,
    kind: str = "edge",
    opacity: float = 1.0,
    data: dict[str, str] | None = None,
) -> str:
    """Return a rectangle [px]; data: what it stands for, as data- attributes."""
    line = f' stroke="{edge}" stroke-width="0.8"' if edge else ""
    see = f' fill-opacity="{_n(opacity)}"' if opacity < 1 else ""
    return (
        f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        f' fill="{paint.fill}"{see}{line}{_data(data)}/>'
    )


def line(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    *,
    kind: str = "axis",
    colour: str = AXIS,
    width: float = 1.0,
    dash: str = "",
) -> str:
    """Return a straight line [px]; dash: lengths of strokes and gaps."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line class="{kind}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{colour}"'
        f' stroke-width="{_n(width)}"{dashes}/>'
    )


def polyline(
    points: Iterable[tuple[float, float]], *, colour: str, kind: str = "line", width: float = 2.0, dash: str = ""
) -> str:
    """Return connected lines through `points` [px]."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline class="{kind}" points="{_points(points)}" fill="none" stroke="{colour}" stroke-width="{_n(width)}"'
        f' stroke-linejoin="round"{dashes}/>'
    )


def polygon(points: Iterable[tuple[float, float]], *, colour: str, kind: str = "band", opacity: float = 1.0) -> str:
    """Return a filled area [px] without an edge."""
    return f'<polygon class="{kind}" points="{_points(points)}" fill="{colour}" fill-opacity="{_n(opacity)}"/>'


def marker(
    x: float,
    y: float,
    shape: str,
    *,
    colour: str,
    kind: str = "",
    hollow: bool = False,
    size: float = 4.0,
    data: dict[str, str] | None = None,
) -> str:
    """Return a marker [px]: circle, square, diamond, triangle or cross; hollow ones show the paper."""
    fill = PAPER if hollow else colour
    classes = " ".join(part for part in (kind, "hollow" if hollow else f"{kind}fill" if kind else "") if part)
    style = f'class="{classes}" fill="{fill}" stroke="{colour}" stroke-width="1.5"{_data(data)}'
    if shape == "circle":
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(size)}" {style}/>'
    if shape == "cross":
        return (
            f'<path d="M{_n(x - size)},{_n(y - size)} l{_n(2 * size)},{_n(2 * size)} m0,{_n(-2 * size)}'
            f' l{_n(-2 * size)},{_n(2 * size)}" {style}/>'
        )
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
        "triangle": ((0, -1.25), (1.2, 0.95), (-1.2, 0.95)),
    }[shape]
    return f'<polygon points="{_points((x + size * dx, y + size * dy) for dx, dy in corners)}" {style}/>'


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = 12.0,
    anchor: str = "start",
    kind: str = "ink",
    bold: bool = False,
    turned: bool = False,
    colour: str = "",
) -> str:
    """Return one line of text whose baseline is at `y` [px]; anchor: start, middle or end; turned: read from below."""
    weight = ' font-weight="bold"' if bold else ""
    turn = f' transform="rotate(-90 {_n(x)} {_n(y)})"' if turned else ""
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    fill = colour or (SOFT if kind == "soft" else INK)
    return (
        f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"'
        f' fill="{fill}"{at}{weight}{turn}>{escape(_printable(words))}</text>'
    )


def picture(
    width: float, height: float, title: str, description: str, parts: Sequence[str], *, inline: bool = False
) -> str:
    """Return a whole SVG.

    title, description: what a screen reader says.
    inline: for a page that holds STYLE itself; without it the SVG is a file of its own.
    """
    body = "\n".join(parts)
    paints = "".join(_pattern(hatch, colour) for hatch, colour in sorted(set(_PAINT.findall(body))))
    style = "" if inline else f"<style>{STYLE}</style>"
    space = "" if inline else ' xmlns="http://www.w3.org/2000/svg"'
    label = escape(_printable(title), quote=True)
    size = (
        f'viewBox="0 0 {_n(width)} {_n(height)}"'
        if inline
        else f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    )
    head = (
        f'<svg{space} class="perfmodel" {size} role="img" aria-label="{label}"'
        f' font-family="{escape(FACE, quote=True)}">'
    )
    told = f"<title>{label}</title><desc>{escape(_printable(description))}</desc>"
    paper = f'<rect class="paper" x="0" y="0" width="{_n(width)}" height="{_n(height)}" fill="{PAPER}"/>'
    return f"{head}\n{told}{style}<defs>{paints}</defs>\n{paper}\n{body}\n</svg>\n"


def _pattern(hatch: str, colour: str) -> str:
    pen = 'stroke-width="2.4" stroke-linecap="round"' if hatch == "dotted" else 'stroke-width="1.1"'
    return (
        f'<pattern id="paint-{hatch}-{colour}" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8"'
        f' height="8" fill="#{colour}"/><path d="{_HATCHES[hatch]}" stroke="#1a1a1a" stroke-opacity="0.7" fill="none"'
        f" {pen}/></pattern>"
    )


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _data(data: dict[str, str] | None) -> str:
    return "".join(f' data-{name}="{escape(_printable(value), quote=True)}"' for name, value in (data or {}).items())


def _printable(words: str) -> str:
    # XML has no way to write most control characters.
    return "".join(c if c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and c not in "\ufffe\uffff" else " " for c in words)


def _n(number: float) -> str:
    """A coordinate to a hundredth of a pixel, without needless zeros."""
    return f"{number:.2f}".rstrip("0").rstrip(".") if number else "0"
