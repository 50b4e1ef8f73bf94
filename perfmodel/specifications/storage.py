"""Storage: in which formats the parts of one model are stored, and how `--weights` says so."""

from collections.abc import Iterable

import msgspec

from perfmodel.errors import UnknownNameError, nearest, shown
from perfmodel.specifications.filetypes import FILE_TYPES, file_type_names
from perfmodel.specifications.formats import STORAGE_FORMATS, format_names, known_format

# What `--weights` can name. What is left, such as routers and norms, is 'other'.
PARTS = ("attention", "dense", "experts", "shared", "head", "embedding")

# Storage formats of a matrix, each with its share of the elements [-]: ggml's files store some layers wider.
Mix = tuple[tuple[str, float], ...]


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The storage formats of a model's matrices by part.

    vectors: the format of norms, biases and the like, '' for that of the activations. name: what an answer calls it.
    operations: matrices that are stored otherwise than their part, in all layers;
    layers: those of single layers, by index.
    """

    name: str
    attention: str
    dense: str
    experts: str
    shared: str
    head: str
    embedding: str
    other: str
    vectors: str = ""
    operations: tuple[tuple[str, Mix], ...] = ()
    layers: tuple[tuple[int, tuple[tuple[str, Mix], ...]], ...] = ()

    def mix(self, part: str, operation: str) -> Mix:
        """Return the formats of the matrix of `operation`, which belongs to `part`."""
        for name, mix in self.operations:
            if name == operation:
                return mix
        return ((getattr(self, part), 1.0),)

    def in_layer(self, index: int) -> "Storage":
        """Return the storage of the layer `index` alone, which is equal for layers that are stored alike."""
        if not self.layers:
            return self
        own = dict(self.operations) | dict(next((found for layer, found in self.layers if layer == index), ()))
        return msgspec.structs.replace(self, operations=tuple(sorted(own.items())), layers=())

    def formats(self) -> tuple[str, ...]:
        """Return the names of all storage formats that occur."""
        mixes = [mix for _, mix in self.operations] + [mix for _, found in self.layers for _, mix in found]
        named = [getattr(self, part) for part in (*PARTS, "other")]
        return tuple(dict.fromkeys([*named, *(name for mix in mixes for name, _ in mix)]))


class Module(msgspec.Struct, frozen=True):
    """One matrix of a model. layer: its index, None outside the layers; columns, elements: of a row, of all [-].

    experts: how many routed ones the matrix is there for, 0 for no expert.
    """

    layer: int | None
    operation: str
    part: str
    columns: int
    elements: int
    experts: int = 0


def uniform(name: str) -> Storage:
    """Return the storage of a model that is stored in one format."""
    return Storage(
        name=name, attention=name, dense=name, experts=name, shared=name, head=name, embedding=name, other=name
    )


def assigned(name: str, found: list[tuple[Module, Mix]], *, alike: bool) -> Storage:
    """Return the storage that gives each of a model's matrices its formats.

    name: what it is called; '' for the format that holds most elements. alike: layers differ in shares only, which are
    those of all of them; otherwise the layers whose matrix is stored otherwise than most are kept apart.
    """
    parts = {part: _most((mix, m.elements) for m, mix in found if m.part == part) for part in (*PARTS, "other")}
    usual = _most((mix, module.elements) for module, mix in found if module.part != "embedding")
    chosen = {part: one or usual for part, one in parts.items()}
    operations: dict[str, Mix] = {}
    layers: dict[int, dict[str, Mix]] = {}
    for operation in dict.fromkeys(module.operation for module, _ in found):
        own = [(module, mix) for module, mix in found if module.operation == operation]
        total = sum(module.elements for module, _ in own) or 1
        shares: dict[Mix, float] = {}
        for module, mix in own:
            shares[mix] = shares.get(mix, 0.0) + module.elements / total
        common = max(shares, key=lambda mix: shares[mix])
        if alike and len(shares) > 1:
            merged: dict[str, float] = {}
            for mix, weight in shares.items():
                for kind, share in mix:
                    merged[kind] = merged.get(kind, 0.0) + weight * share
            common = tuple(sorted(merged.items()))
        if common != ((chosen[own[0][0].part], 1.0),):
            operations[operation] = common
        for module, mix in own:
            if not alike and mix != common and module.layer is not None:
                layers.setdefault(module.layer, {})[operation] = mix
    return Storage(
        name=name or usual,
        operations=tuple(sorted(operations.items())),
        layers=tuple((index, tuple(sorted(own.items()))) for index, own in sorted(layers.items())),
        **chosen,
    )


def _most(found: Iterable[tuple[Mix, int]]) -> str:
    """Return the format that holds most elements, '' where there are none."""
    sizes: dict[str, float] = {}
    for mix, elements in found:
        for name, share in mix:
            sizes[name] = sizes.get(name, 0.0) + elements * share
    return max(sizes, key=lambda name: sizes[name], default="")


def nominal_bits(name: str) -> float:
    """Return the bits of an element by the name of a weight format; of parts, those of the narrowest one."""
    formats = [piece.rpartition("=")[2] for piece in name.split("+")]
    return min(STORAGE_FORMATS[FILE_TYPES.get(one, one)].bits for one in formats)


def weights_format(name: str, where: str) -> str:
    """Return the name of a storage format or of a file type of ggml; raise UnknownNameError for another."""
    file_type = file_type_names().get(name.strip().lower())
    if file_type is not None:
        return file_type
    found = known_format(name)
    if found is None:
        known = [*format_names(), *(other for other in FILE_TYPES if other not in STORAGE_FORMATS)]
        raise UnknownNameError(
            f"{where}: {shown(name)} is not a storage format I know{nearest(name, [*known, *file_type_names()])};"
            f" known are {', '.join(known)}"
        )
    return found.name


def read_weights(text: str, where: str = "--weights") -> str | tuple[tuple[str, str], ...]:
    """Return what `--weights` asks for: the name of one format, or pairs of part and format in the order given.

    text: F, or PART=F+PART=F with the parts `attention dense experts shared head embedding`.
    Raises UnknownNameError with the nearest name for a part or format that is not known, or a part named twice.
    """
    if "=" not in text:
        return weights_format(text, where)
    found: dict[str, str] = {}
    for piece in text.split("+"):
        part, equals, name = (word.strip() for word in piece.partition("="))
        part = part.lower()
        if part not in PARTS or not equals:
            wrong = f"{shown(part)} is not a part of a model" if equals else f"{shown(piece)} is no PART=FORMAT"
            raise UnknownNameError(
                f"{where}: {wrong}{nearest(part, PARTS)}; write PART=FORMAT+PART=FORMAT with the parts"
                f" {', '.join(PARTS)}"
            )
        if part in found:
            raise UnknownNameError(f"{where}: {part} is given twice")
        found[part] = weights_format(name, f"{where}: {part}")
    return tuple(found.items())


def spelled(asked: str | tuple[tuple[str, str], ...]) -> str:
    """Return what `read_weights` found as `--weights` takes it."""
    return asked if isinstance(asked, str) else "+".join(f"{part}={name}" for part, name in asked)
