"""Kinds of attention and cache beside the plain one: shared caches, sinks, chunks, windows;
and the families that have them."""

import copy
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import PerfModelError, estimate, find_model
from perfmodel._layout import data_folder
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.question import formats_of
from perfmodel.operations import active_parameter_count, decode_step, embedding_elements, parameter_count
from perfmodel.specifications.catalogue import names
from perfmodel.specifications.huggingface import model_from_config
from perfmodel.specifications.huggingface.readers import KNOWN_TYPES
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import Layer
from perfmodel.specifications.modelfiles import load_model

GEMMA_3N = {
    "model_type": "gemma3n_text",
    "hidden_size": 2048,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "vocab_size": 262400,
    "intermediate_size": 16384,
    "num_kv_shared_layers": 15,
    "sliding_window": 512,
}
# https://huggingface.co/tencent/Hunyuan-A13B-Instruct, keys that say nothing about the work left out: 80 billion
# parameters, 13 used by a token.
HUNYUAN_A13B = {
    "model_type": "hunyuan_v1_moe",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 3072,
    "moe_intermediate_size": [3072] * 32,
    "num_experts": 64,
    "moe_topk": [8] * 32,
    "num_shared_expert": [1] * 32,
    "vocab_size": 128167,
    "use_qk_norm": True,
    "use_cla": False,
    "cla_share_factor": 2,
    "tie_word_embeddings": True,
}


def read(config, **changes):
    return model_from_config(config | changes, name="tried", source="a test", where="config.json")


def operation_names(model, layer):
    return [o.name for o in decode_step(model, formats_of(model, None, None), 1).layers[layer]]


def test_every_family_that_people_serve_is_read():
    families = """llama mistral mixtral qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next gemma gemma2 gemma3
                  gemma3_text gemma3n gemma3n_text phi3 deepseek_v2 deepseek_v3 kimi_k2 gpt_oss
                  llama4 llama4_text falcon gpt_neox opt olmo2 glm4_moe granite granitemoe cohere2 mamba2
                  jamba nemotron_h smollm3 hunyuan"""
    assert set(families.split()) <= set(KNOWN_TYPES)


# --- caches that layers share


def test_a_layer_that_shares_a_cache_makes_none():
    model = find_model("gemma-3n-e4b")
    own, sharing = (set(operation_names(model, layer)) for layer in (19, 24))
    assert own - sharing == {"key", "value", "key_norm", "cache_write"}
    assert sharing <= own


def test_effective_parameters_of_gemma_3n():
    """ai.google.dev/gemma/docs/gemma-3n: 1.91 billion,
    the text decoder without its per-layer embeddings and its embedding table."""
    model = find_model("gemma-3n-e2b")
    table = 262_144 * 256 * len(model.layers)
    assert parameter_count(model) - table - embedding_elements(model) == pytest.approx(1.91e9, rel=0.003)


def test_parameters_of_gemma_3n_by_hand():
    """E4B: tables, projections of streams and inputs,
    then 35 layers with what each has around its attention and its feed-forward block."""
    streams = 2048 + 16 + 64 + 4 * 2048 + 2048  # scale, correction, prediction, router and its norm
    layer = (
        streams
        + 2 * 64 * 2048
        + 2048
        + 2 * 2048 * 2048
        + 2 * 2048 * 512
        + 512
        + 3 * 2048 * 16384
        + 4 * 2048
        + 2 * 256 * 2048
        + 2048
    )
    total = 262_400 * 2048 + 262_144 * 256 * 35 + 2048 * 256 * 35 + 256 + 6 * 2048**2 + 2048 + 35 * layer
    assert parameter_count(find_model("gemma-3n-e4b")) == total == 6_866_696_688


@pytest.mark.parametrize("context", [100, 512, 32_768])
def test_shared_caches_of_gemma_3n(context):
    """E2B: of 30 layers 20 have a cache, 4 of them of the whole context; the last ten, 2 of them of the whole context,
    read two of those again."""
    question = ask("gemma-3n-e2b", "h100-sxm")
    entry, window = 2 * 2 * 256 * 2, min(context, 512)
    assert question.whole.cache_bytes(3, context) == 3 * entry * (6 * context + 24 * window)
    resident = question.resident
    assert resident.bytes_resident(3, context) - resident.bytes_resident(3, 0) == 3 * entry * (
        4 * context + 16 * window
    )


