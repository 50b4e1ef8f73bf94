"""Read the header of a GGUF file: its keys, and the name, shape and type of each tensor. No tensor is read.

Layout: github.com/ggml-org/ggml docs/gguf.md. Every count and length is checked before anything is read for it.
"""

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.formats import STORAGE_FORMATS

_MOST_KEYS, _MOST_TENSORS, _LARGEST_HEADER = 100_000, 200_000, 512_000_000
_LONGEST_NAME, _MOST_SHARDS, _LONGEST_ARRAY = 65_535, 1_000, 4_096
_STRING, _ARRAY = 8, 9
# Formats of the numbers of a key, by the type's number.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# ggml's types of tensors, by number; those of whole numbers hold tables that no matrix needs.
TENSOR_TYPES = {
    0: "fp32",
    1: "fp16",
    2: "q4_0",
    3: "q4_1",
    6: "q5_0",
    7: "q5_1",
    8: "q8_0",
    10: "q2_k",
    11: "q3_k",
    12: "q4_k",
    13: "q5_k",
    14: "q6_k",
    16: "iq2_xxs",
    17: "iq2_xs",
    18: "iq3_xxs",
    19: "iq1_s",
    20: "iq4_nl",
    21: "iq3_s",
    22: "iq2_s",
    23: "iq4_xs",
    24: "int8",
    26: "int32",
    29: "iq1_m",
    30: "bf16",
    34: "tq1_0",
    35: "tq2_0",
    39: "mxfp4",
    40: "nvfp4",
}
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")


class Tensor(msgspec.Struct, frozen=True):
    """A tensor of a file. shape: its sizes, rows of the first one; format: a storage format's name."""

    name: str
    shape: tuple[int, ...]
    format: str

    @property
    def elements(self) -> int:
        """Numbers in the tensor [-]."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> float:
        """Bytes of the tensor [B]."""
        bits = 32 if self.format == "int32" else STORAGE_FORMATS[self.format].bits
        return self.elements * bits / 8


class Header(msgspec.Struct, frozen=True):
    """What a GGUF file says of itself. keys: texts, numbers and short lists of numbers; of long lists the length."""

    keys: dict[str, Any]
    tensors: tuple[Tensor, ...]


class _HeaderReader:
    """Reads a header from the front, at most so many bytes."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file, self.where, self._left = file, where, _LARGEST_HEADER

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if count > self._left:
            raise SpecificationError(f"{self.where}: has a header of more than {_LARGEST_HEADER:,} bytes")
        self._left -= count
        found = self._file.read(count)
        if len(found) < count:
            raise SpecificationError(f"{self.where}: ends within its header; is the download complete?")
        return found

    def number(self, code: str) -> Any:
        """Return the next number, of a type of `struct`."""
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self, longest: int) -> str:
        """Return the next text, of at most `longest` bytes."""
        length = self.number("Q")
        if length > longest:
            raise SpecificationError(f"{self.where}: has a text of {length:,} bytes; is it a GGUF file?")
        return self.take(length).decode("utf-8", "replace")

    def skip_texts(self, count: int) -> None:
        """Pass over `count` texts, such as a vocabulary."""
        for _ in range(count):
            length = self.number("Q")
            if length > _LARGEST_HEADER:
                raise SpecificationError(f"{self.where}: has a text of {length:,} bytes; is it a GGUF file?")
            self.take(length)

    def value(self) -> Any:
        """Return the next value with its type; of long lists and lists of texts the length."""
        kind = self.number("I")
        if kind == _STRING:
            return self.text(_LARGEST_HEADER)
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind != _ARRAY:
            raise SpecificationError(f"{self.where}: has a value of type {kind}, which GGUF does not")
        kind, count = self.number("I"), self.number("Q")
        if kind == _STRING and count <= _LARGEST_HEADER // 8:
            self.skip_texts(count)
            return count
        if kind not in _NUMBERS or count > _LARGEST_HEADER:
            raise SpecificationError(
                f"{self.where}: has a list of {count:,} values of type {kind}, which GGUF does not"
            )
        size = struct.calcsize(f"<{_NUMBERS[kind]}")
        raw = self.take(count * size)
        return list(struct.unpack(f"<{count}{_NUMBERS[kind]}", raw)) if count <= _LONGEST_ARRAY else count


