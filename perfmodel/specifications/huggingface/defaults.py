"""What the `transformers` library takes for keys that a config.json leaves out, and its other names of keys."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

# A config that stands alone states these; the part of a larger one may leave them to its class.
_STATED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")

# Older configs name the same things otherwise.
_RENAMED = {
    "gpt2": {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
    },
    "llada": {
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
        "mlp_hidden_size": "intermediate_size",
        "max_sequence_length": "max_position_embeddings",
        "weight_tying": "tie_word_embeddings",
    },
    "gpt_neo": {"num_layers": "num_hidden_layers", "num_heads": "num_attention_heads"},
    "xglm": {
        "d_model": "hidden_size",
        "num_layers": "num_hidden_layers",
        "attention_heads": "num_attention_heads",
        "ffn_dim": "intermediate_size",
    },
    "dbrx": {
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "max_seq_len": "max_position_embeddings",
    },
    "longcat_flash": {"num_layers": "num_hidden_layers"},
    "whisper": {"d_model": "hidden_size"},
    "bloom": {"n_embed": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"},
    "mpt": {
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "max_seq_len": "max_position_embeddings",
    },
    "chatglm": {
        "num_layers": "num_hidden_layers",
        "ffn_hidden_size": "intermediate_size",
        "padded_vocab_size": "vocab_size",
        "seq_length": "max_position_embeddings",
    },
}
_RENAMED |= dict.fromkeys(("gpt_bigcode", "gptj", "codegen", "openai-gpt"), _RENAMED["gpt2"])


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


def with_usual_names(config: dict[str, Any], family: str) -> dict[str, Any]:
    """Return `config` with the key names of its family replaced by the usual ones, where those are not there."""
    renamed = _RENAMED.get(family, {})
    kept = {key: value for key, value in config.items() if key not in renamed}
    return {renamed[key]: value for key, value in config.items() if key in renamed and value is not None} | kept


def usual_defaults(known: Family, family: str) -> Family:
    """Return what is known of a family with the key names of its time replaced by the usual ones."""
    renamed = _RENAMED.get(family, {})
    stated = set() if not renamed else {"hidden_size", "num_hidden_layers", "num_attention_heads"}
    defaults = {renamed.get(key, key): value for key, value in known.defaults.items()}
    aliases = {alias: key for alias, key in known.aliases.items() if alias not in renamed and key not in renamed}
    return Family({key: value for key, value in defaults.items() if key not in stated}, aliases, known.parts)
