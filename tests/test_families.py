"""Every family of config.json: parameters exact from the shapes, cache bytes, loops,
and thousands of broken configs."""

import copy
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import PerfModelError, equations, estimate, find_model
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.question import formats_of
from perfmodel.operations import active_parameter_count, decode_step, embedding_elements, parameter_count, plain_formats
from perfmodel.operations.builders import largest_of_normals
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.huggingface import model_from_config

# Configs as published (keys that say nothing about the work left out), with the parameters of the published checkpoint.
CONFIGS = {
    "falcon-40b": (
        {
            "model_type": "falcon",
            "hidden_size": 8192,
            "num_hidden_layers": 60,
            "num_attention_heads": 128,
            "num_kv_heads": 8,
            "new_decoder_architecture": True,
            "parallel_attn": True,
            "bias": False,
            "alibi": False,
            "vocab_size": 65024,
        },
        41_303_293_952,
    ),
    "gpt-neox-20b": (
        {
            "model_type": "gpt_neox",
            "hidden_size": 6144,
            "num_hidden_layers": 44,
            "num_attention_heads": 64,
            "intermediate_size": 24576,
            "vocab_size": 50432,
            "tie_word_embeddings": False,
            "hidden_act": "gelu_fast",
        },
        20_554_567_680,
    ),
    "pythia-1.4b": (
        {
            "model_type": "gpt_neox",
            "hidden_size": 2048,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 8192,
            "vocab_size": 50304,
            "tie_word_embeddings": False,
            "hidden_act": "gelu",
        },
        1_414_647_808,
    ),
    "opt-6.7b": (
        {
            "model_type": "opt",
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "ffn_dim": 16384,
            "vocab_size": 50272,
            "max_position_embeddings": 2048,
            "activation_function": "relu",
            "do_layer_norm_before": True,
            "word_embed_proj_dim": 4096,
        },
        6_658_473_984,
    ),
    "mamba2-2.7b": (
        {
            "model_type": "mamba2",
            "hidden_size": 2560,
            "num_hidden_layers": 64,
            "state_size": 128,
            "expand": 2,
            "head_dim": 64,
            "num_heads": 80,
            "n_groups": 1,
            "conv_kernel": 4,
            "vocab_size": 50288,
            "tie_word_embeddings": True,
        },
        2_702_599_680,
    ),
    "jamba-v0.1": (
        {
            "model_type": "jamba",
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "intermediate_size": 14336,
            "num_experts": 16,
            "num_experts_per_tok": 2,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "attn_layer_period": 8,
            "attn_layer_offset": 4,
            "mamba_d_state": 16,
            "mamba_d_conv": 4,
            "mamba_expand": 2,
            "mamba_dt_rank": 256,
            "vocab_size": 65536,
            "tie_word_embeddings": False,
        },
        51_570_323_328,
    ),
    "smollm3-3b": (
        {
            "model_type": "smollm3",
            "hidden_size": 2048,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "intermediate_size": 11008,
            "vocab_size": 128256,
            "tie_word_embeddings": True,
            "no_rope_layer_interval": 4,
            "use_sliding_window": False,
        },
        3_075_098_624,
    ),
    "command-r7b": (
        {
            "model_type": "cohere2",
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "intermediate_size": 14336,
            "vocab_size": 256000,
            "sliding_window": 4096,
            "sliding_window_pattern": 4,
        },
        8_028_033_024,
    ),
    "granite-3.1-8b": (
        {
            "model_type": "granite",
            "hidden_size": 4096,
            "num_hidden_layers": 40,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "intermediate_size": 12800,
            "vocab_size": 49155,
            "tie_word_embeddings": True,
            "attention_bias": False,
            "mlp_bias": False,
        },
        8_170_848_256,
    ),
    "granite-3.1-1b-a400m": (
        {
            "model_type": "granitemoe",
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "intermediate_size": 512,
            "num_local_experts": 32,
            "num_experts_per_tok": 8,
            "vocab_size": 49155,
            "tie_word_embeddings": True,
        },
        1_334_628_352,
    ),
    "nemotron-h-8b": (
        {
            "model_type": "nemotron_h",
            "hidden_size": 4096,
            "num_hidden_layers": 52,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
            "intermediate_size": 21504,
            "mamba_num_heads": 128,
            "mamba_head_dim": 64,
            "n_groups": 8,
            "ssm_state_size": 128,
            "conv_kernel": 4,
            "vocab_size": 131072,
            "tie_word_embeddings": False,
        },
        None,
    ),
}


def read(name):
    return model_from_config(CONFIGS[name][0], name=name, source="published config", where=name)


