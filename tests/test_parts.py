"""Formats by part: `--weights`, file types of GGUF against published files, and the parts of an answer."""

from pathlib import Path

import pytest

from perfmodel import advise, estimate, find_model
from perfmodel.errors import PerfModelError
from perfmodel.operations import parameter_count
from perfmodel.operations.apart import draft_parameter_count
from perfmodel.operations.storing import formats_of
from perfmodel.specifications.catalogue import names
from perfmodel.specifications.filetypes import FILE_TYPES, Quantised, block_format
from perfmodel.specifications.publishedfiles import published_files
from perfmodel.specifications.storage import read_weights, spelled

# Bits an element over whole files of Llama 3.1 8B, github.com/ggml-org/llama.cpp tools/quantize/README.md. The two iq4
# types were made without an importance matrix there, which stores an eighth of the down projections wider.
LLAMA = {
    "iq1_s": 2.0042,
    "iq1_m": 2.1460,
    "iq2_xxs": 2.3824,
    "iq2_xs": 2.5882,
    "iq2_s": 2.7403,
    "iq2_m": 2.9294,
    "iq3_xxs": 3.2548,
    "iq3_xs": 3.4977,
    "iq3_s": 3.6606,
    "iq3_m": 3.7628,
    "iq4_xs": 4.4597,
    "iq4_nl": 4.6818,
    "q2_k_s": 2.9697,
    "q2_k": 3.1593,
    "q3_k_s": 3.6429,
    "q3_k_m": 3.9960,
    "q3_k_l": 4.2979,
    "q4_k_s": 4.6672,
    "q4_k_m": 4.8944,
    "q5_k_s": 5.5704,
    "q5_k_m": 5.7036,
    "q6_k": 6.5633,
    "q8_0": 8.5008,
    "fp16": 16.0005,
}
# Published files [GB]: bartowski's and Qwen's on Hugging Face, llama-bench for the UD and MXFP4 types.
FILES = [
    ("qwen2.5-0.5b", "q4_k_m", 0.398),
    ("qwen2.5-0.5b", "q2_k", 0.339),
    ("qwen2.5-7b", "q4_k_m", 4.683),
    ("qwen2.5-7b", "q6_k", 6.254),
    ("qwen2.5-32b", "q4_k_m", 19.851),
    ("qwen2.5-72b", "q4_k_m", 47.416),
    ("gemma-2-9b", "q4_k_m", 5.761),
    ("phi-3-mini", "q4_k_m", 2.393),
    ("qwen3-30b-a3b", "q4_k_m", 18.56),
    ("qwen3-30b-a3b", "ud-q4_k_xl", 17.71),
    ("gpt-oss-20b", "mxfp4_moe", 12.11),
    ("deepseek-v3", "q4_k_m", 404.0),
    ("qwen3-8b", "q4_k_m", 5.0278),
    ("qwen3-8b", "q5_0", 5.7208),
    ("qwen3-8b", "q6_k", 6.7259),
    ("qwen3-32b", "q4_k_m", 19.7622),
    ("gemma-3-27b", "q4_k_m", 16.5467),
    ("qwen3.5-27b", "q8_0", 28.5958),
    ("qwen3.5-35b-a3b", "q8_0", 36.9031),
    # Experts that are published in 4 bits stay so.
    ("kimi-k2.5", "q4_k_m", 580.356),
    ("kimi-k2.5", "q8_0", 583.711),
    ("gpt-oss-20b", "q8_0", 12.11),
    ("gpt-oss-20b", "q4_k_m", 11.6),
]


def file_bytes(model, weights):
    return sum(p.bytes for p in estimate(model, "h100-sxm", weights=weights).parts if p.part != "kv")


@pytest.mark.parametrize(("kind", "bits"), LLAMA.items())
def test_file_types_have_the_size_of_llama_cpps_own(kind, bits):
    assert file_bytes("llama-3.1-8b", kind) * 8 / 8_030_261_312 == pytest.approx(bits, rel=0.009)


@pytest.mark.parametrize(("model", "kind", "gigabytes"), FILES)
def test_file_types_have_the_size_of_published_files(model, kind, gigabytes):
    assert file_bytes(model, kind) / 1e9 == pytest.approx(gigabytes, rel=0.01)


