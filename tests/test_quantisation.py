"""Quantised checkpoints: each module of the model in the format its file gives it,
or one line that says what is not understood."""

import json
from itertools import permutations
from pathlib import Path

import pytest

from perfmodel import estimate, find_model
from perfmodel.errors import PerfModelError
from perfmodel.operations.storing import formats_of
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.huggingface import model_from_config
from perfmodel.specifications.modelfiles import load_model

CONFIGS = Path(__file__).parent / "cases" / "configs"

# Bytes of a step at batch 1 and 4,096 tokens [GB], worked out by hand from the shapes of the made configurations.
BYTES = {
    "dense-plain": 15.547,
    "ct-vlm-int4": 16.79,
    "ct-vlm-int4-regex": 16.79,
    "ct-dense-one-attn": 5.538,
    "modelopt-nvfp4": 5.514,
    "hf-quant-beside": 5.246,
    "ct-mxfp4": 5.296,
    "ct-w4a16-kv8": 4.918,
    "ct-mixed-moe": 2.976,
    "awq-moe-skip": 3.80,
}
# The layers of the dense case have 6,979,321,856 elements in matrices, its head 525,336,576 and its embedding as many;
# at 4,096 tokens the cache is 536,870,912 bytes in 16 bits and norms are 0.5 MB.
LAYERS, HEAD, CACHE, NORMS = 6_979_321_856, 525_336_576, 536_870_912, 65 * 4096 * 2
DENSE = {
    "auto-round": (4 + 16 / 128, 16, 1),
    "bitnet": (2, 16, 1),
    "ct-w8a8-int": (8, 16, 1),
    "exl3": (4, 6, 1),
    "fbgemm": (8, 16, 1),
    "hqq": (4 + 32 / 64, 16, 1),
    "mlx-mxfp4": (4.25, 4.25, 1),
    "mlx4": (4.5, 4.5, 1),
    "mlx4-only": (4.5, 4.5, 1),
    "modelopt-fp8": (8, 16, 0.5),
    "quark-fp8": (8, 16, 1),
    "torchao": (4 + 32 / 128, 16, 1),
}


def test_every_case_has_a_right_value():
    assert {path.name for path in CONFIGS.iterdir()} == {*BYTES, *DENSE}


@pytest.mark.parametrize(("case", "gigabytes"), BYTES.items())
def test_bytes_of_a_step(case, gigabytes):
    assert estimate(str(CONFIGS / case), "h100-sxm").bytes_per_step / 1e9 == pytest.approx(gigabytes, rel=0.0015)


@pytest.mark.parametrize(("case", "bits"), DENSE.items())
def test_bytes_of_a_dense_step(case, bits):
    layers, head, cache = bits
    expected = LAYERS * layers / 8 + HEAD * head / 8 + CACHE * cache + NORMS
    assert estimate(str(CONFIGS / case), "h100-sxm").bytes_per_step == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", BYTES | DENSE)
def test_an_imported_checkpoint_is_the_one_it_came_from(run, tmp_path, name):
    """What stands beside a config.json too."""
    file = tmp_path / "imported.toml"
    run("models", "import", str(CONFIGS / name), "-o", str(file))
    assert estimate(str(file), "h100-sxm").bytes_per_step == estimate(str(CONFIGS / name), "h100-sxm").bytes_per_step


def torchao(kind, key, modules):
    """Return a quantization_config as torchao's `config_to_dict` writes one for each module."""
    written = {name: said and {"_type": said[0], "_version": 1, "_data": said[1]} for name, said in modules.items()}
    whole = {"_type": kind, "_version": 1, "_data": {key: written}}
    return {"quant_method": "torchao", "quant_type": {"default": whole}}