@pytest.mark.parametrize("name", [n for n, (_, published) in CONFIGS.items() if published])
def test_parameters_are_those_of_the_published_checkpoint(name):
    assert parameter_count(read(name)) == CONFIGS[name][1]


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("deepseek-v3", 671_026_419_200),  # 684.5e9 of the checkpoint less its multi-token-prediction layer and scales
        ("mixtral-8x7b", 46_702_792_704),
        ("gemma-2-9b", 9_241_705_984),
        ("gemma-3-27b", 27_009_346_304),  # 27,432,406,640 of the checkpoint less the vision tower and its projector
        ("gpt-oss-20b", 20_914_757_184),
        ("gpt-oss-120b", 116_829_156_672),
        ("qwen3-30b-a3b", 30_532_122_624),
        ("llama-4-scout", 107_769_861_120),  # text decoder
        ("kimi-k2", 1_026_408_232_448),
        ("gpt2-xl", 1_557_611_200),
        ("bloom-176b", 176_247_271_424),
        ("starcoder-15b", 15_517_456_384),
        ("phi-2", 2_779_683_840),
        ("mpt-7b", 6_649_286_656),
        ("starcoder2-7b", 7_173_923_840),
        ("command-r-35b", 34_980_831_232),
        ("baichuan2-13b", 13_896_668_160),
        ("chatglm3-6b", 6_243_584_000),
        ("stablelm-3b-4e1t", 2_795_443_200),
        ("internlm2-7b", 7_737_708_544),
        ("olmo-7b", 6_888_095_744),
        ("olmoe-1b-7b", 6_919_161_856),
    ],
)
def test_parameters_of_mixtures_and_hybrids(name, total):
    assert parameter_count(find_model(name)) == total


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("deepseek-v3", 37e9),
        ("gpt-oss-120b", 5.1e9),
        ("gpt-oss-20b", 3.6e9),
        ("qwen3-30b-a3b", 3.3e9),
        ("qwen3-235b-a22b", 22e9),
        ("mixtral-8x7b", 12.9e9),
        ("glm-5", 40e9),
        ("minimax-m2.5", 10e9),
        ("nemotron-3-super-120b-a12b", 12e9),
    ],
)
def test_active_parameters_are_near_the_published_round_figure(name, published):
    # Publishers round, and some count the input embedding: within 8 %.
    assert active_parameter_count(find_model(name)) == pytest.approx(published, rel=0.08)


@pytest.mark.parametrize(
    ("name", "context", "size"),
    [
        ("deepseek-v3", 1, 70_272),  # 61 layers x 576 x 2
        ("llama-3.1-70b", 1, 327_680),
        ("gemma-3-27b", 1024, 520_093_696),
        ("gemma-3-27b", 8192, 1_107_296_256),
        ("gemma-3-27b", 131_072, 11_173_625_856),
        ("gpt-oss-120b", 1024, 42_467_328),
        ("gpt-oss-120b", 8192, 306_708_480),
        ("gpt-oss-120b", 131_072, 4_836_556_800),
    ],
)
def test_cache_bytes_in_bf16(name, context, size):
    whole = ask(name, "h100-sxm", kv="bf16").whole
    assert whole.cache_bytes(1, context) - whole.cache_bytes(1, 0) == size


@pytest.mark.parametrize(
    ("model", "loops"),
    [
        ("llama-3.1-8b", [("0-31", 1, 32)]),
        ("deepseek-v3", [("0-2", 1, 3), ("3-60", 1, 58)]),
        ("gemma-3-27b", [("0-59", 6, 10), ("60-61", 1, 2)]),
        ("gpt-oss-120b", [("0-35", 2, 18)]),
        ("jamba-v0.1", [("0-31", 8, 4)]),
        # Its first attention comes earlier than the period, so it is not one loop.
        ("nemotron-h-8b", [("0-43", 11, 4), ("44-51", 2, 4)]),
        ("mamba2-2.7b", [("0-63", 1, 64)]),
        ("command-r7b", [("0-31", 4, 8)]),
    ],
)
def test_loops_are_found(model, loops):
    answer = estimate(read(model) if model in CONFIGS else model, "h100-sxm", devices=8)
    assert [(loop.layers, len(loop.body), loop.count) for loop in answer.loops] == loops


@pytest.mark.parametrize("model", ["mixtral-8x7b", "deepseek-v3", "gpt-oss-20b"])
def test_a_larger_batch_wakes_more_experts_until_all_are_read(model):
    question = ask(model, "h100-sxm")
    weights = [question.whole.bytes_read(batch, 0) for batch in (1, 2, 8, 64, 10**6)]
    assert weights == sorted(weights)
    everything = question.whole.bytes_resident(1, 0)
    assert weights[-1] == pytest.approx(everything, rel=1e-9)
    assert weights[0] < 0.5 * everything


def test_a_token_wakes_exactly_the_experts_it_chooses():
    model = find_model("mixtral-8x7b")
    question = ask(model, "h100-sxm")
    assert question.whole.bytes_read(1, 0) == pytest.approx(2 * active_parameter_count(model))


