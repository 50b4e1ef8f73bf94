"""What an operation does, as coefficients: FLOPs and bytes by kind as functions of batch and context.

Counts stay coefficients until a workload is given, so that a plan made once serves every batch and
context, and arrays and symbols as well as numbers. All figures are per device: those of the
fullest device where a split is uneven.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from perfmodel import equations
from perfmodel.numbers.choices import added, ceil_div, smaller

# Kinds of bytes besides the weight formats.
CACHE = "kv"
ACTIVATIONS = "activations"
# Weights that stay on chip from step to step: streamed from there, no part of the peak.
ON_CHIP = "on_chip"


def tiered(tier: str, kind: str) -> str:
    """Return the kind of bytes that a slower memory tier holds."""
    return f"{tier}/{kind}"


def computed_by(tier: str) -> str:
    """Return the name of the tier whose bytes the machine behind it computes with, in place of sending them."""
    return f"{tier}.compute"


def in_tier(tier: str, kind: str) -> bool:
    """Return whether a kind of bytes is held by the slower memory tier `tier`."""
    return kind.startswith(f"{tier}/")


def split_kind(kind: str) -> tuple[str, str]:
    """Return tier and storage format of a kind of bytes; the tier is '' for the device's own memory."""
    tier, slash, storage = kind.partition("/")
    return (tier, storage) if slash else ("", kind)


class Cache(msgspec.Struct, frozen=True):
    """Reading a cache. window: most tokens read, None for all; bytes and flops: per token read, per sequence.

    shared: it is that of an earlier layer, which is read again but kept once.
    whole: all of it is kept, although only `window` tokens that are chosen anew each step are read.
    """

    window: int | None
    bytes: float
    flops: float
    shared: bool = False
    whole: bool = False


def kept(cache: Cache) -> Cache:
    """Return the cache as it is kept: whole where what a step reads of it is chosen anew each time."""
    return msgspec.structs.replace(cache, window=None) if cache.whole else cache


class ExpertBank(msgspec.Struct, frozen=True):
    """Routed experts: which are read is known only inside the step.

    count: routed experts; chosen: experts a token uses; bytes: of one expert, in storage format `kind`.
    groups: groups of devices that the experts are spread over; the counts are those of the fullest.
    spread: expected maximum of as many standard normal numbers.
    """

    kind: str
    count: int
    chosen: int
    bytes: float
    groups: int = 1
    spread: float = 0.0

    def bytes_read(self, batch: Any) -> Any:
        """Return the bytes [B] of experts that `batch` tokens are expected to wake (E1), on the fullest device (E2)."""
        if self.groups > 1:
            return (
                equations.fullest_device_experts(self.count, self.chosen, batch, self.groups, self.spread) * self.bytes
            )
        return equations.expected_distinct_experts(self.count, self.chosen, batch) * self.bytes

    def bytes_of_token(self) -> float:
        """Return the bytes [B] of the experts that one token chooses, on one of the groups of devices."""
        return self.chosen * self.bytes / self.groups


class Collective(msgspec.Struct, frozen=True):
    """A collective.

    kind: one of `perfmodel.specifications.parameters.COLLECTIVES`; payload: per sequence [B], see
    `perfmodel.equations.algorithms`; group: devices that take part [-].

    stride: devices from one of the group to the next [-], which says how many of the group share a domain of links; the
    group of a send is all stages of the pipeline.
    """

    kind: str
    payload: float
    group: int
    stride: int = 1


class Work(msgspec.Struct, frozen=True):
    """Coefficients of one operation, or of a sum of them.

    weights: (storage format, bytes) read once a step, whatever the batch [B]
    experts: routed experts, of which a step reads those it wakes
    caches: what is read per sequence and token in the cache
    state: recurrent state read per sequence, independent of context [B]; what is written back counts as activations
    activations: bytes in and out of the call per sequence, the cache's new entries included [B]
    flops: per sequence, besides those of the caches [FLOP]
    """

    weights: tuple[tuple[str, float], ...] = ()
    experts: tuple[ExpertBank, ...] = ()
    caches: tuple[Cache, ...] = ()
    state: float = 0.0
    activations: float = 0.0
    flops: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        """Return both together; equal kinds are merged."""
        weights = dict(self.weights)
        for kind, size in other.weights:
            weights[kind] = weights.get(kind, 0.0) + size
        experts: dict[tuple[str, int, int, int, float], float] = {}
        for bank in self.experts + other.experts:
            key = (bank.kind, bank.count, bank.chosen, bank.groups, bank.spread)
            experts[key] = experts.get(key, 0.0) + bank.bytes
        caches: dict[tuple[int | None, bool, bool], tuple[float, float]] = {}
        for cache in self.caches + other.caches:
            alike = (cache.window, cache.shared, cache.whole)
            read, flops = caches.get(alike, (0.0, 0.0))
            caches[alike] = (read + cache.bytes, flops + cache.flops)
        return Work(
            tuple(weights.items()),
            tuple(ExpertBank(*key[:3], size, *key[3:]) for key, size in experts.items()),
            tuple(Cache(window, *both, shared, whole) for (window, shared, whole), both in caches.items()),
            self.state + other.state,
            self.activations + other.activations,
            self.flops + other.flops,
        )

    def times(self, count: int) -> "Work":
        """Return this work done `count` times."""
        return Work(
            tuple((kind, size * count) for kind, size in self.weights),
            tuple(msgspec.structs.replace(bank, bytes=bank.bytes * count) for bank in self.experts),
            tuple(Cache(c.window, c.bytes * count, c.flops * count, c.shared, c.whole) for c in self.caches),
            self.state * count,
            self.activations * count,
            self.flops * count,
        )

    def cache_bytes(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] of cache and state read for `batch` sequences of `context` tokens."""
        return self._cache_bytes(self.caches, batch, context)

    def _cache_bytes(self, caches: Iterable[Cache], batch: Any, context: Any) -> Any:
        size = self.state * batch
        for c in caches:
            size = size + c.bytes * batch * (context if c.window is None else smaller(context, c.window))
        return size

    def flops_at(self, batch: Any, context: Any) -> Any:
        """Return the FLOPs [FLOP] of a step."""
        flops = self.flops
        for c in self.caches:
            flops = flops + c.flops * (context if c.window is None else smaller(context, c.window))
        return flops * batch

    def bytes_read(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] that count as peak: weights and woken experts, cache and state read, no activations."""
        return (
            added(size for kind, size in self.weights if kind != ON_CHIP)
            + added(bank.bytes_read(batch) for bank in self.experts)
            + self.cache_bytes(batch, context)
        )

    def bytes_resident(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] that must stay in the device's own memory.

        Weights and experts that no slower tier holds, state, and each cache once.
        """
        own = [bank for bank in self.experts if not split_kind(bank.kind)[0]]
        return (
            added(size for kind, size in self.weights if kind != ON_CHIP and not split_kind(kind)[0])
            + added(ceil_div(bank.count, bank.groups) * bank.bytes for bank in own)
            + self._cache_bytes((kept(c) for c in self.caches if not c.shared), batch, context)
        )
