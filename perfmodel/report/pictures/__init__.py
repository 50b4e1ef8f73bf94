"""Pictures: plain data to SVG text.

Every mark that stands for a number has its place from a Scale; nothing here computes a time.
"""

from collections.abc import Callable

from perfmodel.report.picturedata.records import (
    Bars,
    Curves,
    Drawn,
    Lines,
    Map,
    Roofline,
    Tornado,
    Validated,
    Waterfall,
)
from perfmodel.report.pictures.axes import WIDTH, title_of
from perfmodel.report.pictures.curves import curves
from perfmodel.report.pictures.lines import lines
from perfmodel.report.pictures.maps import speedup_map
from perfmodel.report.pictures.rooflines import roofline
from perfmodel.report.pictures.scatters import validation
from perfmodel.report.pictures.sidebars import bars
from perfmodel.report.pictures.tornados import tornado
from perfmodel.report.pictures.waterfalls import waterfall

__all__ = ["WIDTH", "draw", "title_of"]

_MAKERS: dict[type, Callable[..., str]] = {
    Waterfall: waterfall,
    Roofline: roofline,
    Curves: curves,
    Map: speedup_map,
    Tornado: tornado,
    Validated: validation,
    Lines: lines,
    Bars: bars,
}


def draw(data: Drawn, *, inline: bool = False) -> str:
    """Return the picture of `data` as SVG.

    inline: for a page, which holds the style sheet and writes the caption itself.
    """
    return _MAKERS[type(data)](data, inline=inline)
