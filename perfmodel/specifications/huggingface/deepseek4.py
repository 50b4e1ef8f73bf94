"""DeepSeek-V4: compressed attention, hyper-connections, experts that are chosen by hash in the first layers."""

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.huggingface.blocks import check_activation, experts, layer_count
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import CompressedAttention
from perfmodel.specifications.model import HyperConnections, Layer

SHORT, INDEXED, HEAVY = "sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"


_DEEPSEEK_V4_KNOWN = """
partial_rotary_factor expert_dtype hc_sinkhorn_iters hc_eps swiglu_limit compress_rope_theta scoring_func topk_method
rope_interleave num_hash_layers num_nextn_predict_layers num_key_value_heads qk_rope_head_dim hash_moe
""".split()


def read_deepseek_v4(fields: ConfigFields) -> Shape:
    """DeepSeek-V4: a window of recent tokens, and entries that stand for 4 or 128 tokens.

    Of the fine ones an indexer chooses.
    """
    check_activation(fields, "hidden_act")
    fields.known(*_DEEPSEEK_V4_KNOWN)
    layers = layer_count(fields)
    if fields.flag("mlp_bias", default=False) or fields.flag("attention_bias", default=False):
        raise SpecificationError(f"{fields.where}: mlp_bias, attention_bias: are not understood for deepseek_v4")
    kinds = _kinds(fields, layers)
    shared = fields.integer("n_shared_experts", default=1, least=0, most=1_000) or 0
    width = fields.integer("moe_intermediate_size", most=10_000_000)
    mixture = experts(fields, "n_routed_experts", "moe_intermediate_size", shared=shared * width, router_bias=True)
    hashed = msgspec.structs.replace(mixture, router_bias=False)
    listed = fields.texts("mlp_layer_types") or ["moe"] * layers
    first = min(fields.integer("num_hash_layers", default=3, least=0, most=1_000), layers)
    if not fields.has("mlp_layer_types"):
        listed = ["hash_moe"] * first + ["moe"] * (layers - first)
    if len(listed) != layers or not set(listed) <= {"moe", "hash_moe"}:
        raise SpecificationError(f"{fields.where}: mlp_layer_types: expected {layers} of moe, hash_moe")
    streams = HyperConnections(count=fields.integer("hc_mult", default=4, least=1, most=64))
    mixers = _mixers(fields)
    built = {
        pair: Layer(mixer=mixers[pair[0]], feed_forward=hashed if pair[1] == "hash_moe" else mixture, streams=streams)
        for pair in set(zip(kinds, listed, strict=True))
    }
    stack = tuple(built[pair] for pair in zip(kinds, listed, strict=True))
    count = fields.integer("num_nextn_predict_layers", default=0, least=0, most=100)
    return {"layers": stack, "draft_layers": (stack[-1],) * count}


def _kinds(fields: ConfigFields, layers: int) -> list[str]:
    listed = fields.texts("layer_types")
    if listed is None:
        rates = fields.integers("compress_ratios")
        if rates is not None:
            known = {0: SHORT, 4: INDEXED, 128: HEAVY}
            wrong = [rate for rate in rates if rate not in known]
            if wrong or len(rates) < layers:
                raise SpecificationError(
                    f"{fields.where}: compress_ratios: expected {layers} of 0, 4, 128, found {shown(rates)}"
                )
            return [known[rate] for rate in rates[:layers]]
        return [HEAVY if index < 2 or index % 2 == 0 else INDEXED for index in range(layers)]
    if len(listed) != layers or not set(listed) <= {SHORT, INDEXED, HEAVY}:
        raise SpecificationError(f"{fields.where}: layer_types: expected {layers} of {SHORT}, {INDEXED}, {HEAVY}")
    return listed


def _mixers(fields: ConfigFields) -> dict[str, CompressedAttention]:
    rates = fields.table("compress_rates") or {}
    inner = ConfigFields(rates, f"{fields.where}: compress_rates")
    plain = CompressedAttention(
        heads=fields.integer("num_attention_heads", most=100_000),
        head_dim=fields.integer("head_dim", most=100_000),
        query_rank=fields.integer("q_lora_rank", most=1_000_000),
        groups=fields.integer("o_groups", most=10_000),
        group_rank=fields.integer("o_lora_rank", most=1_000_000),
        window=fields.integer("sliding_window", most=100_000_000),
    )
    if plain.heads % plain.groups:
        raise SpecificationError(
            f"{fields.where}: o_groups: {plain.groups} does not divide num_attention_heads {plain.heads}"
        )
    indexed = msgspec.structs.replace(
        plain,
        rate=inner.integer(INDEXED, default=4, most=1_000_000),
        overlap=True,
        index_heads=fields.integer("index_n_heads", most=100_000),
        index_dim=fields.integer("index_head_dim", most=100_000),
        index_chosen=fields.integer("index_topk", most=100_000_000),
    )
    return {
        SHORT: plain,
        INDEXED: indexed,
        HEAVY: msgspec.structs.replace(plain, rate=inner.integer(HEAVY, default=128, most=1_000_000)),
    }
