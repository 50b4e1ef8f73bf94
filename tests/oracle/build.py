"""Count every family as `transformers` builds it, and keep the counts for the suite to check against: `make oracle`.

A development program that needs the extra `oracle` (torch and transformers). It writes four files beside it: a small
model of each family with its parameters by part, cache, state and FLOPs; what single keys change of it; the catalogue's
models at full size.
"""

import dataclasses
import gc
import json
import sys
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from perfmodel._layout import data_folder
from perfmodel.specifications.files import read_toml
from perfmodel.specifications.huggingface.fields import is_without_work
from perfmodel.specifications.huggingface.readers import DECODER_TYPES
from perfmodel.specifications.huggingface.wrappers import FLAT, WRAPPERS
from tests.oracle import measure
from tests.oracle.tiny import CLASSES, tiny

FOLDER = Path(__file__).parent
CONTEXTS = (8, 40)
# Wrappers whose default heads do not divide their width.
_NARROW = ("glm4v_moe", "qwen3_omni_moe_thinker")
# Keys whose other values are nonsense or only change numbers.
UNVARIED = frozenset({"model_type", "num_hidden_layers", "vocab_size", "pad_token_id", "rope_interleave"})


def decoders() -> dict[str, dict[str, Any]]:
    """Return for each decoder that both know its small config and what it counts."""
    found = {}
    for model_type in sorted(
        set(CLASSES) & set(DECODER_TYPES) - {"whisper"}
    ):  # of which the library's class has no encoder
        table = tiny(model_type)
        try:
            entry = _counted(table)
        except Exception as error:  # noqa: BLE001 - any failure of the library is a line of the report
            sys.stderr.write(f"{model_type}: {error!r:.150}\n")
            continue
        found[model_type] = {"config": table} | entry
        gc.collect()
    return found


def _counted(table: dict[str, Any]) -> dict[str, Any]:
    config = measure.config_of(dict(table))
    model = measure.built(config, table["model_type"], "cpu")
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    entry: dict[str, Any] = {"parameters": measure.parameters(model), "windows": measure.windows(config)}
    try:
        entry["steps"] = [measure.step(model, context) for context in CONTEXTS]
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(f"{table['model_type']}: no step: {error!r:.150}\n")
    return entry


def varied(base: dict[str, Any]) -> list[list[Any]]:
    """Return [key, value, parameters, windows] for each other value of a key that the library builds a model of."""
    model_type = base["model_type"]
    rows = []
    fields = {field.name: field.default for field in dataclasses.fields(CONFIG_MAPPING[model_type])}
    for key in sorted({*base, *fields} - UNVARIED):
        if is_without_work(key):
            continue
        for value in _others(base.get(key, fields.get(key))):
            table = dict(base) | {key: value}
            try:
                config = measure.config_of(dict(table))
                counted = measure.parameters(measure.built(config, model_type, "meta"))
                rows.append([key, value, sum(counted.values()), measure.windows(config)])
            except Exception:  # noqa: BLE001, S112 - a value that the library does not take is no row
                continue
        if key in base and key not in ("hidden_size", "num_attention_heads", "intermediate_size"):
            rows += _without(base, key)
    return rows


def _without(base: dict[str, Any], key: str) -> list[list[Any]]:
    table = {name: value for name, value in base.items() if name != key}
    try:
        config = measure.config_of(dict(table))
        counted = measure.parameters(measure.built(config, base["model_type"], "meta"))
    except Exception:  # noqa: BLE001
        return []
    return [[key, "absent", sum(counted.values()), measure.windows(config)]]


def _others(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value * 2, value // 2, 1] if value > 1 else [value + 1, 0]
    if value is None:
        return [1, 16, True, []]
    if isinstance(value, list) and value and isinstance(value[0], str):
        return [list(reversed(value)), [value[0]] * len(value), [value[-1]] * len(value)]
    return []


def wrappers() -> dict[str, dict[str, Any]]:
    """Return for each model with towers its config, the class's defaults made shallow, and its parameters by part."""
    found = {}
    for model_type in sorted(set(CLASSES) & ({*WRAPPERS, *FLAT})):
        try:
            table = json.loads(CONFIG_MAPPING[model_type]().to_json_string(use_diff=False))
            if model_type in _NARROW:
                table["text_config"]["head_dim"] = 128
            model = measure.built(measure.config_of(table), model_type, "meta")
        except Exception as error:  # noqa: BLE001
            sys.stderr.write(f"{model_type}: {error!r:.150}\n")
            continue
        found[model_type] = {"config": table, "parameters": measure.parameters(model, whole=True)}
    return found


def published() -> dict[str, dict[str, int]]:
    """Return for each model of the catalogue that the library knows its parameters by part, at full size."""
    found = {}
    for path in sorted(data_folder("models").glob("*.toml")):
        raw = read_toml(path)
        table = raw.get("config", {})
        if table.get("model_type") not in CLASSES:
            continue
        try:
            config = measure.config_of(dict(table) | dict.fromkeys(raw.get("null", [])))
            model = measure.built(config, table["model_type"], "meta")
            found[path.stem] = measure.parameters(model, whole=table["model_type"] in WRAPPERS)
        except Exception as error:  # noqa: BLE001
            sys.stderr.write(f"{path.stem}: {error!r:.150}\n")
    return found


def main(sections: list[str]) -> None:
    """Write the sections named, or all of them, each to a file of its own."""
    makers = {
        "decoders": decoders,
        "wrappers": wrappers,
        "published": published,
        "varied": lambda: {
            name: varied(tiny(name)) for name in sorted(set(CLASSES) & set(DECODER_TYPES) - {"whisper"})
        },
    }
    about = {"source": f"transformers {transformers.__version__}", "types": sorted(CLASSES)}
    for section in sections or list(makers):
        counts = about | {section: makers[section]()} if section == "decoders" else {section: makers[section]()}
        lines = [f" {json.dumps(key)}: {_laid_out(value)}" for key, value in counts.items()]
        (FOLDER / f"{section}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _laid_out(value: Any) -> str:
    """Return JSON with one line an entry, so that a change of one shows as one."""
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()) + "\n }"


if __name__ == "__main__":
    main(sys.argv[1:])