def test_the_cache_of_hunyuan_large_is_a_twentieth_of_that_of_plain_attention():
    """arXiv 2411.02265: grouped queries and one cache for two layers spare about 95 % of 64 layers of 80 heads."""
    model = find_model("hunyuan-large")
    question = ask(model, "h200-sxm", devices=1)
    resident = question.resident
    kept = resident.bytes_resident(1, 1) - resident.bytes_resident(1, 0)
    assert kept == 32 * 2 * 8 * 80 * 2
    assert kept / (64 * 2 * 80 * 80 * 2) == 0.05
    assert question.whole.cache_bytes(1, 1) == 2 * kept


def test_parameters_of_hunyuan():
    large = find_model("hunyuan-large")
    assert parameter_count(large) == pytest.approx(389e9, rel=0.001)
    assert active_parameter_count(large) == pytest.approx(52e9, rel=0.015)
    middle = read(HUNYUAN_A13B)
    assert parameter_count(middle) == pytest.approx(80e9, rel=0.006)
    assert active_parameter_count(middle) == pytest.approx(13e9, rel=0.025)
    assert not any(layer.mixer.shares_cache for layer in middle.layers)
    assert [layer.mixer.shares_cache for layer in read(HUNYUAN_A13B, use_cla=True, cla_share_factor=4).layers[:8]] == [
        False,
        True,
        True,
        True,
    ] * 2


@pytest.mark.parametrize(
    ("model", "loops"),
    [("gemma-3n-e4b", [("0-9", 5, 2), ("10-19", 5, 2), ("20-34", 5, 3)]), ("hunyuan-large", [("0-63", 2, 32)])],
)
def test_loops_of_stacks_that_share_caches(model, loops):
    """Gemma 3n: the first ten layers cut activations off, the last fifteen share caches;
    each five are one global layer and four local ones."""
    answer = estimate(model, "h200-sxm", devices=8)
    assert [(loop.layers, len(loop.body), loop.count) for loop in answer.loops] == loops


def test_sharing_caches_spares_weights_and_writes_but_no_reads():
    shared, plain = (ask(read(GEMMA_3N, num_kv_shared_layers=n), "h100-sxm").whole for n in (15, 0))
    assert shared.cache_bytes(1, 4096) == plain.cache_bytes(1, 4096)
    assert sum(size for _, size in plain.weights) - sum(size for _, size in shared.weights) == 15 * 2 * (
        2 * 2048 * 512 + 256
    )
    # The weights are in the checkpoint all the same.
    assert parameter_count(read(GEMMA_3N)) == parameter_count(read(GEMMA_3N, num_kv_shared_layers=0))


def test_layers_without_an_earlier_one_of_their_kind_keep_a_cache_of_their_own():
    model = read(
        GEMMA_3N,
        num_hidden_layers=6,
        num_kv_shared_layers=3,
        layer_types=["sliding_attention"] * 5 + ["full_attention"],
    )
    assert [layer.mixer.shares_cache for layer in model.layers] == [False, False, False, True, True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"num_kv_shared_layers": 36},
        {"num_kv_shared_layers": -1},
        {"intermediate_size": [16384] * 3},
        {"intermediate_size": [0] * 35},
        {"intermediate_size": [1.5] * 35},
        {"intermediate_size": ["x"] * 35},
        {"altup_num_inputs": 1},
        {"activation_sparsity_pattern": [0.5] * 3},
        {"activation_sparsity_pattern": [float("nan")] * 35},
        {"laurel_rank": 0},
        {"layer_types": ["full_attention"]},
    ],
    ids=str,
)
def test_values_of_gemma_3n_that_cannot_be(changes):
    with pytest.raises(PerfModelError, match=next(iter(changes))):
        read(GEMMA_3N, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"cla_share_factor": 0, "use_cla": True},
        {"moe_topk": [8] * 3},
        {"moe_topk": 65},
        {"num_shared_expert": [-1] * 32},
        {"mlp_bias": True},
        {"moe_intermediate_size": []},
    ],
    ids=str,
)
def test_values_of_hunyuan_that_cannot_be(changes):
    with pytest.raises(PerfModelError, match=next(iter(changes))):
        read(HUNYUAN_A13B, **changes)


