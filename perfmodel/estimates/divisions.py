"""What a model asks of a way to share it: what tensor parallelism and all devices of a stage must divide."""

from collections.abc import Iterator
from functools import lru_cache
from math import isqrt
from typing import TYPE_CHECKING

import msgspec

from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.mixers import (
    Attention,
    CompressedAttention,
    KeyedDeltaAttention,
    LatentAttention,
    LightningAttention,
    ShortConvolution,
    StateSpace,
    TimeMixing,
)
from perfmodel.specifications.model import Experts, FeedForward, Layer, Mixer, Model
from perfmodel.units import MOST_DEVICES

if TYPE_CHECKING:
    from perfmodel.specifications.primitives import Block

_NARROW = 64  # outputs of a matrix below which a network leaves it whole on each device


class WholeNumber(msgspec.Struct, frozen=True):
    """What must be divided without a rest. either: or may divide the devices, each copy then being kept whole."""

    what: str
    number: int
    either: bool = False

    def allows(self, devices: int) -> bool:
        """Return whether `devices` divide it."""
        return self.number % devices == 0 or (self.either and devices % self.number == 0)


@lru_cache(maxsize=256)
def needs_of(model: Model) -> tuple[tuple[WholeNumber, ...], tuple[WholeNumber, ...], tuple[Experts, ...]]:
    """Return what tensor parallelism must divide, what all devices of a stage must, and the mixtures of experts."""
    attention: dict[WholeNumber, None] = {}
    dense: dict[WholeNumber, None] = {}
    mixtures: dict[Experts, None] = {}
    for layer in dict.fromkeys(model.layers):
        if not isinstance(layer, Layer):
            attention |= dict.fromkeys(_block_needs(layer))
            continue
        if layer.mixer is not None:
            attention |= dict.fromkeys(_mixer_needs(layer.mixer))
        if layer.beside is not None:
            attention |= dict.fromkeys(_mixer_needs(layer.beside))
        if layer.mixture is not None:
            mixtures[layer.mixture] = None
        if isinstance(layer.feed_forward, FeedForward):
            dense[WholeNumber("the feed-forward width", layer.feed_forward.intermediate)] = None
        elif layer.feed_forward is not None:
            mixtures[layer.feed_forward] = None
    return tuple(attention), tuple(dense), tuple(mixtures)


def _mixer_needs(mixer: Mixer) -> Iterator[WholeNumber]:
    if isinstance(mixer, Attention):
        yield WholeNumber("heads", mixer.heads)
        yield WholeNumber("key and value heads", mixer.kv_heads, either=True)
    elif isinstance(
        mixer, LatentAttention | CompressedAttention | KeyedDeltaAttention | LightningAttention | TimeMixing
    ):
        yield WholeNumber("heads", mixer.heads)
    elif isinstance(mixer, ShortConvolution):
        yield WholeNumber("channels of the convolution", mixer.width)
    elif isinstance(mixer, StateSpace):
        yield WholeNumber("channels of the state space", mixer.inner)
        if mixer.version != 1:
            yield WholeNumber("heads of the state space", mixer.heads)
            # Groups beyond their number are copied, as key and value heads are.
            yield WholeNumber("groups of the state space", mixer.groups, either=True)
    else:
        yield WholeNumber("key heads of linear attention", mixer.key_heads)
        yield WholeNumber("value heads of linear attention", mixer.value_heads)


def _block_needs(block: "Block") -> Iterator[WholeNumber]:
    from perfmodel.specifications.primitives import Convolution, DotProduct, Linear, Recurrent

    for primitive in block.operations:
        if isinstance(primitive, Linear | Convolution) and primitive.outputs >= _NARROW:
            yield WholeNumber("outputs of its matrices", primitive.outputs)
        elif isinstance(primitive, DotProduct):
            yield WholeNumber("heads", primitive.heads)
            yield WholeNumber("key and value heads", primitive.kv_heads, either=True)
        elif isinstance(primitive, Recurrent):
            yield WholeNumber("states of a recurrent cell", primitive.hidden)


def mixture_obstacle(mixture: Experts, parallel: Parallel, shared: str) -> str:
    """Return why experts cannot be spread as `parallel` asks, '' where they can; shared: how the stage is said."""
    if mixture.count % parallel.expert:
        return f"ep={parallel.expert} does not divide {mixture.count} experts"
    if parallel.stage_devices % parallel.expert:
        return f"ep={parallel.expert} does not divide the {parallel.stage_devices} devices of {shared}"
    within = parallel.stage_devices // parallel.expert
    if mixture.intermediate % within:
        return f"{within} devices of an expert do not divide its width of {mixture.intermediate:,}"
    beside = parallel.tensor if parallel.routed else parallel.stage_devices
    if mixture.shared % beside:
        return f"{beside} devices do not divide the shared expert's width of {mixture.shared:,}"
    return ""


def most_stages(model: Model) -> int:
    """Return the most stages that the layers can be cut into."""
    return 1 if model.step else len(model.layers)


def most_tensor(model: Model) -> int:
    """Return the widest tensor parallelism that attention allows."""
    return min([need.number for need in needs_of(model)[0] if not need.either] + [MOST_DEVICES])


def widest(model: Model) -> int:
    """Return how many devices share a stage at most: they divide each width."""
    _, dense, mixtures = needs_of(model)
    widths = [need.number for need in dense] + [mixture.count * mixture.intermediate for mixture in mixtures]
    return min([*widths, MOST_DEVICES])


@lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """Return what divides `number`, largest first."""
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return tuple(sorted({*small, *(number // n for n in small)}, reverse=True))