def read_header(path: Path) -> Header:
    """Return the header of the GGUF file at `path`, with the tensors of all its shards where it is split.

    Raises SpecificationError for what is no GGUF file, is cut off, or lacks a shard.
    """
    first = _read_one(path)
    count = first.keys.get("split.count", 1)
    if count in (0, 1):
        return first
    found = _SHARD.fullmatch(path.name)
    if found is None or not isinstance(count, int) or count > _MOST_SHARDS or int(found[3]) != count:
        raise SpecificationError(
            f"{path}: is one of {shown(count)} files; name the first of them, NAME-00001-of-0000N.gguf"
        )
    shards = [path.with_name(f"{found[1]}-{number:05d}-of-{found[3]}.gguf") for number in range(1, count + 1)]
    headers = [first if shard == path else _read_one(shard) for shard in shards]
    keys: dict[str, Any] = {}
    for header in headers:
        keys = header.keys | keys
    return Header(keys, tuple(tensor for header in headers for tensor in header.tensors))


def _read_one(path: Path) -> Header:
    try:
        if not path.is_file():
            raise SpecificationError(f"{path}: {'is no regular file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            return _header(_HeaderReader(file, str(path)))
    except (OSError, ValueError) as error:
        raise SpecificationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _header(reader: _HeaderReader) -> Header:
    if reader.take(4) != b"GGUF":
        raise SpecificationError(f"{reader.where}: is no GGUF file: it does not begin with GGUF")
    version = reader.number("I")
    if version not in (2, 3):
        raise SpecificationError(f"{reader.where}: is GGUF of version {version}; 2 and 3, little endian, are known")
    tensors, keys = reader.number("Q"), reader.number("Q")
    if tensors > _MOST_TENSORS or keys > _MOST_KEYS:
        raise SpecificationError(f"{reader.where}: says it has {tensors:,} tensors and {keys:,} keys; is it damaged?")
    found = {}
    for _ in range(keys):
        key = reader.text(_LONGEST_NAME)
        found[key] = reader.value()
    return Header(found, tuple(_tensors(reader, tensors)))


def _tensors(reader: _HeaderReader, count: int) -> Iterator[Tensor]:
    for _ in range(count):
        name, dimensions = reader.text(_LONGEST_NAME), reader.number("I")
        if not 1 <= dimensions <= 4:
            raise SpecificationError(
                f"{reader.where}: tensor {shown(name)} has {dimensions} dimensions; 1 to 4 are known"
            )
        shape = tuple(reader.number("Q") for _ in range(dimensions))
        kind, _offset = reader.number("I"), reader.number("Q")
        yield checked(Tensor(name, shape, TENSOR_TYPES.get(kind, f"type {kind}")), reader.where)


def checked(tensor: Tensor, where: str) -> Tensor:
    """Return `tensor`; raise SpecificationError for a shape or a format that no tensor has."""
    if tensor.format not in (*TENSOR_TYPES.values(),):
        raise SpecificationError(f"{where}: tensor {shown(tensor.name)} has {shown(tensor.format)}, which is not known")
    if not all(0 < size < 2**40 for size in tensor.shape) or tensor.elements > 2**48:
        raise SpecificationError(f"{where}: tensor {shown(tensor.name)} has the shape {shown(list(tensor.shape))}")
    block = 1 if tensor.format == "int32" else STORAGE_FORMATS[tensor.format].block
    if tensor.shape[0] % block:
        raise SpecificationError(
            f"{where}: tensor {shown(tensor.name)} has rows of {tensor.shape[0]}, which do not fill the blocks of"
            f" {block} of {tensor.format}"
        )
    return tensor
