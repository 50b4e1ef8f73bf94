"""How far an answer may be trusted: errors of published rows like it, and measurements near it.

The figures are kept in files that `python validation/evidence.py` makes, and are read when an answer is asked for
them.
"""

import csv
import math
from functools import lru_cache

import msgspec

from perfmodel._layout import data_folder
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.results import Evidence, Nearby
from perfmodel.specifications.files import read_bytes, read_text
from perfmodel.specifications.software import software_in_use
from perfmodel.specifications.storage import nominal_bits, weights_format

# From how many sources a group of rows says something.
_ENOUGH = 3
_KINDS = {
    "engine": "engines",
    "framework": "frameworks",
    "server": "servers",
    "ggml": "ggml",
    "python": "kernels launched from Python",
    "compiled": "compiled programs",
}
_MODES = {
    "eager": "launched one by one as they come",
    "stream": "on a stream",
    "graph": "in a graph",
    "pdl": "with dependent launch",
    "layer-fused": "one kernel a layer",
    "looped": "looped kernels",
    "megakernel-generated": "generated megakernels",
    "megakernel": "megakernels by hand",
}


class RowsAlike(msgspec.Struct, frozen=True):
    """Published rows of one kind.

    software: kind-year, kind or '' for any; mode: '' for any; width: of the weights, 16, below or '' for any. rows,
    sources: how many [-]; median_error: median over the sources of the median |predicted / measured - 1| [-]; inside:
    mean over the sources of the share inside the interval [-]; slower: by what factors they take longer than the same
    by hand, '' where that is not asked.
    """

    software: str
    mode: str
    width: str
    rows: int
    sources: int
    median_error: float
    inside: float
    slower: str


@lru_cache(maxsize=1)
def groups() -> dict[tuple[str, str, str], RowsAlike]:
    """Return the groups of published rows by software, mode and width of the weights."""
    lines = csv.DictReader(read_text(data_folder("validation") / "evidence.csv").splitlines())
    return {
        (line["software"], line["mode"], line["width"]): RowsAlike(
            line["software"],
            line["mode"],
            line["width"],
            int(line["rows"]),
            int(line["sources"]),
            float(line["median_error"]),
            float(line["inside"]),
            line["slower"],
        )
        for line in lines
    }


def rows_like(software: str, mode: str, width: str) -> RowsAlike:
    """Return the narrowest group of rows like a side that has enough sources: by software, launch mode and width."""
    kind = software.partition("-")[0]
    wanted = (
        (software, mode, width),
        (software, mode, ""),
        (kind, mode, width),
        (kind, mode, ""),
        ("", mode, width),
        ("", mode, ""),
        (kind, "", ""),
    )
    known = groups()
    return next((known[key] for key in wanted if key in known and known[key].sources >= _ENOUGH), known["", "", ""])


def evidence_of(prepared: Prepared) -> Evidence:
    """Return how right predictions of rows like a question were."""
    sides = (prepared.before, prepared.after)
    software = [software_in_use(side.hardware) or "" for side in sides]
    modes = [side.mode.name for side in sides]
    width = "16" if nominal_bits(prepared.formats.weights) >= 16 else "below"
    before = rows_like(software[0], modes[0], width)
    parts = [told(before)]
    after = groups().get(("", modes[1], "")) if modes[1] in _OWN_KERNELS else rows_like(software[1], modes[1], width)
    if after is None:
        parts.append(f"{_MODES.get(modes[1], modes[1])}: none published")
    elif after is not before:
        parts.append(told(after))
    generated = groups().get(("", "megakernel-generated", ""))
    if modes[1] == "megakernel" and generated is not None and generated.slower:
        parts.append(f"generated ones took {generated.slower} times as long as this says of one by hand")
    return Evidence(before.rows, before.sources, before.median_error, before.inside, "; ".join(parts))


# Modes whose kernels are written anew, whatever the software.
_OWN_KERNELS = ("looped", "megakernel", "megakernel-generated")


def name_of(group: RowsAlike) -> str:
    """Return what the rows of a group are."""
    kind, _, year = group.software.partition("-")
    who = _KINDS.get(kind, "all software") + (f" of {year}" if year else "")
    how = _MODES.get(group.mode, "")
    name = how if group.mode in _OWN_KERNELS else f"{who} {how}".strip()
    width = {"16": ", 16 bit", "below": ", below 16 bit"}.get(group.width, "")
    return f"{name}{width}"


def told(group: RowsAlike) -> str:
    """Return a group and how right its predictions were, in words."""
    sources = "the one source" if group.sources == 1 else f"{group.sources} sources"
    return (
        f"{name_of(group)}: {group.rows:,} rows of {sources}, off by {group.median_error:.0%} in the median,"
        f" {group.inside:.0%} inside"
    ).replace("%", " %")


def nearby_to(prepared: Prepared, batch: int, context: int) -> tuple[Nearby, ...]:
    """Return up to `_MOST` published measurements nearest to a question.

    Only those of the same model, machine and number of devices; those of the same width of weights, mode, batch and
    context come first.
    """
    bits = nominal_bits(prepared.formats.weights)
    modes = (prepared.before.mode.name, prepared.after.mode.name)

    def distance(row: dict[str, str]) -> tuple[bool, bool, float, float, str]:
        stored = nominal_bits(weights_format(row["weight_format"], row["id"])) if row["weight_format"] else 0.0
        return (
            stored != bits,
            row["mode"] not in modes,
            abs(math.log(int(row["batch"]) / batch)),
            abs(math.log((int(row["context"]) + 256) / (context + 256))),
            row["id"],
        )

    near = [
        row
        for row in _rows_with(prepared.model.name, prepared.hardware.name)
        if int(row["devices"]) == prepared.devices
    ]
    return tuple(
        Nearby(
            row["id"],
            row["source_id"],
            row["engine"],
            row["mode"],
            row["weight_format"],
            int(row["batch"]),
            int(row["context"]),
            float(row["time_per_step"]),
            _inside(row["id"]),
        )
        for row in sorted(near, key=distance)[:_MOST]
    )


_MOST = 5


def _rows_with(model: str, hardware: str) -> list[dict[str, str]]:
    """Return the published rows of a model on a device; only their lines are cut out of the file and parsed."""
    data = read_bytes(data_folder("validation") / "rows.csv")
    named, chosen, place = f",{model},{hardware},".encode("utf-8", "surrogatepass"), [data[: data.find(b"\n")]], 0
    while (place := data.find(named, place)) >= 0:
        end = data.find(b"\n", place) % (len(data) + 1)  # the last line may have no end
        chosen.append(data[data.rfind(b"\n", 0, place) + 1 : end])
        place = end
    rows = csv.DictReader(line.decode("utf-8") for line in chosen)
    return [row for row in rows if (row["model"], row["hardware"]) == (model, hardware)]


@lru_cache(maxsize=1)
def _insides() -> bytes:
    """Return for each published row that can be asked whether it lies in the interval of its prediction, as CSV."""
    return read_bytes(data_folder("validation") / "inside.csv")


def _inside(name: str) -> bool | None:
    """Return whether the published row `name` lies in the interval of its prediction, None where it cannot be asked."""
    _, found, rest = _insides().partition(f"\n{name},".encode())
    return rest.startswith(b"true") if found else None
