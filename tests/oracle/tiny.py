"""Small configurations of every family, as a config.json would state them: few layers, narrow widths."""

import dataclasses
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)

CLASSES = {
    **MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    **MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    **MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
}
# What keys are set to where a config class has them.
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "n_embd": 64,
    "d_model": 64,
    "intermediate_size": 96,
    "ffn_dim": 96,
    "ffn_hidden_size": 96,
    "moe_intermediate_size": 40,
    "shared_expert_intermediate_size": 48,
    "shared_intermediate_size": 56,
    "dense_intermediate_size": 88,
    "intermediate_size_mlp": 104,
    "share_expert_dim": 48,
    "num_hidden_layers": 4,
    "num_layers": 4,
    "n_layer": 4,
    "n_layers": 4,
    "num_attention_heads": 8,
    "num_heads": 8,
    "n_head": 8,
    "n_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 160,
    "num_experts": 8,
    "num_local_experts": 8,
    "n_routed_experts": 8,
    "moe_num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_k": 2,
    "moe_topk": 2,
    "n_group": 1,
    "topk_group": 1,
    "num_expert_group": 1,
    "kv_lora_rank": 24,
    "q_lora_rank": 40,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "sliding_window": 16,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 8,
    "index_block_size": 4,
    "index_topk_blocks": 2,
    "attention_chunk_size": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 24,
    "linear_num_heads": 4,
    "linear_head_dim": 16,
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_d_state": 16,
    "mamba_d_ssm": 128,
    "mamba_num_heads": 8,
    "mamba_head_dim": 16,
    "ssm_state_size": 16,
    "state_size": 16,
    "n_groups": 2,
    "o_groups": 2,
    "o_lora_rank": 24,
    "max_position_embeddings": 512,
    "n_positions": 512,
    "moe_latent_size": 24,
    "moe_shared_expert_intermediate_size": 48,
    "hidden_size_per_layer_input": 16,
    "vocab_size_per_layer_input": 160,
    "laurel_rank": 8,
    "lru_width": 64,
    "first_k_dense_replace": 1,
    "pad_token_id": 0,
    "rotary_dim": 8,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 112,
    "max_source_positions": 60,
    "max_target_positions": 128,
}
# And for single families, where those do not go together.
MORE: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "bailing_hybrid": {"layer_group_size": 3, "moe_intermediate_size": 40, "num_experts_per_token": 2},
    "bloom": {},
    "cohere2_moe": {"num_shared_experts": 1},
    "cwm": {"head_dim": 16},
    "deepseek_v2": {"num_experts_per_tok": 2, "n_group": None, "topk_group": None},
    "deepseek_v4": {"num_hidden_layers": 5, "head_dim": 32, "num_key_value_heads": 1, "qk_rope_head_dim": 16},
    "dots1": {"n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "exaone4": {"sliding_window_pattern": 2},
    "exaone_moe": {"sliding_window_pattern": 2},
    "falcon": {"num_kv_heads": 2, "new_decoder_architecture": True},
    "falcon_mamba": {"intermediate_size": 128, "time_step_rank": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 16},
    "xglm": {"attention_heads": 8},
    "gemma3n_text": {
        "num_hidden_layers": 10,
        "num_kv_shared_layers": 3,
        "intermediate_size": [96] * 10,
        "activation_sparsity_pattern": [0.95] * 5 + [0.0] * 5,
    },
    "gemma4_text": {
        "num_hidden_layers": 6,
        "global_head_dim": 32,
        "num_global_key_value_heads": 1,
        "enable_moe_block": True,
        "attention_k_eq_v": True,
        "top_k_experts": 2,
        "head_dim": 16,
    },
    "glm_moe_dsa": {"index_topk_freq": 2},
    "gpt2": {"n_inner": 96},
    "gptj": {"n_inner": 96, "rotary_dim": 4},
    "helium": {"head_dim": 8},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "ministral": {"head_dim": 16},
    "phi3": {"original_max_position_embeddings": 512},
    "granitemoehybrid": {"layer_types": ["mamba", "attention", "mamba", "mamba"], "mamba_n_groups": 1},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 4},
    "kimi_linear": {"num_experts_per_token": 2, "num_hidden_layers": 5, "q_lora_rank": None},
    "lfm2": {"layer_types": ["conv", "full_attention", "conv", "full_attention"], "block_multiple_of": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv", "full_attention"], "num_dense_layers": 1},
    "lfm3": {"layer_types": ["conv", "full_attention", "conv", "sliding_attention"], "head_dim": 16},
    "llama4_text": {"num_hidden_layers": 8, "interleave_moe_layer_step": 2, "head_dim": 16, "moe_layers": None},
    "mamba": {"intermediate_size": 128, "time_step_rank": 4},
    "mamba2": {"num_heads": 8, "head_dim": 16, "state_size": 16},
    "minimax_m3_vl_text": {
        "layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse", "full_attention"],
        "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"],
        "head_dim": 16,
    },
    "mpt": {"max_seq_len": 512},
    "nemotron_h": {"layers_block_type": ["linear_attention", "moe", "full_attention", "mlp"], "num_hidden_layers": 4},
    "olmo_hybrid": {"num_attention_heads": 4, "num_key_value_heads": 4, "linear_num_key_heads": 4},
    "qwen3_next": {"decoder_sparse_step": 1, "head_dim": 32},
    "step3p5": {
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        "num_sliding_attention_heads": 4,
        "query_pre_attn_scalar": 16,
        "head_dim": 16,
    },
    "laguna": {
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        "num_attention_heads_per_layer": [8, 4, 4, 8],
        "head_dim": 16,
    },
    "lara_mini": {
        "layer_types": ["linear_attention", "sliding_attention", "linear_attention", "full_attention"],
        "head_dim": 16,
    },
}
# Wherever a class has a default for it, a head is this wide.
HEAD = 16


def tiny(model_type: str) -> dict[str, Any]:
    """Return a small config of a decoder, with the keys that a published one states."""
    config = CONFIG_MAPPING[model_type]
    fields = {field.name: field for field in dataclasses.fields(config)}
    found: dict[str, Any] = {"model_type": model_type}
    found |= {key: value for key, value in SIZES.items() if key in fields}
    if "kv_lora_rank" in fields and "num_key_value_heads" in fields:
        # Latent attention has one key head a query head.
        found["num_key_value_heads"] = found["num_attention_heads"]
    if "head_dim" in fields and fields["head_dim"].default is not None and "qk_rope_head_dim" not in fields:
        found["head_dim"] = HEAD
    return found | MORE.get(model_type, {})
