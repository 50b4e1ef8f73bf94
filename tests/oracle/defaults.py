"""Write what `transformers` takes for keys that a config.json leaves out, and its other names of keys, by model_type.

A development program, not part of the suite: `make oracle`. Only numbers, truth values and texts are kept, and only of
types that the reader knows (their parts included).
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from perfmodel.specifications.huggingface.fields import is_without_work
from perfmodel.specifications.huggingface.readers import KNOWN_TYPES

TARGET = Path("perfmodel/specifications/huggingface/defaults.json")


def raw_defaults(config: type) -> dict[str, Any]:
    """Return the defaults of a config class as they are written, before it works others out of them."""
    found = {}
    for field in dataclasses.fields(config):
        value = field.default
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        if isinstance(value, bool | int | float | str) and not is_without_work(field.name):
            found[field.name] = value
    return found


def names(config: type) -> dict[str, str]:
    """Return the other names that a config class has for its keys."""
    return {alias: key for alias, key in getattr(config, "attribute_map", {}).items() if not is_without_work(alias)}


def parts(config: type) -> dict[str, str]:
    """Return the model_type of each part of a config that says nothing of them."""
    whole = config() if getattr(config, "sub_configs", {}) else None
    found = {key: getattr(whole, key, None) for key in getattr(config, "sub_configs", {})}
    return {key: part.model_type for key, part in found.items() if part is not None}


def classes() -> dict[str, type]:
    """Return the config class of each type that the reader knows, and of the parts of those."""
    found = {name: CONFIG_MAPPING[name] for name in KNOWN_TYPES if name in CONFIG_MAPPING}
    for config in list(found.values()):
        for part in getattr(config, "sub_configs", {}).values():
            if getattr(part, "model_type", ""):
                found.setdefault(part.model_type, part)
        for part in parts(config).values():
            if part in CONFIG_MAPPING:
                found.setdefault(part, CONFIG_MAPPING[part])
    return found


def main() -> None:
    """Write the table, one model_type a line."""
    lines = []
    for model_type, config in sorted(classes().items()):
        defaults = {key: value for key, value in sorted(raw_defaults(config).items()) if value is not None}
        entry = {"defaults": defaults, "names": names(config), "parts": parts(config)}
        lines.append(f" {json.dumps(model_type)}: {json.dumps(entry)}")
    source = json.dumps(f"transformers {transformers.__version__}")
    TARGET.write_text("{\n" + f' "source": {source},\n' + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
