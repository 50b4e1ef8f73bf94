"""Draft heads published as checkpoints of their own, EAGLE and EAGLE-3: they draft for a target, and are no models."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import attention, check_activation, feed_forward, layer_count
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.model import Layer

# Layers of the target whose hidden states an EAGLE-3 head is given.
_STATES = 3
_KNOWN = """
draft_vocab_size eagle_config eagle_aux_hidden_state_layer_ids target_hidden_size norm_before_residual fc_norm
sliding_window num_aux_hidden_states max_window_layers use_sliding_window speculators_config target_model_type
use_cache
""".split()


def head_of(config: dict[str, Any], where: str) -> str:
    """Return which kind of draft head a config describes, 'eagle3' or 'eagle'; '' for a model.

    Raises SpecificationError for heads of other kinds.
    """
    kind = _kind(config)
    if kind in ("medusa", "mtp"):
        raise SpecificationError(
            f"{where}: is a draft head ({kind}), which is not understood; --drafter takes eagle, mtp or an EAGLE config"
        )
    return kind


def _kind(config: dict[str, Any]) -> str:
    listed = config.get("architectures")
    called = " ".join(map(str, listed)).lower() if isinstance(listed, list) else ""
    called += f" {config.get('model_type', '')}".lower()
    if "eagle3" in called or config.get("draft_vocab_size") is not None:
        return "eagle3"
    if "eagle" in called:
        return "eagle"
    if "medusa" in called or "medusa_num_heads" in config:
        return "medusa"
    return "mtp" if any(word in called for word in ("nextn", "mtp", "assistant")) else ""


def read_eagle(fields: ConfigFields, kind: str) -> Shape:
    """Return the layers of an EAGLE (arXiv 2401.15077) or EAGLE-3 head (arXiv 2503.01840).

    The head looks words up in its target's table. EAGLE joins a word's embedding and the last hidden state by a matrix,
    and scores words by the target's LM head; EAGLE-3 takes three hidden states of the target into one by a matrix,
    reads it beside the embedding in its first layer, and has an LM head for the words that are most frequent.
    """
    check_activation(fields, "hidden_act")
    fields.known(*_KNOWN)
    hidden, vocabulary = fields.integer("hidden_size", most=1_000_000), fields.integer("vocab_size", most=100_000_000)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    block = feed_forward(fields, bias=fields.flag("mlp_bias", default=False))
    layers = (Layer(mixer=mixer, feed_forward=block),) * layer_count(fields)
    fields.known("bias")
    if kind == "eagle":
        bias = fields.flag("bias", default=True)
        return {"layers": layers, "head": kind, "joined": 2 * hidden, "joined_bias": bias, "final_norm": False}
    target = fields.integer("target_hidden_size", default=hidden, most=1_000_000)
    drafted = fields.integer("draft_vocab_size", default=vocabulary, most=vocabulary)
    first = msgspec.structs.replace(layers[0], mixer=msgspec.structs.replace(mixer, inputs=2))
    return {
        "layers": (first, *layers[1:]),
        "head": kind,
        "joined": _STATES * target,
        "vocabulary": drafted,
        # Which words are drafted, from both sides.
        "other_parameters": vocabulary + drafted if drafted < vocabulary else 0,
    }
