"""Families that no class of the transformers library counts: their published parameters, and what a step of them is."""

import json
from pathlib import Path

import pytest

from perfmodel import PerfModelError, estimate, find_model
from perfmodel.operations import active_parameter_count, decode_step, parameter_count, plain_formats
from perfmodel.specifications.huggingface import model_from_config

LLADA = {
    "model_type": "llada", "d_model": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 32, "mlp_hidden_size": 12288,
    "embedding_size": 126464, "vocab_size": 126464, "weight_tying": False, "include_bias": False,
    "include_qkv_bias": False,
    "activation_type": "silu", "block_type": "llama", "layer_norm_type": "rms", "attention_layer_norm": False,
    "rope": True,
    "max_sequence_length": 4096, "mask_token_id": 126336, "mlp_ratio": 4, "precision": "amp_bf16",
}  # fmt: skip
LLADA_2 = {
    "model_type": "llada2_moe", "first_k_dense_replace": 1, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 5120, "moe_intermediate_size": 512, "n_group": 8, "norm_head": False, "norm_topk_prob": True,
    "num_attention_heads": 16, "num_experts": 256, "num_experts_per_tok": 8, "num_hidden_layers": 20,
    "num_key_value_heads": 4, "num_shared_experts": 1, "partial_rotary_factor": 0.5, "routed_scaling_factor": 2.5,
    "score_function": "sigmoid", "tie_word_embeddings": False, "topk_group": 4, "vocab_size": 157184,
}  # fmt: skip
LING = LLADA_2 | {"model_type": "bailing_moe", "use_qk_norm": True, "moe_router_enable_expert_bias": True}
LING_LITE = {
    "model_type": "bailing_moe", "hidden_size": 2048, "intermediate_size": 1408, "moe_intermediate_size": 1408,
    "num_experts": 64, "num_shared_experts": 2, "num_attention_heads": 16, "num_key_value_heads": 4,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 28, "first_k_dense_replace": 0, "vocab_size": 126464, "use_bias": False, "use_qkv_bias": False,
    "norm_topk_prob": True, "tie_word_embeddings": False,
}  # fmt: skip
DBRX = {
    "model_type": "dbrx", "d_model": 6144, "n_heads": 48, "n_layers": 40, "max_seq_len": 32768, "vocab_size": 100352,
    "attn_config": {"kv_n_heads": 8, "clip_qkv": 8, "rope_theta": 500000}, "tie_word_embeddings": False,
    "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4, "moe_jitter_eps": 0},
}  # fmt: skip
GPT_NEO = {
    "model_type": "gpt_neo", "hidden_size": 2560, "num_layers": 32, "num_heads": 20, "vocab_size": 50257,
    "max_position_embeddings": 2048, "attention_types": [[["global", "local"], 16]], "window_size": 256,
    "intermediate_size": None, "activation_function": "gelu_new",
}  # fmt: skip
DREAM = {
    "model_type": "Dream", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944, "vocab_size": 152064, "tie_word_embeddings": False, "mask_token_id": 151666,
}  # fmt: skip
LONGCAT = {
    "model_type": "longcat_flash", "hidden_size": 6144, "ffn_hidden_size": 12288, "expert_ffn_hidden_size": 2048,
    "n_routed_experts": 512, "zero_expert_num": 256, "moe_topk": 12, "num_layers": 28, "num_attention_heads": 64,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "vocab_size": 131072, "routed_scaling_factor": 6.0, "zero_expert_type": "identity",
}  # fmt: skip
BLOCKS = [
    {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 1.0}},
    {"attention": {"no_op": True}, "ffn": {"ffn_mult": 1.0}},
    {"attention": {"n_heads_in_group": 1}, "ffn": {"no_op": True}},
]
PRUNED = {
    "model_type": "nemotron-nas", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 64,
    "hidden_act": "silu", "block_configs": BLOCKS,
}  # fmt: skip