@pytest.mark.parametrize(
    ("model", "kind", "gibibytes"),
    # All 398 rows of the facts that name their file: github.com/XiongjieDai/GPU-Benchmarks-on-LLM-Inference.
    [
        ("llama-3-8b", "q4_k_m", 4.58),
        ("llama-3-8b", "fp16", 14.96),
        ("llama-3-70b", "q4_k_m", 39.59),
        ("llama-3-70b", "fp16", 131.42),
    ],
)
def test_file_sizes_of_measured_rows(model, kind, gibibytes):
    assert file_bytes(model, kind) / 2**30 == pytest.approx(gibibytes, rel=0.002)


@pytest.mark.parametrize(
    ("kind", "role", "layer", "columns", "block"),
    [
        ("q4_k_m", "value", 0, 4096, "q6_k"),
        ("q4_k_m", "value", 4, 4096, "q4_k"),
        ("q4_k_m", "down", 6, 4096, "q6_k"),
        ("q4_k_m", "down", 6, 4096 + 32, "q8_0"),
        ("q4_k_m", "query", 0, 896, "q5_0"),
        ("q3_k_s", "query", 0, 896, "q4_0"),
        ("iq4_xs", "query", 0, 896, "iq4_nl"),
        ("q5_k_m", "gate", 0, 896, "q5_1"),
        ("q4_k_m", "query", 0, 17, "fp16"),
        ("q4_k_m", "head", 31, 896, "q8_0"),
        ("q4_k_l", "embedding", 31, 4096, "q8_0"),
        ("iq2_xs", "head", 31, 4096, "q5_k"),
        ("tq1_0", "embedding", 31, 4096, "q4_k"),
        ("q4_k_m", "router", 0, 4096, "fp32"),
        ("ud-q4_k_xl", "query", 0, 4096, "q8_0"),
        ("ud-q4_k_xl", "expert_up", 0, 4096, "q4_k"),
    ],
)
def test_rules_of_llama_quantize(kind, role, layer, columns, block):
    experts = 128 if kind.startswith("ud") else 1
    assert block_format(kind, role, layer, columns, Quantised(32, experts, 4, tied=False)) == block


@pytest.mark.parametrize(("model", "kind"), published_files())
def test_dynamic_types_have_the_size_of_the_published_file(model, kind):
    file = published_files()[model, kind]
    found = find_model(model)
    counted = parameter_count(found)
    rest = counted / (counted + draft_parameter_count(found)) if file.draft else 1
    assert file_bytes(model, kind) == pytest.approx(file.bytes * rest, rel=1e-4)


@pytest.mark.parametrize(
    ("model", "kind", "gigabytes"),
    [
        # Hugging Face, unsloth: the plain types of the same models, and what their dynamic ones take besides.
        ("qwen3-8b", "ud-q4_k_xl", 5.1357),
        ("qwen3-14b", "ud-q4_k_xl", 9.1598),
        ("llama-3.2-3b", "ud-q4_k_xl", 2.0609),
        ("qwen3-8b", "ud-q8_k_xl", 10.8240),
        ("qwen3-1.7b", "ud-q8_k_xl", 2.3326),
    ],
)
def test_dynamic_types_of_other_dense_models_are_of_a_usual_size(model, kind, gigabytes):
    other = find_model(model).replace(name="of-another-name")
    assert file_bytes(other, kind) / 1e9 == pytest.approx(gigabytes, rel=0.01 if "q4" in kind else 0.05)


def test_what_is_not_known_of_dynamic_types_is_said():
    (said,) = (n for n in estimate("qwen3.5-27b", "rtx-4090", weights="ud-q4_k_xl").notes if "Unsloth" in n)
    assert "17.62 GB" in said
    assert "huggingface.co/unsloth/Qwen3.5-27B-GGUF" in said
    (said,) = (n for n in estimate("llama-3.1-8b", "rtx-4090", weights="ud-q4_k_xl").notes if "Unsloth" in n)
    assert "usual size" in said


def test_projections_into_linear_attention_are_cut_as_in_ggmls_files():
    storage = formats_of(find_model("qwen3.5-27b"), "q4_k_m", None).storage
    # attn_qkv holds 10,240 of 16,384 rows and is q6_k in half of the layers, attn_gate the rest.
    assert dict(storage.mix("attention", "in_projection"))["q6_k"] == pytest.approx(0.5 * 10240 / 16384, abs=0.02)


def test_mixtral_has_wider_keys_and_values():
    storage = formats_of(find_model("mixtral-8x7b"), "q4_k_m", None).storage
    assert (storage.mix("attention", "key"), storage.mix("attention", "value")) == ((("q8_0", 1.0),), (("q8_0", 1.0),))
    assert storage.mix("attention", "output") == (("q5_k", 1.0),)


