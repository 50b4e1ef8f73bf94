"""What an operation does, as coefficients: FLOPs and bytes by kind as functions of batch and context.

Counts stay coefficients until a workload is given, so that a plan made once serves every batch and
context, and arrays and symbols as well as numbers. All figures are per device: those of the
fullest device where a split is uneven.
"""

from typing import Any

import msgspec

from perfmodel.generic import smaller

# Kinds of bytes besides the weight formats.
CACHE = "kv"
ACTIVATIONS = "activations"


class Cache(msgspec.Struct, frozen=True):
    """Reading a cache. window: most tokens read, None for all; bytes and flops: per token read, per sequence."""

    window: int | None
    bytes: float
    flops: float


class Collective(msgspec.Struct, frozen=True):
    """A collective over the devices. payload: bytes of the tensor per sequence; passes: 2 for an all-reduce, else 1."""

    kind: str
    payload: float
    passes: int


class Work(msgspec.Struct, frozen=True):
    """Coefficients of one operation, or of a sum of them.

    weights: (storage format, bytes) read once a step, whatever the batch [B]
    caches: what is read per sequence and token in the cache
    state: recurrent state read and written per sequence, independent of context [B]
    activations: bytes in and out of the call per sequence, the cache's new entries included [B]
    flops: per sequence, besides those of the caches [FLOP]
    """

    weights: tuple[tuple[str, float], ...] = ()
    caches: tuple[Cache, ...] = ()
    state: float = 0.0
    activations: float = 0.0
    flops: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        """Return both together; equal kinds are merged."""
        weights = dict(self.weights)
        for kind, size in other.weights:
            weights[kind] = weights.get(kind, 0.0) + size
        caches: dict[int | None, tuple[float, float]] = {}
        for cache in self.caches + other.caches:
            read, flops = caches.get(cache.window, (0.0, 0.0))
            caches[cache.window] = (read + cache.bytes, flops + cache.flops)
        return Work(
            tuple(weights.items()), tuple(Cache(window, *both) for window, both in caches.items()),
            self.state + other.state, self.activations + other.activations, self.flops + other.flops,
        )  # fmt: skip

    def times(self, count: int) -> "Work":
        """Return this work done `count` times."""
        return Work(
            tuple((kind, size * count) for kind, size in self.weights), tuple(Cache(c.window, c.bytes * count, c.flops * count) for c in self.caches),
            self.state * count, self.activations * count, self.flops * count,
        )  # fmt: skip

    def bytes_of_kinds(self, kinds: tuple[str, ...], batch: Any, context: Any) -> tuple[Any, ...]:
        """Return the bytes [B] of each of `kinds`: weight formats, then the cache with state, then activations."""
        weights = dict(self.weights)
        cache = self.state * batch
        for c in self.caches:
            cache = cache + c.bytes * batch * (context if c.window is None else smaller(context, c.window))
        return (*(weights.get(kind, 0.0) for kind in kinds[:-2]), cache, self.activations * batch)

    def flops_at(self, batch: Any, context: Any) -> Any:
        """Return the FLOPs [FLOP] of a step."""
        flops = self.flops
        for c in self.caches:
            flops = flops + c.flops * (context if c.window is None else smaller(context, c.window))
        return flops * batch

    def bytes_read(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] that count as peak: weights, cache and state read, no activations."""
        kinds = tuple(kind for kind, _ in self.weights)
        return sum(self.bytes_of_kinds((*kinds, CACHE, ACTIVATIONS), batch, context)[:-1])