def test_recurrent_state_does_not_grow_with_context():
    sizes = {ask(read("mamba2-2.7b"), "h100-sxm").whole.bytes_read(4, context) for context in (1, 1000, 10**6)}
    assert len(sizes) == 1


def test_routed_experts_are_not_fetched_ahead():
    """However large the window, an iteration waits for its experts after its chain."""
    wide = {"modes.looped.prefetch": 1e12}
    dense, mixture = (
        estimate(name, "h100-sxm", parameters=wide).after.terms for name in ("llama-3.1-8b", "qwen3-30b-a3b")
    )
    assert dense.latency == pytest.approx(0, abs=1e-12)
    assert mixture.latency > 0


@pytest.mark.parametrize(
    ("block", "weights", "head"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block128", "bf16"),
        ({"quant_method": "fp8"}, "fp8", "bf16"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4", "bf16"),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "int4-g64", "bf16"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4", "bf16"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            "fp8",
            "bf16",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}},
            },
            "int4-sym",
            "bf16",
        ),
    ],
)
def test_quantisation_blocks_give_formats(block, weights, head):
    config = {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_hidden_layers": 2,
        "num_attention_heads": 32,
        "intermediate_size": 8192,
        "vocab_size": 1000,
        "torch_dtype": "bfloat16",
    }
    model = model_from_config(config | {"quantization_config": block}, name="q", source="s", where="config.json")
    storage = formats_of(model, None, None).storage
    assert (storage.dense, storage.attention, storage.head, storage.embedding) == (weights, weights, head, "bf16")


@pytest.mark.parametrize(
    ("model", "weights", "matrices", "experts", "head"),
    [
        ("qwen2.5-7b", "int4", "int4", "int4", "bf16"),
        ("qwen2.5-7b", "fp8", "fp8", "fp8", "bf16"),
        ("qwen2.5-7b", "gptq", "int4", "int4", "bf16"),
        ("llama-3-8b", "q4_k_m", "q4_k", "q4_k", "q6_k"),
        ("llama-3-8b", "q8_0", "q8_0", "q8_0", "q8_0"),
        ("llama-3-8b", "mlx-q4", "mlx-q4", "mlx-q4", "mlx-q4"),
        ("llama-3-8b", "exl2-4.0", "exl2-4.0", "exl2-4.0", "exl2-6.0"),
        ("gpt-oss-20b", "mxfp4", "mxfp4", "mxfp4", "mxfp4"),
        ("gpt-oss-20b", "bf16", "bf16", "bf16", "bf16"),
        ("gpt-oss-20b", None, "bf16", "mxfp4", "bf16"),
        ("deepseek-v3", "int4", "int4", "int4", "bf16"),
    ],
)
def test_a_format_that_is_asked_for_keeps_the_head_as_its_files_do(model, weights, matrices, experts, head):
    storage = formats_of(find_model(model), weights, None).storage
    assert (storage.attention, storage.experts, storage.head) == (matrices, experts, head)


@pytest.mark.parametrize(
    ("model", "weights", "embedding", "gibibytes"),
    # Sizes of whole files as llama-bench prints them: github.com/XiongjieDai/GPU-Benchmarks-on-LLM-Inference, llama.cpp
    # discussion 4167.
    [
        ("llama-3-8b", "q4_k_m", "q4_k", 4.58),
        ("llama-3-70b", "q4_k_m", "q4_k", 39.59),
        ("llama-2-7b", "q4_0", "q4_0", 3.56),
        ("llama-3-8b", "fp16", "fp16", 14.96),
    ],
)
def test_the_bytes_of_a_step_and_the_embedding_are_the_file(model, weights, embedding, gibibytes):
    table = embedding_elements(find_model(model)) * STORAGE_FORMATS[embedding].bits / 8
    assert ask(model, "h100-sxm", weights=weights).whole.bytes_read(1, 0) + table == pytest.approx(
        gibibytes * 2**30, rel=0.005
    )


def test_a_checkpoint_that_leaves_attention_alone_converts_its_experts():
    storage = formats_of(find_model("kimi-k2.5"), None, None).storage
    assert (storage.attention, storage.shared, storage.experts, storage.head) == (
        "bf16",
        "bf16",
        "int4-g32-sym",
        "bf16",
    )


def test_an_indexer_reads_a_key_of_every_token_and_the_cache_of_those_it_chooses():
    sizes = [
        ask("deepseek-v3.2", "h200-sxm", kv="bf16").whole.cache_bytes(1, context)
        for context in (0, 1024, 2048, 4096, 8192)
    ]
    below, above = (sizes[1] - sizes[0]) / 1024, (sizes[4] - sizes[3]) / 4096
    assert (below, above) == (61 * (576 * 2 + 132), 61 * 132)