def read(config):
    return model_from_config(config, name="counted", source="here", where="config.json")


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (
            LLADA,
            8_015_581_184,
        ),  # by arithmetic: 2 x 126,464 x 4,096 + 32 x (4 x 4,096^2 + 3 x 4,096 x 12,288 + 8,192) + 4,096
        # As counted by others with the model's own code: 100M of github.com/ML-GSAI/LLaDA's shape.
        (LLADA | {"d_model": 448, "n_layers": 6, "n_heads": 7, "n_kv_heads": 7, "mlp_hidden_size": 768}, 124_327_616),
        (DREAM, 7_615_616_512),  # those of Qwen2.5 7B
        # Two tables, and 32 layers of 12 matrices of 2,560 squared, 13 vectors less three biases, and one norm.
        (GPT_NEO, (50257 + 2048) * 2560 + 32 * (12 * 2560**2 + (13 - 3) * 2560) + 2 * 2560),
        # 2 x 64 x 16, attention of 768 and 1,024, two blocks of 3 x 16 x 256, five norms of 16 in front and one behind.
        (PRUNED, 2048 + 768 + 1024 + 2 * 12288 + 5 * 16),
    ],
)
def test_exact_parameters(config, parameters):
    assert parameter_count(read(config)) == parameters


@pytest.mark.parametrize(
    ("config", "billions", "active"),
    [
        (LLADA_2, 16.26, None),  # Ling-mini 2.0's, "16.26B total parameters"
        (LING, 16.26, None),
        (LING_LITE, 16.8, 2.75),
        (DBRX, 131.6, 36),  # github.com/databricks/dbrx: "132B total parameters of which 36B parameters are active"
        (LONGCAT, 560, 27),  # arXiv 2509.01322: of 18.6 to 31.3 billion for a token, 27 on average
    ],
)
def test_published_parameters(config, billions, active):
    model = read(config)
    assert parameter_count(model) / 1e9 == pytest.approx(billions, rel=0.002)
    if active:
        embedding = model.vocabulary * model.hidden
        assert (active_parameter_count(model) + embedding) / 1e9 == pytest.approx(active, rel=0.05)


@pytest.mark.parametrize("config", [LLADA, LLADA_2, DREAM])
def test_a_block_of_a_diffusion_model_is_asked_as_drafts(config):
    model = read(config)
    assert any("--drafter ngram" in note for note in model.notes)
    block = estimate(model, "h100-sxm", draft=31, drafter="ngram", accepted=3, context=1024)
    token = estimate(model, "h100-sxm", context=1024)
    # A block reads the dense weights once; the head and every matrix see all of its tokens.
    if config is not LLADA_2:
        assert block.bytes_per_step == pytest.approx(token.bytes_per_step, rel=0.01)
    assert block.flops_per_step == pytest.approx(32 * token.flops_per_step, rel=0.02)
    assert block.before.tokens_per_second == pytest.approx(4 / block.before.time_per_step)


def test_experts_without_weights_are_only_routed_to():
    operations = {o.name: o for o in decode_step(read(LONGCAT), plain_formats("bf16"), 1).layers[1]}
    assert operations["router"].elements == 768 * 6144 + 768
    assert operations["expert_up"].work.experts[0].count == 512
    assert operations["expert_up"].work.experts[0].chosen == 8


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (PRUNED | {"block_configs": BLOCKS[:2]}, "expected a list of 3"),
        (PRUNED | {"block_configs": [{"attention": {"replace_with_linear": True}}] * 3}, "replace_with_linear"),
        (PRUNED | {"block_configs": [{"attention": {"n_heads_in_group": 3}}] * 3}, "does not divide"),
        (PRUNED | {"block_configs": [BLOCKS[0] | {"ffn": {"ffn_mult": -1}}] * 3}, "no positive number"),
        (LLADA | {"alibi": True, "unknown": 3}, "unknown"),
    ],
)
def test_what_is_not_understood_is_one_line(config, said):
    with pytest.raises(PerfModelError) as raised:
        read(config)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


# A published head for Qwen3 4B: 202,700,416 weights, the two maps between its words and the target's among them.
HEAD = {
    "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 2560, "intermediate_size": 9728,
    "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 1, "vocab_size": 151936,
    "draft_vocab_size": 32000, "hidden_act": "silu", "sliding_window": 512,
}  # fmt: skip


def written(tmp_path, config):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(tmp_path / "head")


def test_a_draft_head_in_a_file_drafts(tmp_path):
    path = written(tmp_path, HEAD)
    assert parameter_count(find_model(path)) == 202_700_416
    asked = {"draft": 1, "accepted": 0, "context": 0, "drafter": path}
    drafted, plain = estimate("qwen3-4b", "h100-sxm", **asked), estimate("qwen3-4b", "h100-sxm", context=0)
    # All of its matrices and norms once, and what the second verified token reads of the first: keys and values of 36
    # layers.
    read_more = 2 * (202_700_416 - 151_936 - 32_000) + 36 * 2 * 8 * 128 * 2
    assert drafted.bytes_per_step - plain.bytes_per_step == read_more
    assert not {"drafts.layers", "drafts.vocabulary"} & {a.name for a in drafted.assumptions}


