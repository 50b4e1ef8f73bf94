"""Blocks that many families share, each read from the keys that mean it."""

from collections.abc import Sequence

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention, DeltaAttention, LatentAttention
from perfmodel.specifications.model import Experts, FeedForward

ACTIVATIONS = (
    "silu",
    "situ",
    "swish",
    "gelu",
    "gelu_new",
    "gelu_pytorch_tanh",
    "gelu_fast",
    "gelu_python",
    "quick_gelu",
    "relu",
    "relu2",
    "swiglu",
    "swigluoai",
    "xielu",
)
FULL, SLIDING, CHUNKED, LINEAR = "full_attention", "sliding_attention", "chunked_attention", "linear_attention"
DENSE, SPARSE = "dense", "sparse"


def layer_count(fields: ConfigFields) -> int:
    """Return the number of decoder layers."""
    return int(fields.integer("num_hidden_layers", most=1_000))


def check_activation(fields: ConfigFields, *keys: str) -> None:
    """Refuse an activation that is not one of the elementwise ones; its kind does not change the count."""
    for key in keys:
        name = fields.text(key, "silu")
        if name not in ACTIVATIONS:
            raise SpecificationError(f"{fields.where}: {key}: {shown(name)} is not one of {', '.join(ACTIVATIONS)}")


def attention(
    fields: ConfigFields,
    *,
    bias: bool = False,
    output_bias: bool | None = None,
    query_key_norm: str = "",
    head_dim_needed: bool = False,
    heads_default: int | None = None,
    kv_default: int | None = None,
    head_dim_default: int | None = None,
    sinks: bool = False,
    output_gate: bool = False,
) -> Attention:
    """Return the attention that the usual keys describe; the defaults are those of the family's own code."""
    hidden = fields.integer("hidden_size", most=1_000_000)
    heads = fields.integer("num_attention_heads", default=heads_default, most=100_000)
    kv_heads = fields.integer("num_key_value_heads", default=kv_default or heads, most=100_000)
    head_dim = fields.integer("head_dim", default=head_dim_default, most=100_000, required=head_dim_needed)
    if kv_heads > heads or heads % kv_heads:
        raise SpecificationError(
            f"{fields.where}: num_key_value_heads: {kv_heads} does not divide num_attention_heads {heads}"
        )
    if head_dim is None:
        if hidden % heads:
            raise SpecificationError(
                f"{fields.where}: num_attention_heads: {heads} does not divide hidden_size {hidden}, and there is no"
                " head_dim"
            )
        head_dim = hidden // heads
    return Attention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        query_key_value_bias=bias,
        output_bias=bias if output_bias is None else output_bias,
        query_key_norm=query_key_norm,
        sinks=sinks,
        output_gate=output_gate,
    )


def latent_attention(fields: ConfigFields) -> LatentAttention:
    """Return the latent attention of the DeepSeek families."""
    fields.known("num_key_value_heads", "head_dim", "qk_head_dim")
    return LatentAttention(
        heads=fields.integer("num_attention_heads", most=100_000),
        query_rank=fields.integer("q_lora_rank", most=1_000_000, required=False),
        kv_rank=fields.integer("kv_lora_rank", most=1_000_000),
        plain_dim=fields.integer("qk_nope_head_dim", most=100_000),
        rotary_dim=fields.integer("qk_rope_head_dim", most=100_000),
        value_dim=fields.integer("v_head_dim", most=100_000),
        bias=fields.flag("attention_bias", default=False),
        index_heads=fields.integer("index_n_heads", default=0, least=0, most=100_000),
        index_dim=fields.integer("index_head_dim", default=0, least=0, most=100_000),
        index_chosen=fields.integer("index_topk", default=0, least=0, most=100_000_000),
    )


def delta_attention(fields: ConfigFields) -> DeltaAttention:
    """Return the linear attention of Qwen3-Next and its kin."""
    return DeltaAttention(
        key_heads=fields.integer("linear_num_key_heads", most=100_000),
        value_heads=fields.integer("linear_num_value_heads", most=100_000),
        key_dim=fields.integer("linear_key_head_dim", most=100_000),
        value_dim=fields.integer("linear_value_head_dim", most=100_000),
        convolution=fields.integer("linear_conv_kernel_dim", most=1000),
    )


def feed_forward(
    fields: ConfigFields,
    *,
    gated: bool = True,
    bias: bool = False,
    key: str = "intermediate_size",
    default: int | None = None,
) -> FeedForward:
    """Return the dense feed-forward block of width `key`."""
    return FeedForward(intermediate=fields.integer(key, default=default, most=10_000_000), gated=gated, bias=bias)