def test_experts_in_a_latent_space_are_narrower():
    model = find_model("nemotron-3-super-120b-a12b")
    operations = {operation.name: operation for operation in decode_step(model, plain_formats("bf16"), 1).layers[1]}
    assert operations["expert_up"].elements == 512 * 1024 * 2688
    assert operations["latent_down"].elements == operations["latent_up"].elements == 4096 * 1024


@pytest.mark.parametrize(
    "block",
    [
        {"quant_method": "hqq"},
        {"quant_method": "gptq", "bits": 5},
        {"quant_method": "fp8", "weight_block_size": [64, 64]},
        {"quant_method": "compressed-tensors"},
        {"bits": 4},
        [4],
    ],
)
def test_a_quantisation_that_is_not_known_is_an_error(block):
    config = {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_hidden_layers": 2,
        "num_attention_heads": 32,
        "intermediate_size": 8192,
        "vocab_size": 1000,
    }
    with pytest.raises(PerfModelError, match="quantization_config"):
        model_from_config(config | {"quantization_config": block}, name="q", source="s", where="config.json")


def test_a_config_is_read_in_under_50_ms():
    start = time.process_time()
    for name in CONFIGS:
        read(name)
    # A generous multiple, for a busy machine: eleven configs in the time that eleven may take.
    assert time.process_time() - start < 0.05 * len(CONFIGS)


PLAUSIBLE = [c for c, _ in CONFIGS.values()]
broken_values = st.sampled_from(
    [
        None,
        -1,
        0,
        1,
        3,
        10**30,
        1.5,
        float("nan"),
        float("inf"),
        "",
        "x",
        "\u0000é",
        True,
        False,
        [],
        [1, 2],
        {},
        {"a": {"b": {}}},
    ]
)


@given(st.sampled_from(PLAUSIBLE), st.data())
@settings(max_examples=1500, deadline=None)
def test_thousands_of_mutated_configs_give_a_model_or_one_line(config, data):
    config = copy.deepcopy(config)
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(
            st.sampled_from(
                [*config, "layer_types", "sliding_window", "quantization_config", "text_config", "unheard_of"]
            )
        )
        if data.draw(st.booleans()):
            config.pop(key, None)
        else:
            config[key] = data.draw(broken_values)
    try:
        model = model_from_config(config, name="mutated", source="a test", where="config.json")
    except PerfModelError as error:
        assert "\n" not in str(error)
        return
    if len(model.layers) <= 200:
        answer = estimate(model, "h100-sxm")
        assert 0 < answer.before.fraction_of_peak <= 1


def test_the_fullest_device_of_spread_experts():
    """256 experts, 8 chosen, 8 devices: 2.5 times the mean at batch 1, as drawn; all experts at a large batch."""
    rng = random.Random(3)
    for tokens in (1, 4, 16, 64):
        drawn = []
        for _ in range(2000):
            woken = {expert for _ in range(tokens) for expert in rng.sample(range(256), 8)}
            drawn.append(max(sum(expert // 32 == device for expert in woken) for device in range(8)))
        expected = equations.fullest_device_experts(256, 8, tokens, 8, largest_of_normals(8))
        assert expected == pytest.approx(sum(drawn) / len(drawn), rel=0.07), tokens
    assert equations.fullest_device_experts(256, 8, 10**5, 8, largest_of_normals(8)) == pytest.approx(32)


def test_expert_parallelism_waits_for_the_fullest_device():
    split, spread = (estimate("deepseek-v3", "h200-sxm", parallel=parallel) for parallel in ("tp=8", "tp=8,ep=8"))
    assert split.devices == spread.devices == 8
    assert split.bytes_per_step == spread.bytes_per_step
    assert spread.before.terms.stream > split.before.terms.stream
    many = [
        estimate("deepseek-v3", "h200-sxm", parallel=parallel, batch=4096, context=16).before.terms.stream
        for parallel in ("tp=8", "tp=8,ep=8")
    ]
    # When all experts are read on every device, whole experts need fewer activations than slices of all.
    assert many[1] < many[0]
    assert split.fits.bytes_needed == pytest.approx(spread.fits.bytes_needed, rel=0.01)


@pytest.mark.parametrize("parallel", ["pp=62", "xp=2", "tp=2,tp=2", "tp", "tp=0", "tp=x", "ep=300", "tp=6,ep=4", ""])
def test_a_way_to_share_the_work_that_cannot_be(parallel):
    with pytest.raises(PerfModelError, match="--parallel"):
        estimate("deepseek-v3", "h200-sxm", parallel=parallel)
    with pytest.raises(PerfModelError, match="experts"):
        estimate("llama-3.1-8b", "h200-sxm", parallel="ep=2")
