"""The header of a GGUF file as a table of a model file, [gguf]: its keys, its tensors, alike layers on one line."""

import re
from typing import Any

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.ggufs import Header, Tensor, checked

_LINE = re.compile(r"(\S+) (\d+(?:x\d+)*) (\S+)")
_LAYERS = re.compile(r"blk\.\{([0-9,-]+)\}\.(.+)")
_LAYER = re.compile(r"blk\.(\d{1,5})\.(.+)")
_MOST_LINES, _MOST_LAYERS = 10_000, 1_000
_KEPT = ("general.architecture", "general.name", "general.file_type")


def table_from_header(header: Header) -> dict[str, Any]:
    """Return the keys of a header that describe the model, and its tensors as lines: name, shape and format.

    Layers that have a tensor of one name, shape and format stand on one line, as in
    "blk.{0-3,5}.attn_v.weight 4096x1024 q6_k".
    """
    architecture = f"{header.keys.get('general.architecture')}."
    keys = {
        key: value
        for key, value in header.keys.items()
        if (key in _KEPT or key.startswith(architecture)) and isinstance(value, str | int | float | list)
    }
    alike: dict[tuple[str, str], list[int]] = {}
    lines: dict[str, None] = {}
    for tensor in header.tensors:
        shape = "x".join(map(str, tensor.shape))
        found = _LAYER.fullmatch(tensor.name)
        if found is None:
            lines[f"{tensor.name} {shape} {tensor.format}"] = None
        else:
            alike.setdefault((found[2], f"{shape} {tensor.format}"), []).append(int(found[1]))
    for (name, rest), layers in alike.items():
        lines[f"blk.{{{_ranges(layers)}}}.{name} {rest}"] = None
    return {**keys, "tensors": list(lines)}


def _ranges(numbers: list[int]) -> str:
    """Return whole numbers as ranges: 0-3,5."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in found)


def header_from_table(table: dict[str, Any], where: str) -> Header:
    """Return the header that a table [gguf] holds; raise SpecificationError for a line that is no tensor."""
    lines = table.get("tensors")
    if not isinstance(lines, list) or not 0 < len(lines) <= _MOST_LINES:
        raise SpecificationError(f"{where}: has no tensors, a list of lines such as 'output.weight 4096x32000 q6_k'")
    tensors: list[Tensor] = []
    for line in lines:
        found = _LINE.fullmatch(line) if isinstance(line, str) and len(line) < 10_000 else None
        if found is None:
            raise SpecificationError(
                f"{where}: tensors: {shown(line)} is no line such as 'output.weight 4096x32000 q6_k'"
            )
        shape = tuple(int(size[:15]) for size in found[2].split("x"))
        if len(shape) > 4:
            raise SpecificationError(f"{where}: tensors: {shown(line)} has more than 4 dimensions")
        tensors += [checked(Tensor(name, shape, found[3]), where) for name in _names(found[1], where)]
    return Header({key: value for key, value in table.items() if key != "tensors"}, tuple(tensors))


def _names(name: str, where: str) -> list[str]:
    found = _LAYERS.fullmatch(name)
    if found is None and "{" not in name:
        return [name]
    numbers: list[int] = []
    for piece in found[1].split(",") if found else ("",):
        first, _, last = piece.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()) or len(first + last) > 8:
            raise SpecificationError(f"{where}: tensors: {shown(name)} has layers that are no numbers, such as 0-3,5")
        numbers += range(int(first), min(int(last or first), int(first) + _MOST_LAYERS) + 1)
    return [f"blk.{number}.{found[2]}" for number in numbers[:_MOST_LAYERS]] if found else []
