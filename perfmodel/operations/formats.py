"""Formats: how the numbers of a query are stored, part by part."""

import msgspec

from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.storage import Mix, Storage, uniform


class Formats(msgspec.Struct, frozen=True):
    """Storage formats of a query: of the matrices, the cache, and the activations (norms and biases too).

    part: the part of the model whose operations are being made, which says how their matrices are stored.
    """

    storage: Storage
    kv: str
    activations: str
    part: str = "other"

    @property
    def weights(self) -> str:
        """What the storage of the weights is called."""
        return self.storage.name

    @property
    def vectors(self) -> str:
        """The format of norms, biases and other vectors of weights."""
        return self.storage.vectors or self.activations

    def within(self, part: str) -> "Formats":
        """Return the formats for operations of `part`."""
        return msgspec.structs.replace(self, part=part)

    def in_layer(self, index: int) -> "Formats":
        """Return the formats of the layer `index`; equal for layers that are stored alike."""
        storage = self.storage.in_layer(index)
        return self if storage is self.storage else msgspec.structs.replace(self, storage=storage)

    def mix(self, operation: str, part: str = "") -> Mix:
        """Return the formats of the matrix of `operation`, each with its share of the elements [-]."""
        return self.storage.mix(part or self.part, operation)

    def activation_size(self) -> float:
        """Return the bytes of one activation [B]."""
        return STORAGE_FORMATS[self.activations].bits / 8

    def vector_size(self) -> float:
        """Return the bytes of one element of a vector of weights [B]."""
        return STORAGE_FORMATS[self.vectors].bits / 8

    def cache_size(self) -> float:
        """Return the bytes of one number in the cache [B]."""
        return STORAGE_FORMATS[self.kv].bits / 8


def plain_formats(weights: str, kv: str = "bf16", activations: str = "bf16") -> Formats:
    """Return formats with all matrices in one."""
    return Formats(uniform(weights), kv, activations)


def stored(elements: float, mix: Mix) -> tuple[tuple[str, float], ...]:
    """Return the bytes [B] of `elements` weights [-] stored as `mix`, by format."""
    return tuple((name, elements * share * STORAGE_FORMATS[name].bits / 8) for name, share in mix)
