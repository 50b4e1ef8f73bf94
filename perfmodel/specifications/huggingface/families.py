"""The families that `read_decoder` reads: where each differs from Llama."""

import msgspec

from perfmodel.specifications.huggingface.decoders import Decoder, Mixture

_GRANITE = ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")
_PARTIAL = ("partial_rotary_factor",)
_MTP = ("num_mtp_layers",)

# Routed and shared experts as DeepSeek names them; the router's correction is a number an expert.
_DEEPSEEK = Mixture(count="n_routed_experts", shared="n_shared_experts", router_bias=True, sparse="first")
_LING = Mixture(shared="num_shared_experts", router_bias="moe_router_enable_expert_bias", sparse="first")
_LING_KEYS = (
    *(
        "score_function",
        "router_dtype",
        "use_rmsnorm",
        "norm_head",
        "norm_softmax",
        "embedding_dropout",
        "output_dropout",
    ),
    *("moe_shared_expert_intermediate_size", "moe_router_enable_expert_bias", "moe_router_enable_shared_expert"),
    *(
        "num_nextn_predict_layers",
        "mtp_loss_scaling_factor",
        "max_window_layers",
        "rotary_dim",
        "using_split_qkv_in_self_attention",
    ),
    *("partial_rotary_factor", "multi_gate", "sliding_window"),
)
_EXAONE = Mixture(shared="num_shared_experts", router_bias=True, sparse="first")

