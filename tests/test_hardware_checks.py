"""`hardware check` finds what is planted, each fault in an otherwise sound file, and finds nothing in the catalogue."""

import json

import pytest

from perfmodel.specifications.catalogue import find_hardware, names
from perfmodel.specifications.checks import check_hardware

SOUND = """
name = "mine"
year = 2024
status = "shipping"
inherits = "hopper"

[memory]
bandwidth = { value = "3.35 TB/s", kind = "datasheet", source = "a test" }
capacity = { value = "80 GB", kind = "datasheet", source = "a test" }
clock = { value = "2.619 GHz", kind = "datasheet", source = "a test" }
bus_width = { value = 5120, kind = "datasheet", source = "a test" }
latency = { value = "500 ns", kind = "measured", source = "a test" }

[tiers.host]
bandwidth = { value = "64 GB/s", kind = "datasheet", source = "a test" }
capacity = { value = "1 TB", kind = "datasheet", source = "a test" }

[arithmetic]
fp32 = { value = "67 TFLOP/s", kind = "datasheet", source = "a test" }
bf16 = { value = "989 TFLOP/s", kind = "datasheet", source = "a test" }
bf16-sparse = { value = "1979 TFLOP/s", kind = "datasheet", source = "a test" }
fp8 = { value = "1979 TFLOP/s", kind = "datasheet", source = "a test" }

[units]
count = { value = 132, kind = "datasheet", source = "a test" }
clock = { value = "1.83 GHz", kind = "datasheet", source = "a test" }

[units.operations_per_clock]
bf16 = { value = 4096, kind = "derived", source = "a test" }

[on_chip]
capacity = { value = "50 MB", kind = "datasheet", source = "a test" }
bandwidth = { value = "5.5 TB/s", kind = "measured", source = "a test" }

[link]
bandwidth = { value = "450 GB/s", kind = "datasheet", source = "a test" }
domain = { value = 8, kind = "datasheet", source = "a test" }

[power]
tdp = { value = "700 W", kind = "datasheet", source = "a test" }
"""

