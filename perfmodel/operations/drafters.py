"""Drafters: the decode step of what proposes tokens, as operations: a head on the target's layers, or a model."""

import msgspec

from perfmodel.operations.builders import matrix, norm
from perfmodel.operations.formats import Formats
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.step import Step, decode_step
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import FeedForward, Layer, Model

# Heads that are trained for a target, and proposals without any model.
HEADS = ("mtp", "eagle")
WITHOUT_MODEL = "ngram"
# What published EAGLE-3 heads have: heads of 128 and eight of keys and values; a feed-forward block as wide as a dense
# target's, six times the hidden width where the target has experts (gpt-oss-120b 17,280, Qwen3 30B-A3B 12,288).
_HEAD_DIM, _KV_HEADS, _WIDTHS = 128, 8, 6


def drafter_head(target: Model, drafter: str, layers: int, vocabulary: int) -> Model:
    """Return the draft head `drafter` on `target` as a model of its own.

    mtp: layers as the target has them for it, else like its last (DeepSeek-V3, arXiv 2412.19437, section 2.2); eagle:
    dense decoder layers (EAGLE-3, arXiv 2503.01840). Both take the token's embedding and the target's hidden state
    through one projection.
    layers: of the head [-]; vocabulary: words its LM head scores [-].
    """
    # A draft runs one of several heads that were trained, and they are alike.
    trained = target.draft_layers[0] if target.draft_layers else target.layers[-1]
    layer = trained if drafter == "mtp" else _dense_layer(target)
    return target.replace(
        name=f"{target.name}-{drafter}",
        layers=(layer,) * layers,
        draft_layers=(),
        vocabulary=vocabulary,
        tied=False,
        other_parameters=0,
    )


def _dense_layer(target: Model) -> Layer:
    blocks = [layer for layer in target.layers if isinstance(layer, Layer)]
    mixer = next((layer.mixer for layer in blocks if isinstance(layer.mixer, Attention)), None)
    dense = next((layer.feed_forward for layer in blocks if isinstance(layer.feed_forward, FeedForward)), None)
    heads = max(target.hidden // _HEAD_DIM, 1)
    return Layer(
        mixer=msgspec.structs.replace(mixer, window=None, shares_cache=False)
        if mixer is not None
        else Attention(heads=heads, kv_heads=min(_KV_HEADS, heads), head_dim=_HEAD_DIM),
        feed_forward=FeedForward(intermediate=dense.intermediate if dense is not None else _WIDTHS * target.hidden),
    )


def draft_step(drafter: Model, formats: Formats, devices: Parallel, replicates: tuple[str, ...], *, head: bool) -> Step:
    """Return the operations of one draft on the fullest device; head: whether `drafter` is a head on its target."""
    step = decode_step(drafter, formats, devices, replicates)
    if not head or drafter.head:
        return step
    joined = matrix("draft_projection", drafter.hidden, 2 * drafter.hidden, formats)
    norms = norm("draft_norm", drafter.hidden, formats, copies=2)
    return msgspec.structs.replace(step, before=(*step.before, norms, joined))