INTX = {"weight_dtype": {"_type": "torch.dtype", "_data": "int4"}}
INTX |= {"weight_granularity": {"_type": "PerGroup", "_data": {"group_size": 32}}}
SPARSE = {"format": "sparse-24-bitmask", "sparsity_structure": "2:4", "targets": ["Linear"], "ignore": ["lm_head"]}
FP8 = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}}
ATTENTION = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024)


@pytest.mark.parametrize(
    ("block", "bits"),
    [
        # One projection of one layer in fp8, all else in groups of 128 with a scale and a zero point of 16 bits.
        (
            torchao(
                "ModuleFqnToConfig",
                "module_fqn_to_config",
                {
                    "_default": ("Int4WeightOnlyConfig", {"group_size": 128}),
                    "model.layers.0.self_attn.q_proj": ("Float8WeightOnlyConfig", {}),
                },
            ),
            LAYERS * 4.25 + 4096 * 4096 * (8 - 4.25) + HEAD * 16,
        ),
        (
            torchao("FqnToConfig", "fqn_to_config", {"re:.*self_attn.*": ("Int8WeightOnlyConfig", {}),
            "_default": None}),
            LAYERS * 16 - ATTENTION * 8 + HEAD * 16,
        ),
        # As in pytorch/Qwen3-4B-INT8-INT4, where the embedding has a configuration too.
        (
            torchao(
                "ModuleFqnToConfig",
                "module_fqn_to_config",
                {
                    "_default": ("Int8DynamicActivationIntxWeightConfig", INTX),
                    "lm_head": ("IntxWeightOnlyConfig", {"weight_dtype": {"_type": "torch.dtype", "_data": "int8"}}),
                },
            ),
            LAYERS * 4.5 + HEAD * 8,
        ),
        # Half of the values, and a bit for each place.
        ({"sparsity_config": SPARSE, "config_groups": {}, "format": "dense"}, LAYERS * 9 + HEAD * 16),
        (
            {"sparsity_config": SPARSE, "config_groups": {"g": FP8}}
            | {"format": "float-quantized", "ignore": ["lm_head"]},
            LAYERS * 5 + HEAD * 16,
        ),
    ],
)  # fmt: skip
def test_bytes_of_what_has_no_case(block, bits):
    model = case("dense-plain", **{"quant_method": "compressed-tensors"} | block)
    found = estimate(model, "h100-sxm").bytes_per_step
    assert found == pytest.approx(bits / 8 + CACHE + NORMS, rel=1e-9)


def case(name, **changes):
    config = json.loads((CONFIGS / name / "config.json").read_text(encoding="utf-8"))
    block = config.get("quantization_config", {})
    config["quantization_config"] = block | changes
    return model_from_config(config, name=name, source="s", where="config.json")


def storage(name, **changes):
    return formats_of(case(name, **changes), None, None).storage


def test_one_projection_of_one_layer_left_alone_is_a_layer_of_its_own():
    model = load_model(CONFIGS / "ct-dense-one-attn")
    found = formats_of(model, None, None).storage
    assert found.layers == ((0, (("query", (("bf16", 1.0),)),)),)
    wider = 4096 * 4096 * (16 - 4.5) / 8
    plain = formats_of(case("ct-dense-one-attn", ignore=["lm_head"]), None, None)
    a, b = (estimate(one, "h100-sxm").bytes_per_step for one in (model, case("ct-dense-one-attn", ignore=["lm_head"])))
    assert (a - b, plain.storage.layers) == (wider, ())


def test_the_order_of_groups_does_not_matter():
    groups = json.loads((CONFIGS / "ct-mixed-moe" / "config.json").read_text(encoding="utf-8"))["quantization_config"][
        "config_groups"
    ]
    groups["group_2"] = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int", "strategy": "channel"}}
    found = {
        (s.attention, s.experts, s.head, s.name)
        for order in permutations(groups)
        for s in [storage("ct-mixed-moe", config_groups={key: groups[key] for key in order})]
    }
    assert found == {("fp8", "nvfp4", "bf16", "nvfp4")}