PLANTED = [
    # What the reader itself refuses.
    ("an unknown unit", '"3.35 TB/s"', '"3.35 TBytes/sec"', "memory.bandwidth"),
    ("bits for bytes", '"3.35 TB/s"', '"26.8 Tb/s"', "bits"),
    ("a time for a bandwidth", '"3.35 TB/s"', '"3.35 us"', "expected B/s"),
    ("no unit", '"3.35 TB/s"', "3.35e12", "no unit"),
    ("no source", 'kind = "datasheet", source = "a test" }\ncapacity', 'kind = "datasheet" }\ncapacity', "no source"),
    (
        "an empty source",
        '"80 GB", kind = "datasheet", source = "a test"',
        '"80 GB", kind = "datasheet", source = " "',
        "no source",
    ),
    ("a kind nobody knows", '"80 GB", kind = "datasheet"', '"80 GB", kind = "rumour"', "rumour"),
    ("a misspelt key", "bus_width", "buswidth", "bus_width"),
    (
        "an interval out of order",
        'value = "450 GB/s"',
        'low = "500 GB/s", value = "450 GB/s", high = "600 GB/s"',
        "not in order",
    ),
    ("a negative value", '"700 W"', '"-700 W"', "out of range"),
    ("defaults that do not exist", '"hopper"', '"hoper"', "hopper"),
    (
        "no bandwidth",
        'bandwidth = { value = "3.35 TB/s", kind = "datasheet", source = "a test" }\n',
        "",
        "no memory.bandwidth",
    ),
    # What only the device's own arithmetic shows.
    ("bandwidth that is not clock x width", '"3.35 TB/s"', '"4.8 TB/s"', "clock x 2 x bus width"),
    ("GiB for GB", '"450 GB/s"', '"450 GiB/s"', "powers of ten"),
    ("gigabytes for terabytes", '"3.35 TB/s"', '"3.35 GB/s"', "memory.bandwidth"),
    ("capacity in kilobytes", '"80 GB"', '"80 kB"', "outside 100 MB to 10 TB"),
    ("a cache slower than its memory", '"5.5 TB/s"', '"0.55 TB/s"', "slower than the memory behind it"),
    ("a cache larger than its memory", '"50 MB"', '"500 GB"', "more than the memory behind it"),
    ("a tier faster than the memory", '"64 GB/s"', '"6.4 TB/s"', "faster than the device's own memory"),
    ("a link faster than the memory", '"450 GB/s"', '"4.5 TB/s"', "per direction"),
    (
        "both directions of a link",
        'value = "450 GB/s", kind = "datasheet", source = "a test"',
        'value = "900 GB/s", kind = "datasheet", source = "NVLink, both directions"',
        "both directions",
    ),
    ("half a device in a domain", "domain = { value = 8", "domain = { value = 8.5", "number of devices"),
    ("a sparse peak as dense", 'bf16 = { value = "989 TFLOP/s"', 'bf16 = { value = "1979 TFLOP/s"', "sparsity"),
    (
        "a peak of another chip",
        'bf16 = { value = "989 TFLOP/s"',
        'bf16 = { value = "312 TFLOP/s"',
        "units x operations x clock",
    ),
    (
        "a sparse peak below the dense",
        'bf16-sparse = { value = "1979 TFLOP/s"',
        'bf16-sparse = { value = "197 TFLOP/s"',
        "below the dense",
    ),
    (
        "a sparse peak without a dense",
        'fp8 = { value = "1979 TFLOP/s"',
        'int8-sparse = { value = "3958 TFLOP/s"',
        "without the dense one",
    ),
    (
        "sums in 16 bits slower than in 32",
        'fp8 = { value = "1979 TFLOP/s"',
        'fp16-accumulate-fp16 = { value = "494 TFLOP/s"',
        "sums in 16 bits below",
    ),
    ("an arithmetic format nobody knows", "fp8 = {", "fp9 = {", "not an arithmetic format"),
    ("a rack's peak", 'fp8 = { value = "1979 TFLOP/s"', 'fp8 = { value = "1440 PFLOP/s"', "whole rack"),
    (
        "a narrow format slower than a wide one",
        'fp8 = { value = "1979 TFLOP/s"',
        'fp8 = { value = "100 TFLOP/s"',
        "slower than",
    ),
    ("latency in clock cycles", '"500 ns"', '"600 us"', "clock cycles"),
    ("half a unit", "count = { value = 132", "count = { value = 132.5", "whole number"),
    ("power of a rack", '"700 W"', '"120 kW"', "no device"),
    ("a year that is not", "year = 2024", "year = 1995", "year"),
    ("a status nobody knows", '"shipping"', '"soon"', "soon"),
    (
        "a stage of a millisecond",
        "[power]",
        '[modes.looped]\nstage = { value = "2 ms", kind = "assumed", source = "a test" }\n[power]',
        "is it us",
    ),
    (
        "a peer faster than all links",
        "domain = { value = 8",
        'per_peer = { value = "900 GB/s", kind = "derived", source = "a test" }\ndomain = { value = 8',
        "more than all links",
    ),
    (
        "a network faster than the links",
        "[power]",
        '[network]\nbandwidth = { value = "800 GB/s", kind = "datasheet", source = "a test" }\n[power]',
        "faster than the links",
    ),
    (
        "an algorithm nobody knows",
        "[power]",
        '[collectives]\nalgorithms = { value = ["two-shots"], kind = "assumed", source = "a test" }\n[power]',
        "two-shot",
    ),
    (
        "algorithms without a source",
        "[power]",
        '[collectives]\nalgorithms = ["ring"]\n[power]',
        "collectives.algorithms",
    ),
    (
        "removing what is not inherited",
        'inherits = "hopper"',
        'inherits = "hopper"\nwithout = ["modes.pdll"]',
        "modes.pdl",
    ),
    (
        "removing the base of another mode",
        'inherits = "hopper"',
        'inherits = "hopper"\nwithout = ["modes.graph"]',
        "base",
    ),
    (
        "a share in percent",
        "[power]",
        '[memory.sustained]\nweights = { value = 0.0092, kind = "assumed", source = "a test" }\n[power]',
        "is it a share",
    ),
]