def test_the_first_eagle_shares_its_targets_head(tmp_path):
    config = {
        "architectures": ["EagleLlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 1, "vocab_size": 128256,
        "bias": False,
    }  # fmt: skip
    path = written(tmp_path, config)
    drafted = estimate("llama-3.1-8b", "h100-sxm", draft=1, accepted=0, drafter=path, context=0)
    plain = estimate("llama-3.1-8b", "h100-sxm", context=0)
    # A matrix of twice the width, a layer of Llama 3.1 8B, and the target's head once more, which is there already.
    layer = 2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096
    head = 128_256 * 4096
    assert drafted.bytes_per_step - plain.bytes_per_step == 2 * (2 * 4096**2 + layer + head) + 32 * 2 * 8 * 128 * 2
    assert drafted.fits.bytes_needed - plain.fits.bytes_needed < 2 * (2 * 4096**2 + layer) * 1.1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (HEAD, "is a draft head (eagle3), which drafts for the model that it was trained for: give it as --drafter"),
        (HEAD | {"architectures": ["MedusaModel"], "draft_vocab_size": None}, "is a draft head (medusa)"),
        (HEAD | {"architectures": ["DeepseekV3ForCausalLMNextN"], "draft_vocab_size": None}, "is a draft head (mtp)"),
        ({"model_type": "gemma4_assistant"}, "is a draft head (mtp)"),
    ],
)
def test_a_draft_head_is_no_model(tmp_path, config, said):
    with pytest.raises(PerfModelError) as raised:
        estimate(written(tmp_path, config), "h100-sxm")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def rwkv(version, layers, width, **more):
    return {
        "model_type": f"rwkv{version}", "num_hidden_layers": layers, "hidden_size": width, "vocab_size": 65536,
        "tie_word_embeddings": False,
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        # arXiv 2503.14456, models of RWKV-7 with their exact parameters.
        (rwkv(7, 12, 768, head_dim=64, norm_first=True, norm_bias=True), 191_034_624),
        (rwkv(7, 24, 1024, gate_low_rank_dim=128), 450_767_872),
        (rwkv(7, 24, 2048), 1_527_404_544),
        (rwkv(7, 32, 2560), 2_947_735_040),
        # arXiv 2404.05892: 13 D^2 L + 14 D L (Eagle) or 464 D L (Finch) + 4 D + 2 D V.
        (rwkv(5, 32, 4096), 13 * 4096**2 * 32 + 14 * 4096 * 32 + 4 * 4096 + 2 * 4096 * 65536),
        (rwkv(6, 24, 2048), 13 * 2048**2 * 24 + 464 * 2048 * 24 + 4 * 2048 + 2 * 2048 * 65536),
    ],
)
def test_parameters_of_rwkv(config, parameters):
    assert parameter_count(read(config)) == parameters


def test_rwkv_keeps_a_state_and_no_cache():
    model = read(rwkv(7, 32, 2560))
    short, long = (estimate(model, "h100-sxm", context=context).bytes_per_step for context in (100, 10_000))
    assert short == long
    # A matrix of 64 x 64 a head in 32 bits, and the last token of both shifts in 16.
    state = 32 * (2560 * 64 * 4 + 2 * 2560 * 2)
    assert sum(o.work.state for o in decode_step(model, plain_formats("bf16"), 1).all_operations()) == state


def test_towers_of_gemma_4():
    """What transformers 5.24 builds of Gemma4ForConditionalGeneration on the meta device, projectors included."""
    file = Path(__file__).parent / "cases" / "families" / "gemma4-31b.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    vision = {"model_type": "gemma4_vision", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27}
    vision |= {"num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 72}
    model = read(config | {"vision_config": vision})
    assert [part.parameters for part in model.towers] == [575_741_232]
    small = {"vision_config": {"model_type": "gemma4_vision"}, "audio_config": {"model_type": "gemma4_audio"}}
    model = read(config | small | {"text_config": config["text_config"] | {"hidden_size": 1536}})
    assert [part.parameters for part in model.towers] == [168_544_256, 307_183_904]
