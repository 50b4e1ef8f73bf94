"""SVG to PNG through a renderer that the extra [plot] brings."""

from perfmodel.errors import PerfModelError

SCALE = 2  # pixels of the PNG for each of the SVG


def to_png(svg: str) -> bytes:
    """Return `svg` as a PNG, by resvg or cairosvg; raise PerfModelError where neither is installed."""
    try:
        import resvg_py
    except ImportError:
        pass
    else:
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=SCALE))
    try:
        import cairosvg
    except (ImportError, OSError):  # OSError: cairosvg is there, the cairo library is not
        raise PerfModelError(
            "-o: a .png needs an SVG renderer; install one with `pip install 'perfmodel[plot]'`, or write .svg"
        ) from None
    return bytes(cairosvg.svg2png(bytestring=svg.encode(), scale=SCALE))