def test_groups_that_convert_activations_alone_leave_weights_as_they_are():
    groups = {"group_0": {"targets": ["Linear"], "weights": None, "input_activations": {"num_bits": 8}}}
    assert storage("ct-mxfp4", config_groups=groups).name == "bf16"


@pytest.mark.parametrize(
    ("changes", "attention", "dense", "head"),
    [
        ({"quant_algo": "W4A8_AWQ", "config_groups": None}, "int4-sym", "int4-sym", "bf16"),
        ({"quant_algo": "FP8_PB_WO", "config_groups": None}, "fp8-block128", "fp8-block128", "bf16"),
        (
            {"config_groups": None, "ignore": None, "exclude_modules": ["*self_attn*", "lm_head"]},
            "bf16",
            "nvfp4",
            "bf16",
        ),
        (
            {
                "quant_algo": "MIXED_PRECISION",
                "config_groups": None,
                "quantized_layers": {
                    f"model.layers.{layer}.{name}": {"quant_algo": algorithm, "group_size": 16}
                    for layer in range(32)
                    for name, algorithm in (
                        ("self_attn.q_proj", "FP8"),
                        ("self_attn.k_proj", "FP8"),
                        ("self_attn.v_proj", "FP8"),
                        ("self_attn.o_proj", "FP8"),
                        ("mlp.gate_proj", "NVFP4"),
                        ("mlp.up_proj", "NVFP4"),
                        ("mlp.down_proj", "NVFP4"),
                    )
                },
            },
            "fp8",
            "nvfp4",
            "bf16",
        ),
    ],
)
def test_algorithms_of_modelopt(changes, attention, dense, head):
    found = storage("modelopt-nvfp4", **changes)
    assert (found.attention, found.dense, found.head, found.layers) == (attention, dense, head, ())


@pytest.mark.parametrize(
    ("layout", "weights", "expected"),
    [
        ("marlin-24", {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}, "marlin-24"),
        ("pack-quantized", {"num_bits": 4, "type": "int", "group_size": 64, "symmetric": False}, "int4-g64"),
        ("pack-quantized", {"num_bits": 4, "type": "int", "strategy": "channel"}, "int4-channel"),
        ("naive-quantized", {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}, "int8"),
        ("nvfp4-pack-quantized", {"num_bits": 4, "type": "float"}, "nvfp4"),
        ("mxfp8-quantized", {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32}, "mxfp8"),
        (
            "float-quantized",
            {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]},
            "fp8-block128",
        ),
    ],
)
def test_layouts_of_compressed_tensors(layout, weights, expected):
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    found = storage("ct-mxfp4", format=layout, config_groups=groups)
    assert (found.attention, found.dense, found.head) == (expected, expected, "bf16")


@pytest.mark.parametrize(
    ("method", "expected"), [("gptq_marlin", "int4-g64"), ("awq_marlin", "int4-g64"), ("modelopt_fp4", "nvfp4")]
)
def test_methods_named_after_their_kernels(method, expected):
    changes = {"bits": 4, "group_size": 16 if expected == "nvfp4" else 64, "quant_algo": "NVFP4", "config_groups": None}
    assert storage("modelopt-nvfp4", quant_method=method, **changes).attention == expected


def test_modules_of_gptq_with_numbers_of_their_own():
    dynamic = {r"+:.*\.mlp\..*": {"bits": 8, "group_size": 32}, r"-:.*\.[01]\.self_attn\.o_proj": {}}
    found = storage("awq-moe-skip", quant_method="gptq", sym=True, modules_to_not_convert=None, dynamic=dynamic)
    assert (found.attention, found.experts) == ("int4-sym", "int8-g32-sym")
    assert found.layers == tuple((layer, (("output", (("bf16", 1.0),)),)) for layer in (0, 1))


