"""Dense decoders of the Llama, Mistral, Qwen2 and Qwen3 families."""

from typing import Any

from perfmodel.errors import SpecificationError, shown
from perfmodel.huggingface.fields import Fields
from perfmodel.model import Attention, FeedForward, Layer

# Gated units: the activation itself does not change the count of matrices.
_ACTIVATIONS = ("silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu")


def read_decoder(fields: Fields, family: str) -> dict[str, Any]:
    """Return the fields of a Model that a dense decoder config gives.

    Raises SpecificationError for keys that are missing, wrong or not understood.
    """
    hidden = fields.integer("hidden_size", most=1_000_000)
    layers = fields.integer("num_hidden_layers", most=10_000)
    heads = fields.integer("num_attention_heads", most=100_000)
    kv_heads = fields.integer("num_key_value_heads", default=heads, most=100_000)
    head_dim = fields.integer("head_dim", most=100_000, required=family == "qwen3")
    if kv_heads > heads or heads % kv_heads:
        raise SpecificationError(f"{fields.where}: num_key_value_heads: {kv_heads} does not divide num_attention_heads {heads}")
    if head_dim is None:
        if hidden % heads:
            raise SpecificationError(f"{fields.where}: num_attention_heads: {heads} does not divide hidden_size {hidden}, and there is no head_dim")
        head_dim = hidden // heads
    if family in ("llama", "qwen3"):
        query_key_value_bias = fields.flag("attention_bias", default=False)
        output_bias = query_key_value_bias
    else:
        # Qwen2 always has biases on query, key and value and none on the output; Mistral has none.
        query_key_value_bias, output_bias = family == "qwen2", False
    mlp_bias = fields.flag("mlp_bias", default=False) if family == "llama" else False
    activation = fields.text("hidden_act", "silu")
    if activation not in _ACTIVATIONS:
        raise SpecificationError(f"{fields.where}: hidden_act: {shown(activation)} is not one of {', '.join(_ACTIVATIONS)}")
    feed_forward = FeedForward(intermediate=fields.integer("intermediate_size", most=10_000_000), bias=mlp_bias)

    def layer(window: int | None) -> Layer:
        attention = Attention(
            heads=heads, kv_heads=kv_heads, head_dim=head_dim, query_key_value_bias=query_key_value_bias,
            output_bias=output_bias, query_key_norm="head" if family == "qwen3" else "", window=window,
        )  # fmt: skip
        return Layer(mixer=attention, feed_forward=feed_forward)

    windows = _windows(fields, family, layers)
    # A layer is a value: building each distinct one once keeps equal layers the same object.
    built = {window: layer(window) for window in set(windows)}
    return {"hidden": hidden, "layers": tuple(built[w] for w in windows)}


def _windows(fields: Fields, family: str, layers: int) -> list[int | None]:
    """Return the attention window of each layer, None for full attention."""
    if family == "llama":
        return [None] * layers
    window = fields.integer("sliding_window", required=False)
    if family == "mistral":
        return [window] * layers
    uses_window = fields.flag("use_sliding_window", default=False)
    first_windowed = fields.integer("max_window_layers", default=layers, least=0)
    types = fields.texts("layer_types")
    if types is not None:
        if len(types) != layers or not set(types) <= {"full_attention", "sliding_attention"}:
            raise SpecificationError(f"{fields.where}: layer_types: expected {layers} of full_attention or sliding_attention")
        if "sliding_attention" in types and window is None:
            raise SpecificationError(f"{fields.where}: layer_types: has sliding_attention, but there is no sliding_window")
        return [window if t == "sliding_attention" else None for t in types]
    return [window if uses_window and index >= first_windowed else None for index in range(layers)]
