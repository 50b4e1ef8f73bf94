"""What the `transformers` library takes for keys that a config.json leaves out, and its other names of keys."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

# A config that stands alone states these; the part of a larger one may leave them to its class.
_STATED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")


class Family(msgspec.Struct, frozen=True):
    """What is known of a model_type besides its reader.

    defaults: of absent keys; aliases: other name to name; parts: model_type of each nested part.
    """

    defaults: dict[str, Any]
    aliases: dict[str, str]
    parts: dict[str, str] = {}

    def names(self, key: str) -> tuple[str, ...]:
        """Return the other names of `key`."""
        named = self.aliases.get(key)
        return (
            *((named,) if named else ()),
            *(alias for alias, name in self.aliases.items() if name in (key, named) and alias != key),
        )


UNKNOWN = Family({}, {})


@lru_cache(maxsize=1)
def _table() -> dict[str, msgspec.Raw]:
    """Return the text of each model_type's entry, of which a model needs one or two."""
    data = (Path(__file__).parent / "defaults.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, msgspec.Raw])


@lru_cache(maxsize=512)
def family_of(model_type: str, *, nested: bool = False) -> Family:
    """Return the defaults, names and parts of a model_type, those of nothing where it is not in the table.

    nested: it is the part of a larger config, whose size may be left out too.
    """
    text = _table().get(model_type)
    entry = None if text is None else msgspec.json.decode(text)
    if not isinstance(entry, dict):
        return UNKNOWN
    defaults = {key: value for key, value in entry["defaults"].items() if nested or key not in _STATED}
    return Family(defaults, entry["names"], entry.get("parts", {}))
