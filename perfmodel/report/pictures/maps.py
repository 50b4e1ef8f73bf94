"""The speed-up as cells over batch and context."""

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Map
from perfmodel.report.pictures.axes import MARGIN, WIDTH, finish, head
from perfmodel.report.scales import number_label, tokens_label

# From paper to a deep blue; a loss is orange with a hatch.
_STEPS = (
    (1.05, "#f2f2f2", "hardly: 1 to 1.05 x"),
    (1.2, "#d3e6f5", "to 1.2 x"),
    (1.5, "#9ecae1", "to 1.5 x"),
    (2.0, "#5aa2d0", "to 2 x"),
    (3.0, "#2171b5", "to 3 x"),
    (float("inf"), "#08306b", "over 3 x"),
)

_LOSS = d.Paint("#f5c26b")


def _cell(value: float) -> tuple[d.Paint, str]:
    """The colour of a speed-up and that of the number on it."""
    if value < 1:
        return _LOSS, "#1a1a1a"
    colour = next(colour for end, colour, _ in _STEPS if value < end)
    return d.Paint(colour), "#ffffff" if colour in ("#2171b5", "#08306b") else "#1a1a1a"


def speedup_map(data: Map, *, inline: bool = False) -> str:
    """Return the speed-up as cells over batch and context.

    Each cell holds its number, so colour is never needed to read it.
    """
    left, top, right = MARGIN + 66, 82.0, WIDTH - 196
    wide, high = (right - left) / len(data.batches), min(34.0, 330.0 / len(data.contexts))
    bottom = top + high * len(data.contexts)
    parts = head(data)
    rows = list(reversed(range(len(data.contexts))))
    for line, i in enumerate(rows):
        y = top + line * high
        parts.append(d.text(left - 8, y + high / 2 + 4, tokens_label(data.contexts[i]), size=11, anchor="end"))
        for j, value in enumerate(data.speedup[i]):
            paint, ink = _cell(value)
            x = left + j * wide
            parts.append(
                d.rectangle(
                    x,
                    y,
                    wide,
                    high,
                    paint,
                    edge="#ffffff",
                    kind="cell",
                    data={"batch": str(data.batches[j]), "context": str(data.contexts[i]), "value": repr(value)},
                )
            )
            parts.append(
                d.text(
                    x + wide / 2,
                    y + high / 2 + 4,
                    f"{value:.2f}",
                    size=11 if wide > 36 else 9,
                    anchor="middle",
                    kind="mark",
                    colour=ink,
                )
            )
            if not data.fits[i][j]:
                parts += [
                    d.line(
                        x + 3, y + high - 3, x + wide - 3, y + high - 3, kind="mark", colour=ink, width=1.6, dash="3,3"
                    )
                ]
    for j, batch in enumerate(data.batches):
        parts.append(d.text(left + (j + 0.5) * wide, bottom + 16, number_label(batch), size=11, anchor="middle"))
    parts.append(d.text((left + right) / 2, bottom + 36, "batch [sequences in a step]", anchor="middle"))
    parts.append(d.text(MARGIN + 12, (top + bottom) / 2, "context [tokens; k = 1,024]", anchor="middle", turned=True))
    key, at = right + 24, top + 4
    parts.append(d.text(key, at + 8, "speed-up [x]", size=12, bold=True))
    for paint, words in [(_LOSS, "loses: under 1 x"), *((d.Paint(colour), words) for _, colour, words in _STEPS)]:
        at += 20
        parts += [d.rectangle(key, at, 22, 14, paint), d.text(key + 30, at + 11, words, size=11)]
    if not all(map(all, data.fits)):
        at += 22
        parts += [
            d.line(key, at + 8, key + 22, at + 8, kind="edge", colour=d.INK, width=1.6, dash="3,3"),
            d.text(key + 30, at + 11, "does not fit", size=11),
        ]
    return finish(parts, data, max(bottom + 46, at + 30), "", inline=inline)