def experts(
    fields: ConfigFields,
    count_key: str,
    width_key: str,
    *,
    shared: int = 0,
    shared_gate: bool = False,
    bias: bool = False,
    router_bias: bool = False,
    shared_bias: bool = False,
    chosen_key: str = "num_experts_per_tok",
    gated: bool = True,
    latent: int = 0,
) -> Experts:
    """Return the mixture of experts under these keys."""
    count = fields.integer(count_key, most=100_000)
    chosen = fields.integer(chosen_key, most=100_000)
    if chosen > count:
        raise SpecificationError(f"{fields.where}: {chosen_key}: {chosen} is more than {count_key} {count}")
    width = fields.integer(width_key, most=10_000_000)
    fields.known(
        "norm_topk_prob",
        "router_aux_loss_coef",
        "output_router_logits",
        "router_jitter_noise",
        "routed_scaling_factor",
        "n_group",
        "topk_group",
        "scoring_func",
        "topk_method",
        "aux_loss_alpha",
        "seq_aux",
        "num_nextn_predict_layers",
    )
    return Experts(
        count=count,
        chosen=chosen,
        intermediate=width,
        gated=gated,
        shared=shared,
        shared_gate=shared_gate,
        bias=bias,
        router_bias=router_bias,
        shared_bias=shared_bias,
        latent=latent,
    )


# Earlier names of kinds of layers.
_EARLIER = {"mamba": LINEAR, "attention": FULL, "deepseek_sparse_attention": "indexed_attention"}


def layer_types(fields: ConfigFields, layers: int, allowed: Sequence[str], *, longer: bool = False) -> list[str] | None:
    """Return the kind of each layer where the config lists them, else None.

    longer: the list may go on with the layers of a draft head.
    """
    listed = fields.texts("layer_types")
    if listed is None:
        return None
    types = [_EARLIER.get(kind, kind) for kind in listed]
    if len(types) < layers or (len(types) > layers and not longer) or not set(types[:layers]) <= set(allowed):
        raise SpecificationError(f"{fields.where}: layer_types: expected {layers} of {', '.join(allowed)}")
    return types[:layers]


def pattern_types(fields: ConfigFields, layers: int, period: int, key: str = "sliding_window_pattern") -> list[str]:
    """Return the kind of each layer: every `period`-th is full attention, the others slide."""
    period = fields.integer(key, default=period, most=10_000)
    return layer_types(fields, layers, (FULL, SLIDING)) or [
        FULL if (index + 1) % period == 0 else SLIDING for index in range(layers)
    ]


def rotary_layers(fields: ConfigFields, layers: int) -> list[bool]:
    """Return for each layer whether it has rotary embeddings: as listed (1 for yes), else all but every fourth."""
    interval = fields.integer("no_rope_layer_interval", default=4, most=10_000)
    listed = fields.integers("no_rope_layers") or [int((index + 1) % interval != 0) for index in range(layers)]
    if len(listed) != layers:
        raise SpecificationError(f"{fields.where}: no_rope_layers: expected {layers} entries, found {len(listed)}")
    return [entry != 0 for entry in listed]


def window_of(fields: ConfigFields, types: Sequence[str], default: int | None = None) -> int | None:
    """Return the sliding window, which must be there when a layer slides."""
    window = fields.integer("sliding_window", default=default, required=False)
    if window is None and SLIDING in types:
        raise SpecificationError(f"{fields.where}: has sliding_attention layers, but no sliding_window")
    return window if window is None else int(window)


def indices(fields: ConfigFields, key: str, layers: int) -> list[int]:
    """Return the list of layer numbers at `key`, empty when absent."""
    values = fields.integers(key) or []
    if any(not 0 <= value < layers for value in values):
        raise SpecificationError(f"{fields.where}: {key}: expected layer numbers from 0 to {layers - 1}")
    return values


def sparse_layers(fields: ConfigFields, layers: int, rule: str, *, first: int = 0) -> list[bool]:
    """Return for each layer whether it has experts: as mlp_layer_types lists, else by the rule of `Mixture`."""
    listed = fields.texts("mlp_layer_types")
    fields.known("first_k_dense_replace")
    if listed is not None:
        if len(listed) != layers or not set(listed) <= {DENSE, SPARSE}:
            raise SpecificationError(f"{fields.where}: mlp_layer_types: expected {layers} of {DENSE}, {SPARSE}")
        return [kind == SPARSE for kind in listed]
    if rule == "first":
        first = fields.integer("first_k_dense_replace", default=first, least=0, most=10_000) or 0
        every = fields.integer("moe_layer_freq", default=1, most=10_000)
        return [index >= first and index % every == 0 for index in range(layers)]
    if rule == "dense":
        first = fields.integer("num_dense_layers", default=0, least=0, most=10_000) or 0
        return [index >= first for index in range(layers)]
    if rule == "step":
        step = fields.integer("decoder_sparse_step", default=1, most=10_000)
        dense = set(indices(fields, "mlp_only_layers", layers))
        return [index not in dense and (index + 1) % step == 0 for index in range(layers)]
    if rule == "range":
        start = fields.integer("moe_layer_start_index", default=0, least=0, most=10_000)
        end = fields.integer("moe_layer_end_index", default=-1, least=-1, most=10_000)
        interval = fields.integer("moe_layer_interval", default=1, most=10_000)
        end = layers - 1 if end == -1 else end
        return [(index + 1) % interval == 0 and start <= index <= end for index in range(layers)]
    first = {"all": 0, "but-first": 1, "after-three": 3}[rule]
    return [index >= first for index in range(layers)]
