"""The tensors of a checkpoint beside its config.json: bytes by part, from headers of safetensors files or an index.

Layout: an 8-byte length and a JSON object of names, types, shapes and places (github.com/huggingface/safetensors).
"""

import json
import re
import struct
from pathlib import Path
from typing import Any

from perfmodel.errors import SpecificationError, shown

_LARGEST_HEADER, _MOST_SHARDS = 100_000_000, 1_000
_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"
# Which part a tensor belongs to, by the first of these that is found in its name.
_PARTS = (
    ("tower", r"vision|visual|audio|image|multi_modal|mm_|whisper|speech"),
    ("draft", r"(^|\.)(mtp|nextn|eagle)"),
    ("other", r"norm|\.gate\.(weight|bias|e_score)|router|e_score|rotary|inv_freq|sinks"),
    ("head", r"lm_head|embed_out|(^|\.)output(_layer)?\."),
    ("embedding", r"embed|wte|wpe"),
    ("shared", r"shared_expert|_latent_proj"),
    ("experts", r"experts"),
    ("attention", r"attn|attention|mixer|mamba|conv|ssm"),
    ("dense", r"mlp|feed_forward|ffn|fc1|fc2"),
)


def stored_bytes(folder: Path) -> tuple[tuple[str, int], ...]:
    """Return the bytes of the tensors in `folder` by part [B]; under 'total' where the index alone is there.

    Empty where there is neither. Raises SpecificationError for a file that is damaged.
    """
    index, single = folder / _INDEX, folder / _SINGLE
    if single.is_file():
        return _by_part(_tensors(single))
    if not index.is_file():
        return ()
    said = _object(_read(index, _LARGEST_HEADER), str(index))
    weight_map = said.get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise SpecificationError(f"{index}: has no weight_map, which names the file of each tensor")
    files = sorted(set(weight_map.values()))
    if any(Path(name).name != name for name in files) or len(files) > _MOST_SHARDS:
        raise SpecificationError(f"{index}: weight_map: names files that are not beside it")
    if all((folder / name).is_file() for name in files):
        found: dict[str, int] = {}
        for name in files:
            found |= _tensors(folder / name)
        return _by_part(found)
    total = said.get("metadata", {}).get("total_size") if isinstance(said.get("metadata"), dict) else None
    return (("total", int(total)),) if isinstance(total, int | float) and 0 < total < 2**60 else ()


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(most + 1)
    except OSError as error:
        raise SpecificationError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(found) > most:
        raise SpecificationError(f"{path}: has more than {most:,} bytes; is it the right file?")
    return found


def _object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise SpecificationError(f"{where}: is not JSON that can be read") from None
    if not isinstance(found, dict):
        raise SpecificationError(f"{where}: expected a JSON object, found {type(found).__name__}")
    return found


def _tensors(path: Path) -> dict[str, int]:
    """Return the bytes of each tensor of a safetensors file."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= _LARGEST_HEADER:
                raise SpecificationError(f"{path}: is no safetensors file: its header would have {length:,} bytes")
            raw = file.read(length)
    except OSError as error:
        raise SpecificationError(f"{path}: cannot be read: {error.strerror or error}") from None
    found = {}
    for name, tensor in _object(raw, str(path)).items():
        if name == "__metadata__":
            continue
        place = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not isinstance(place, list) or len(place) != 2 or not all(isinstance(end, int) for end in place):
            raise SpecificationError(f"{path}: tensor {shown(name)} has no data_offsets")
        if not 0 <= place[0] <= place[1] < 2**60:
            raise SpecificationError(f"{path}: tensor {shown(name)} has data_offsets {shown(place)}")
        found[name] = place[1] - place[0]
    return found


def _by_part(tensors: dict[str, int]) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for name, size in tensors.items():
        part = next((part for part, pattern in _PARTS if re.search(pattern, name)), "other")
        found[part] = found.get(part, 0) + size
    return tuple(found.items())