@pytest.mark.parametrize("kind", FILE_TYPES)
def test_every_file_type_can_be_asked(kind):
    answer = estimate("qwen3-0.6b", "rtx-4090", weights=kind)
    assert answer.weight_format == kind
    assert answer.bytes_per_step < estimate("qwen3-0.6b", "rtx-4090", weights="fp16").bytes_per_step


def test_layers_of_a_file_type_are_one_loop():
    assert [loop.count for loop in estimate("llama-3.1-8b", "h100-sxm", weights="q4_k_m").loops] == [32]


@pytest.mark.parametrize("model", names("models"))
def test_parts_add_up(model):
    answer = estimate(model, "h100-sxm", batch=3, context=1000)
    assert sum(p.bytes_per_step for p in answer.parts) == pytest.approx(answer.bytes_per_step, abs=len(answer.parts))
    stored = [p for p in answer.parts if p.part not in ("kv", "tower", "draft")]
    assert sum(p.parameters for p in stored) == parameter_count(find_model(model))
    if find_model(model).step:
        return  # what stays on chip is not in memory
    assert answer.fits.bytes_needed == pytest.approx(
        sum(p.bytes for p in answer.parts if p.part not in ("tower", "draft")), rel=0.002
    )


def formats(answer):
    return {part.part: part.format for part in answer.parts}


def test_parts_that_are_not_named_keep_theirs():
    answer = estimate("deepseek-v3", "h200-sxm", devices=8, weights="attention=bf16+experts=nvfp4")
    published = formats(estimate("deepseek-v3", "h200-sxm", devices=8))
    assert formats(answer) == published | {"attention": "bf16", "experts": "nvfp4"}
    assert answer.weight_format == "attention=bf16+experts=nvfp4"


def test_a_format_overrides_what_a_file_says():
    config = str(Path(__file__).parent / "cases" / "configs" / "ct-dense-one-attn")
    assert formats(estimate(config, "h100-sxm"))["attention"] == "nvfp4+bf16"
    assert formats(estimate(config, "h100-sxm", weights="attention=fp8"))["attention"] == "fp8"
    assert formats(estimate(config, "h100-sxm", weights="nvfp4"))["attention"] == "nvfp4"
    assert set(formats(estimate(config, "h100-sxm", weights="bf16")).values()) == {"bf16"}


def test_a_tied_table_is_counted_once():
    parts = {p.part: p for p in estimate("qwen2.5-0.5b", "h100-sxm", weights="embedding=q8_0").parts}
    assert parts["head"].format == "q8_0"
    assert "embedding" not in parts


def test_gpt_oss_in_mxfp4_and_as_published():
    whole, published = (estimate("gpt-oss-120b", "h100-sxm", weights=w) for w in ("mxfp4", None))
    assert whole.bytes_per_step / 1e9 == pytest.approx(2.90, rel=0.005)
    assert published.bytes_per_step / 1e9 == pytest.approx(5.16, rel=0.005)
    assert any("q8_0" in note for note in whole.notes)
    assert formats(whole)["other"] == "bf16"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("atention=fp8", "did you mean 'attention'"),
        ("attention=fp9", "did you mean 'fp8'"),
        ("attention=fp8+attention=bf16", "attention is given twice"),
        ("attention=fp8+dense", "'dense' is no PART=FORMAT"),
        ("experts=fp8", "experts: llama-3.1-8b has none; it has attention, dense, head, embedding"),
        ("q4_k_n", "did you mean 'q4_k_"),
        ("+", "not a storage format"),
    ],
)
def test_weights_that_cannot_be_read(text, said):
    with pytest.raises(PerfModelError, match="--weights: ") as raised:
        estimate("llama-3.1-8b", "h100-sxm", weights=text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_read_can_be_spelled():
    for text in ("fp8", "attention=fp8+experts=q4_k_m"):
        assert spelled(read_weights(text)) == text
    assert read_weights("Q4_K_XL") == "ud-q4_k_xl"
    assert read_weights("attention = FP8 + head = bfloat16") == (("attention", "fp8"), ("head", "bf16"))


def test_advice_on_weights_by_part_and_in_a_file_type():
    changes = [{a.change for a in advise("llama-3.1-8b", "h100-sxm", weights=w).advice} for w in ("head=fp8", "q2_k")]
    assert ["store weights in int4" in found for found in changes] == [True, False]