def test_overrides_of_mlx_by_module():
    quantization = {"group_size": 64, "bits": 4, "lm_head": {"group_size": 64, "bits": 8}}
    quantization |= {f"model.layers.{layer}.mlp.down_proj": {"group_size": 64, "bits": 6} for layer in range(32)}
    config = json.loads((CONFIGS / "mlx4" / "config.json").read_text(encoding="utf-8"))
    del config["quantization_config"]
    config["quantization"] = quantization
    model = model_from_config(config, name="m", source="s", where="config.json")
    found = formats_of(model, None, None).storage
    assert (found.attention, found.embedding, found.head) == ("mlx-q4", "mlx-q4", "mlx-q8")
    assert dict(found.operations)["down"] == (("mlx-q6", 1.0),)


def test_experts_apart_from_the_rest():
    found = formats_of(find_model("deepseek-v4-flash"), None, None).storage
    assert (found.attention, found.experts, found.head, found.name) == ("fp8-block128", "mxfp4", "bf16", "mxfp4")


def test_single_experts_are_counted():
    named = [
        f"model.layers.{layer}.mlp.experts.{expert}.{name}_proj"
        for layer in range(48)
        for expert in range(32)
        for name in ("gate", "up", "down")
    ]
    found = storage("awq-moe-skip", modules_to_not_convert=["lm_head", *named])
    assert dict(found.operations)["expert_up"] == (("bf16", 0.25), ("int4", 0.75))
    assert found.attention == "int4"


def test_a_towers_modules_are_no_modules_of_the_decoder():
    listed = ["lm_head", "vision_tower.encoder.layers.3.self_attn.q_proj", "model.visual.blocks.0.attn.qkv"]
    assert storage("ct-w4a16-kv8", ignore=listed).layers == ()
    assert storage("ct-w4a16-kv8", ignore=["lm_head", "model.layers.3.self_attn.q_proj"]).layers != ()


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("ct-mxfp4", {"quant_method": "aqlm"}, "quant_method: 'aqlm' is not known"),
        ("ct-mxfp4", {"quant_method": "compressed-tensor"}, "did you mean 'compressed-tensors'"),
        ("ct-mxfp4", {"sparsity_config": {"format": "sparse-24-bitmask"}}, "sparse-24-bitmask"),
        ("ct-mxfp4", {"format": "marlin-24"}, "marlin-24 is known"),
        ("ct-mxfp4", {"ignore": ["re:("]}, "not a regular expression"),
        ("ct-mxfp4", {"ignore": ["re:(a+)+b"]}, "could take for ever"),
        ("ct-mxfp4", {"config_groups": {"g": {"targets": ["Conv2d"], "weights": {"num_bits": 4}}}}, "Conv2d"),
        ("ct-mxfp4", {"kv_cache_scheme": "int3"}, "kv_cache_scheme"),
        ("modelopt-nvfp4", {"quant_algo": "NVFP5", "config_groups": None}, "did you mean 'NVFP4'"),
        ("quark-fp8", {"global_quant_config": {"weight": {"dtype": "fp9"}}}, "dtype: 'fp9' is not known"),
        ("torchao", {"quant_type": "uintx_weight_only"}, "quant_type"),
        ("hqq", {"quant_config": {}}, "weight_quant_params"),
        ("exl3", {"bits": 99}, "bits"),
        ("awq-moe-skip", {"bits": 5}, "bits: 5"),
        ("mlx4", {"mode": "odd"}, "mode: 'odd'"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line(name, changes, said):
    with pytest.raises(PerfModelError, match="quantization_config") as raised:
        case(name, **changes)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_formats_whose_names_carry_numbers():
    assert STORAGE_FORMATS["int4-g32-sym"].bits == 4.5
    assert STORAGE_FORMATS["mlx-q4-g32"].bits == 5
    assert STORAGE_FORMATS["exl2-4.65"].bits == 4.65
    with pytest.raises(KeyError):
        STORAGE_FORMATS["int4-g0"]