# --- sinks, chunks and windows


def test_a_sink_is_a_weight_a_head():
    """gpt-oss-120b: 64 heads of 64; the sinks are 36 x 64 weights, read every step in the format of the activations."""
    model = find_model("gpt-oss-120b")
    without = model.replace(layers=tuple(_changed(layer, sinks=False) for layer in model.layers))
    assert parameter_count(model) - parameter_count(without) == 36 * 64
    assert (
        ask(model, "h200-sxm").whole.bytes_read(1, 4096) - ask(without, "h200-sxm").whole.bytes_read(1, 4096)
        == 36 * 64 * 2
    )


def _changed(layer, **changes):
    assert isinstance(layer, Layer)
    assert isinstance(layer.mixer, Attention)
    return msgspec.structs.replace(layer, mixer=msgspec.structs.replace(layer.mixer, **changes))


@pytest.mark.parametrize("context", [1000, 8192, 100_000])
def test_chunked_attention_reads_at_most_a_chunk(context):
    """Llama 4 Scout: 36 of 48 layers see their chunk of 8,192 tokens, every fourth layer everything;
    8 heads of 128 for keys and values."""
    whole = ask("llama-4-scout", "h200-sxm", kv="bf16").whole
    assert whole.cache_bytes(1, context) == 2 * 8 * 128 * 2 * (36 * min(context, 8192) + 12 * context)


def test_a_window_of_another_length_is_the_same_arithmetic_in_another_kernel():
    """A window is part of what a kernel is, so that two of them are two loops."""
    config = {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "intermediate_size": 3072,
        "vocab_size": 1000,
    }
    model = read(config, use_sliding_window=True, sliding_window=256, max_window_layers=4)
    assert [(loop.layers, loop.count) for loop in estimate(model, "h100-sxm").loops] == [("0-3", 4), ("4-7", 4)]


# --- reading


def test_every_model_of_the_catalogue_is_read_in_under_50_ms():
    slowest = {}
    for name in names("models"):
        path = data_folder("models") / f"{name}.toml"
        times = []
        for _ in range(3):
            start = time.process_time()
            load_model(path)
            times.append(time.process_time() - start)
        slowest[name] = min(times)
    worst = max(slowest, key=slowest.__getitem__)
    assert slowest[worst] < 0.05, (worst, slowest[worst])


broken = st.sampled_from(
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
        [8] * 32,
        [0.95] * 35,
        [None] * 35,
        ["x"] * 35,
        {},
        {"a": {"b": {}}},
    ]
)
more_keys = [
    "layer_types",
    "activation_sparsity_pattern",
    "altup_num_inputs",
    "laurel_rank",
    "hidden_size_per_layer_input",
    "vocab_size_per_layer_input",
    "attention_head_dim",
    "unheard_of",
]


@given(st.sampled_from([GEMMA_3N, HUNYUAN_A13B, {"model_type": "gemma3n", "text_config": GEMMA_3N}]), st.data())
@settings(max_examples=1000, deadline=None)
def test_mutated_configs_give_a_model_or_one_line(config, data):
    config = copy.deepcopy(config)
    place = config.get("text_config", config)
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from([*GEMMA_3N, *HUNYUAN_A13B, *more_keys]))
        if data.draw(st.booleans()):
            place.pop(key, None)
        else:
            place[key] = copy.deepcopy(data.draw(broken))
    try:
        model = read(config)
    except PerfModelError as error:
        assert "\n" not in str(error)
        return
    if len(model.layers) <= 200:
        assert 0 < estimate(model, "h100-sxm").before.fraction_of_peak <= 1