@pytest.mark.parametrize(("fault", "old", "new", "message"), PLANTED, ids=[p[0] for p in PLANTED])
def test_a_planted_fault_is_found(run, tmp_path, fault, old, new, message):
    assert old in SOUND
    path = tmp_path / "mine.toml"
    path.write_text(SOUND.replace(old, new, 1), encoding="utf-8")
    answer = run("hardware", "check", str(path), "--json")
    found = json.loads(answer.out)
    assert any(message in f["message"] or message in f["key"] for f in found), found
    if any(f["severity"] == "error" for f in found):
        assert answer.code == 1


def test_there_are_at_least_25_planted_faults():
    assert len(PLANTED) >= 25


def test_a_sound_file_has_no_fault(run, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SOUND, encoding="utf-8")
    answer = run("hardware", "check", str(path), "--json")
    assert json.loads(answer.out) == []
    assert answer.code == 0


@pytest.mark.parametrize("name", names("hardware"))
def test_the_catalogue_has_no_error(name):
    assert [f for f in check_hardware(find_hardware(name)) if f.severity == "error"] == []


def test_the_whole_catalogue_is_checked_by_one_command(run):
    answer = run("hardware", "check")
    assert answer.code == 0
    assert answer.out.startswith(f"{len(names('hardware'))} devices checked, 0 faults")


def test_models_are_checked_and_shown(run, tmp_path):
    assert run("models", "check").code == 0
    shown = json.loads(run("models", "show", "mixtral-8x7b", "--json").out)
    experts = next(o for o in shown if o["name"] == "expert_up")
    assert experts["parameters"] == 4 * experts["parameters_used"]
    config = {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 8192,
        "vocab_size": 128256,
        "tie_word_embeddings": True,
        "rope_scaling": {"type": "llama3", "factor": 32.0},
        "eos_token_id": [1, 2],
        "head_dim": None,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    imported = tmp_path / "one.toml"
    assert run("models", "import", str(tmp_path), "--name", "one", "-o", str(imported)).code == 0
    by_config, by_toml = (
        json.loads(run("estimate", str(path), "h100-sxm", "--json").out) for path in (tmp_path, imported)
    )
    assert by_toml["after"] == by_config["after"]
    assert "SHA-256" in imported.read_text()


def test_loops_of_a_model_are_shown(run):
    shown = run("loops", "gemma-3-27b").out
    assert "5 x decoder_layer + decoder_layer_2" in shown
    assert [r["count"] for r in json.loads(run("loops", "deepseek-v3", "--json").out)] == [1, 3, 58, 1, 1]


def test_what_a_device_lacks_is_taken_from_what_it_inherits(run, tmp_path):
    assert "pdl" in find_hardware("h100-sxm").modes
    for name in ("v100-sxm-32gb", "t4", "a100-sxm-80gb", "rtx-3090", "rtx-4090", "p40", "jetson-agx-orin"):
        answer = run("estimate", "llama-3.2-1b", name, "--before", "pdl")
        assert answer.code == 1
        assert "graph" in answer.err
        assert answer.err.count("\n") == 1
    path = tmp_path / "mine.toml"
    path.write_text(
        SOUND.replace(
            'inherits = "hopper"',
            'inherits = ["hopper", "pcie"]\nwithout = ["modes.pdl", "memory.sustained.kv", "collectives.in-network"]',
        ),
        encoding="utf-8",
    )
    mine, whole = find_hardware(str(path)), find_hardware("h100-sxm")
    assert set(whole.modes) - set(mine.modes) == {"pdl"}
    assert "memory.sustained.kv" in whole.values
    assert not {"memory.sustained.kv", "collectives.in-network.sustained", "modes.pdl.hidden"} & set(mine.values)
    assert mine.algorithms.names == ("ring",)  # the later of two
    assert mine.values["memory.sustained.weights"] == whole.values["memory.sustained.weights"]
    shown = run("hardware", "show", str(path)).out
    assert "collectives by ring" in shown


def test_hardware_lists_can_be_filtered_and_sorted(run):
    amd = json.loads(run("hardware", "list", "--vendor", "amd", "--sort", "bandwidth", "--json").out)
    assert {d["vendor"] for d in amd} == {"AMD"}
    assert [d["bandwidth"] for d in amd] == sorted((d["bandwidth"] for d in amd), reverse=True)
    assert run("hardware", "list", "--sort", "colour").code == 1
