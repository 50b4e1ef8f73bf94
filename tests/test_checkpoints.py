"""Tensors beside a config.json: what they hold is compared with what is counted, part by part."""

import json
import shutil
import struct
from pathlib import Path

import pytest

from perfmodel import estimate
from perfmodel.errors import PerfModelError

CONFIGS = Path(__file__).parent / "cases" / "configs"


def safetensors(tensors):
    """Return a safetensors file of tensors of so many bytes, without their data."""
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, size in tensors.items():
        header[name] = {"dtype": "BF16", "shape": [size // 2], "data_offsets": [place, place + size]}
        place += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw


def llama(wide_queries=False):
    found = {
        "model.embed_tokens.weight": 128256 * 4096 * 2,
        "lm_head.weight": 128256 * 4096 * 2,
        "model.norm.weight": 4096 * 2,
        "vision_tower.patch.weight": 10**9,
    }
    for layer in range(32):
        at = f"model.layers.{layer}"
        query = 4096 * 4096 * (4 if wide_queries else 2)
        found |= {f"{at}.self_attn.q_proj.weight": query, f"{at}.self_attn.o_proj.weight": 4096 * 4096 * 2}
        found |= {f"{at}.self_attn.{name}_proj.weight": 4096 * 1024 * 2 for name in ("k", "v")}
        found |= {f"{at}.mlp.{name}_proj.weight": 4096 * 14336 * 2 for name in ("gate", "up", "down")}
        found |= {f"{at}.{name}_layernorm.weight": 4096 * 2 for name in ("input", "post_attention")}
    return found


@pytest.fixture
def folder(tmp_path):
    shutil.copy(CONFIGS / "dense-plain" / "config.json", tmp_path / "config.json")
    return tmp_path


def notes(folder, **asked):
    return [
        note for note in estimate(str(folder / "config.json"), "h100-sxm", **asked).notes if "tensors beside" in note
    ]


def test_tensors_that_agree_say_nothing(folder):
    (folder / "model.safetensors").write_bytes(safetensors(llama()))
    assert notes(folder) == []


def test_a_part_that_differs_is_named(folder):
    (folder / "model.safetensors").write_bytes(safetensors(llama(wide_queries=True)))
    assert len(notes(folder)) == 1
    assert "attention 3.758 for 2.684 GB" in notes(folder)[0]
    assert "dense" not in notes(folder)[0]


def test_another_format_is_not_compared(folder):
    (folder / "model.safetensors").write_bytes(safetensors(llama(wide_queries=True)))
    assert notes(folder, weights="fp8") == []


def test_shards_are_read_where_they_are_there(folder):
    tensors = list(llama(wide_queries=True).items())
    shards = {"model-00001-of-00002.safetensors": tensors[:99], "model-00002-of-00002.safetensors": tensors[99:]}
    for name, held in shards.items():
        (folder / name).write_bytes(safetensors(dict(held)))
    index = {"metadata": {"total_size": 1}, "weight_map": {t: name for name, held in shards.items() for t, _ in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert "attention 3.758 for 2.684 GB" in notes(folder)[0]


@pytest.mark.parametrize(("total", "said"), [(16_060_522_496, None), (5_000_000_000, "total 5 for 16.06 GB")])
def test_an_index_alone_has_a_total(folder, total, said):
    index = {"metadata": {"total_size": total}, "weight_map": {"lm_head.weight": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert [said in note for note in notes(folder)] == ([True] if said else [])


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("model.safetensors", b"", "is no safetensors file"),
        ("model.safetensors", struct.pack("<Q", 2**60), "is no safetensors file"),
        ("model.safetensors", struct.pack("<Q", 8) + b"{", "is not JSON"),
        ("model.safetensors", struct.pack("<Q", 2) + b"[]", "expected a JSON object"),
        ("model.safetensors", struct.pack("<Q", 8) + b'{"a": 1}', "has no data_offsets"),
        ("model.safetensors", struct.pack("<Q", 33) + b'{"a": {"data_offsets": [9, 1]}}  ', "data_offsets [9, 1]"),
        ("model.safetensors.index.json", b"{}", "has no weight_map"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../../etc/passwd"}}', "not beside it"),
    ],
)
def test_damaged_files_are_one_line(folder, name, data, said):
    (folder / name).write_bytes(data)
    with pytest.raises(PerfModelError) as raised:
        estimate(str(folder / "config.json"), "h100-sxm")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
