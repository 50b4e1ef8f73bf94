"""Models of another depth or width, of the same shape otherwise."""

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import Experts, FeedForward, Layer, Model
from perfmodel.specifications.primitives import Block


def deeper(model: Model, layers: int) -> Model:
    """Return `model` with `layers` decoder layers [-], its own repeated or cut off."""
    own = model.layers
    return model.replace(
        name=f"{model.name} with {layers} layers",
        layers=tuple(own[i % len(own)] for i in range(layers)),
        published_parameters=None,
    )


def wider(model: Model, hidden: int) -> Model:
    """Return `model` with another hidden width [-], heads and feed-forward in proportion, depth and vocabulary kept.

    Raises SpecificationError for layers other than attention with a feed-forward block or experts.
    """
    if model.step:
        raise SpecificationError(f"hidden: {model.name} is a network of blocks, which have no width in common")
    share = hidden / model.hidden
    return model.replace(
        name=f"{model.name} with hidden {hidden}",
        hidden=hidden,
        layers=tuple(_wider_layer(layer, share, model.name) for layer in model.layers),
        published_parameters=None,
    )


def _wider_layer(layer: Layer | Block, share: float, name: str) -> Layer:
    mixer, block = (layer.mixer, layer.feed_forward) if isinstance(layer, Layer) else (None, None)
    if not isinstance(layer, Layer) or not isinstance(mixer, Attention) or not isinstance(block, FeedForward | Experts):
        raise SpecificationError(
            f"hidden: {name} has layers that I cannot scale; attention with a feed-forward block or experts is needed"
        )
    groups = max(1, round(mixer.kv_heads * share))
    heads = groups * max(1, round(mixer.heads * share / groups))
    changes = {"intermediate": max(64, 64 * round(block.intermediate * share / 64))}
    if isinstance(block, Experts):
        changes["shared"] = 64 * round(block.shared * share / 64)
    return msgspec.structs.replace(
        layer,
        mixer=msgspec.structs.replace(mixer, heads=heads, kv_heads=groups),
        feed_forward=msgspec.structs.replace(block, **changes),
    )