DECODERS: dict[str, Decoder] = {
    "afmoe": Decoder(
        bias="attention_bias",
        norm="head",
        gate="element",
        norms="both",
        window="types",
        period="global_attn_every_n_layers",
        rotary="sliding",
        mixture=Mixture(shared="num_shared_experts", router_bias=True, sparse="dense"),
        known=(
            "mup_enabled",
            "route_scale",
            "route_norm",
            "load_balance_coeff",
            "score_func",
            "num_expert_groups",
            "num_limited_groups",
        ),
    ),
    "aria_text": Decoder(
        bias="attention_bias",
        mixture=Mixture(
            count="moe_num_experts",
            chosen="moe_topk",
            width="intermediate_size",
            shared="moe_num_shared_experts",
            shared_unit="intermediate_size",
            shared_bias="mlp_bias",
        ),
        known=("moe_z_loss_coeff", "moe_aux_loss_coeff"),
    ),
    "apertus": Decoder(
        bias="attention_bias",
        norm="head",
        gated=False,
        activation_weights=2,
        known=("qk_norm", "mlp_bias", "post_norm"),
    ),
    "arcee": Decoder(bias="attention_bias", mlp_bias="mlp_bias", gated=False),
    "bailing_moe": Decoder(
        bias="use_qkv_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        norm="head",
        norm_key="use_qk_norm",
        mixture=_LING,
        known=_LING_KEYS,
    ),
    "bailing_moe_v2": Decoder(
        bias="use_qkv_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        norm="head",
        norm_key="use_qk_norm",
        norm_default=True,
        mixture=msgspec.structs.replace(_LING, router_bias=True),
        known=_LING_KEYS,
    ),
    "bitnet": Decoder(bias="attention_bias", inner_norms=True),
    "cohere2_moe": Decoder(
        bias="attention_bias",
        parallel="one-norm",
        window="types",
        period="sliding_window_pattern",
        rotary="sliding",
        width="prefix_dense_intermediate_size",
        mixture=Mixture(
            width="intermediate_size", shared="num_shared_experts", shared_unit="intermediate_size", sparse="first"
        ),
        known=(
            "logit_scale",
            "shared_expert_combination_strategy",
            "expert_selection_fn",
            "prefix_dense_sliding_window_pattern",
        ),
    ),
    "cwm": Decoder(mlp_bias="mlp_bias", window="types", period=4, first_full=True),
    "dots1": Decoder(bias="attention_bias", norm="head", window="late", mixture=_DEEPSEEK),
    "ernie4_5": Decoder(bias="use_bias", mlp_bias="use_bias"),
    "ernie4_5_moe": Decoder(
        bias="use_bias",
        mlp_bias="use_bias",
        head_bias="use_bias",
        mixture=Mixture(
            count="moe_num_experts",
            chosen="moe_k",
            shared="moe_num_shared_experts",
            router_bias=True,
            shared_bias="use_bias",
            sparse="range",
        ),
        known=("moe_norm_min", "moe_capacity", "moe_gate", "moe_use_aux_free"),
    ),
    "exaone": Decoder(bias="attention_bias", mlp_bias="mlp_bias"),
    "exaone4": Decoder(norm="head", norms="after", window="types", period="sliding_window_pattern", rotary="sliding"),
    "exaone_moe": Decoder(
        norm="head", window="types", period="sliding_window_pattern", rotary="sliding", mixture=_EXAONE
    ),
    "flex_olmo": Decoder(bias="attention_bias", norm="full", norms="after", mixture=Mixture(width="intermediate_size")),
    "glm": Decoder(bias="attention_bias", output_bias=False, known=_PARTIAL),
    "glm4": Decoder(bias="attention_bias", output_bias=False, norms="both", known=_PARTIAL),
    "glm4v_text": Decoder(bias=True, output_bias=False, norms="both", known=("attention_bias", *_PARTIAL)),
    "glm4_moe_lite": Decoder(
        latent=True,
        mixture=Mixture(count="n_routed_experts", shared="n_shared_experts", router_bias=True, sparse="but-first"),
    ),
    "granitemoeshared": Decoder(
        bias="attention_bias",
        mixture=Mixture(count="num_local_experts", width="intermediate_size", shared_width="shared_intermediate_size"),
        known=_GRANITE,
    ),
    "granite_swa": Decoder(
        bias="attention_bias",
        mlp_bias="mlp_bias",
        sinks=True,
        window="types",
        period=4,
        first_full=True,
        known=(*_GRANITE, "layer_rope_theta"),
    ),
    "granitemoe_swa": Decoder(
        bias="attention_bias",
        sinks=True,
        window="types",
        period=4,
        first_full=True,
        mixture=Mixture(count="num_local_experts", width="intermediate_size", shared_width="shared_intermediate_size"),
        known=(*_GRANITE, "layer_rope_theta", "mlp_bias"),
    ),
    "helium": Decoder(square=True, bias="attention_bias", output_bias=False, mlp_bias="mlp_bias"),
    "hunyuan_v1_dense": Decoder(bias="attention_bias", norm="head", norm_key="use_qk_norm", norm_default=True),
    "hy_v3": Decoder(
        bias="attention_bias",
        norm="head",
        mlp_bias="mlp_bias",
        mixture=Mixture(shared="num_shared_experts", router_bias=True, shared_bias="mlp_bias", sparse="but-first"),
        known=("router_scaling_factor", "enable_moe_fp32_combine"),
    ),
    "internlm3": Decoder(bias="qkv_bias", output_bias="bias", mlp_bias="bias"),
    "jais2": Decoder(bias="attention_bias", mlp_bias="mlp_bias", gated=False, norm_elements=2),
    "kolibri1": Decoder(
        norm="head",
        norms="both",
        window="types",
        period=5,
        mixture=Mixture(count="num_local_experts", router_bias=True, shared_width="shared_expert_intermediate_size"),
    ),
    "llada_moe": Decoder(
        bias="attention_bias",
        norm="head",
        norm_key="qk_layernorm",
        norm_default=True,
        mixture=Mixture(width="expert_intermediate_size"),
    ),
    "mellum": Decoder(bias="attention_bias", norm="head", window="types", mixture=Mixture(count="num_local_experts")),
    "minicpm3": Decoder(latent=True, known=("scale_emb", "scale_depth", "dim_model_base")),
    "ministral": Decoder(window="types", period=-1, known=("attention_bias",)),
    "ministral3": Decoder(window="all"),
    "mistral4": Decoder(
        latent=True, mixture=Mixture(count="n_routed_experts", shared="n_shared_experts", sparse="first")
    ),
    "nanochat": Decoder(bias="attention_bias", gated=False, norm_elements=0, known=("final_logit_softcapping",)),
    "nemotron": Decoder(bias="attention_bias", mlp_bias="mlp_bias", gated=False, norm_elements=2, known=_PARTIAL),
    "olmo3": Decoder(bias="attention_bias", norm="full", norms="after", window="types", period=4),
    "phimoe": Decoder(
        bias="attention_bias",
        norm_elements=2,
        window="all",
        head_bias="lm_head_bias",
        mixture=Mixture(count="num_local_experts", width="intermediate_size"),
        known=("input_jitter_noise",),
    ),
    "sarvam_moe": Decoder(
        bias="attention_bias",
        output_bias=False,
        norm="head",
        norm_key="use_qk_norm",
        mixture=_DEEPSEEK,
        known=(*_PARTIAL, *_MTP),
    ),
    "seed_oss": Decoder(bias="attention_bias", output_bias="attention_out_bias", mlp_bias="mlp_bias"),
    "solar_open": Decoder(
        bias="attention_bias",
        output_bias=False,
        mixture=Mixture(count="n_routed_experts", shared="n_shared_experts", router_bias=True),
        known=_PARTIAL,
    ),
    "vaultgemma": Decoder(
        bias="attention_bias",
        window="types",
        period=2,
        activation=("hidden_activation", "hidden_act"),
        known=(
            "query_pre_attn_scalar",
            "final_logit_softcapping",
            "attn_logit_softcapping",
            "use_bidirectional_attention",
        ),
    ),
    "youtu": Decoder(latent=True, known=("embedding_initializer_range",)),
}
DECODERS["iquestcoder"] = DECODERS["exaone"]
DECODERS["hyperclovax"] = Decoder(
    after_key="use_post_norm", bias="attention_bias", mlp_bias="mlp_bias", norms="both", known=_GRANITE
)
DECODERS["apertus1p5_text"] = DECODERS["apertus"]
DECODERS["emu3_text_model"] = Decoder(bias="attention_bias", mlp_bias="mlp_bias")
DECODERS["granite4_vision_text"] = DECODERS["granite_docling_text"] = Decoder(
    bias="attention_bias", mlp_bias="mlp_bias", known=_GRANITE
)
DECODERS["glm_ocr_text"] = Decoder(norms="both", known=("attention_bias", *_PARTIAL))
