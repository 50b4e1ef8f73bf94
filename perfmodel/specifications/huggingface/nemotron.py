"""Nemotron-H and Nemotron 3: each layer is one block, as a pattern says."""

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.huggingface.blocks import FULL, LINEAR, experts, feed_forward, layer_count
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention, StateSpace
from perfmodel.specifications.model import Experts, Layer

# Keys that do not change what a step does, or are read from the pattern.
_KNOWN = """
mlp_hidden_act mamba_proj_bias mamba_hidden_act residual_in_fp32 time_step_rank time_step_min time_step_max
time_step_floor time_step_limit chunk_size mamba_dt_rank rescale_prenorm_residual mamba_ssm_cache_dtype
num_logits_to_keep attention_head_dim use_mamba_kernels expand mamba_d_conv hidden_act partial_rotary_factor
mtp_hybrid_override_pattern mtp_layers_block_type num_nextn_predict_layers num_hidden_layers layer_types
sliding_window moe_shared_expert_overlap
""".split()
_BLOCKS = {LINEAR: "M", "mamba": "M", "mlp": "-", "moe": "E", FULL: "*", "attention": "*"}


def read_nemotron_h(fields: ConfigFields) -> Shape:
    """Nemotron-H and Nemotron 3: each layer is one block, as its pattern says.

    M for Mamba 2, - for feed-forward, E for experts, * for attention.
    """
    pattern = _pattern(fields)
    fields.known(*_KNOWN)
    mixer, block = _attention(fields), _state_space(fields)
    dense = feed_forward(fields, gated=False, bias=fields.flag("mlp_bias", default=False))
    kinds = {
        "M": Layer(mixer=block, feed_forward=None),
        "-": Layer(mixer=None, feed_forward=dense),
        "*": Layer(mixer=mixer, feed_forward=None),
    }
    if "E" in pattern:
        kinds["E"] = Layer(mixer=None, feed_forward=_mixture(fields))
    return {"layers": tuple(kinds[letter] for letter in pattern)}


def _attention(fields: ConfigFields) -> Attention:
    dim = fields.integer("head_dim", default=fields.integer("attention_head_dim", required=False), most=100_000)
    heads = fields.integer("num_attention_heads", most=100_000)
    bias = fields.flag("attention_bias", default=False)
    return Attention(
        heads=heads,
        kv_heads=fields.integer("num_key_value_heads", default=heads, most=100_000),
        head_dim=dim,
        query_key_value_bias=bias,
        output_bias=bias,
        rotary=False,
    )


def _state_space(fields: ConfigFields) -> StateSpace:
    mamba_heads, mamba_dim = (
        fields.integer("mamba_num_heads", most=100_000),
        fields.integer("mamba_head_dim", most=100_000),
    )
    return StateSpace(
        version=2,
        inner=mamba_heads * mamba_dim,
        state=fields.integer("ssm_state_size", most=100_000),
        convolution=fields.integer("conv_kernel", default=4, most=1000),
        convolution_bias=fields.flag("use_conv_bias", default=True),
        projection_bias=fields.flag("use_bias", default=False),
        heads=mamba_heads,
        groups=fields.integer("n_groups", most=100_000),
    )


def _mixture(fields: ConfigFields) -> Experts:
    # The router's correction is a number an expert; the shared expert works in the hidden width.
    shared = (
        fields.integer("moe_shared_expert_intermediate_size", most=10_000_000)
        if fields.integer("n_shared_experts", default=1, least=0, most=1)
        else 0
    )
    return experts(
        fields,
        "n_routed_experts",
        "moe_intermediate_size",
        shared=shared,
        router_bias=True,
        gated=False,
        latent=fields.integer("moe_latent_size", default=0, least=0, most=1_000_000),
        shared_bias=fields.flag("mlp_bias", default=False),
    )


def _pattern(fields: ConfigFields) -> str:
    """Return the pattern of a Nemotron, a letter a layer.

    layers_block_type lists the same in words, and counts where both are there.
    """
    listed = fields.texts("layers_block_type")
    if listed is not None:
        if not listed or not set(listed) <= set(_BLOCKS):
            raise SpecificationError(f"{fields.where}: layers_block_type: expected {', '.join(_BLOCKS)}")
        fields.known("hybrid_override_pattern")
        return "".join(_BLOCKS[kind] for kind in listed)
    pattern = fields.text("hybrid_override_pattern", "")
    if not pattern or set(pattern) - set("M-E*"):
        raise SpecificationError(
            f"{fields.where}: hybrid_override_pattern: {shown(pattern)} is not a pattern of M, -, E and *"
        )
    if layer_count(fields) != len(pattern):
        raise SpecificationError(
            f"{fields.where}: num_hidden_layers: {layer_count(fields)} is not the length of hybrid_override_pattern,"
            f" {len(pattern)}"
        )
    return pattern
