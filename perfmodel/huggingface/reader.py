"""The way from a config object to a Model: which reader a model_type has, and what all families share."""

from collections.abc import Callable
from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.formats import storage_format
from perfmodel.huggingface.dense import read_decoder
from perfmodel.huggingface.fields import Fields
from perfmodel.model import Model

_READERS: dict[str, Callable[[Fields, str], dict[str, Any]]] = {
    "llama": read_decoder,
    "mistral": read_decoder,
    "qwen2": read_decoder,
    "qwen3": read_decoder,
}
KNOWN_TYPES = tuple(sorted(_READERS))


def model_from_config(config: dict[str, Any], *, name: str, source: str, where: str, **described: Any) -> Model:
    """Return the Model that a config object describes.

    config: the object of a config.json, or the [config] table of a model file.
    where: the file, for messages. described: further fields of Model that the config does not hold.
    Raises SpecificationError for an unknown model_type or a key that is missing, wrong or not understood.
    """
    fields = Fields(config, where)
    family = config.get("model_type")
    if not isinstance(family, str) or family not in _READERS:
        found = "has no model_type" if family is None else f"model_type: {shown(family)} is not known"
        raise SpecificationError(f"{where}: {found}{nearest(str(family), KNOWN_TYPES)}; known are {', '.join(KNOWN_TYPES)}")
    if config.get("quantization_config"):
        raise SpecificationError(f"{where}: quantization_config is not understood yet; remove it and give --weights")
    dtype = "dtype" if fields.has("dtype") else "torch_dtype"
    published = storage_format(fields.text(dtype, "bf16"), f"{where}: {dtype}").name
    shape = _READERS[family](fields, family)
    vocabulary = fields.integer("vocab_size", most=100_000_000)
    tied = fields.flag("tie_word_embeddings", default=False)
    longest = config.get("max_position_embeddings")
    fields.finish(family)
    return Model(
        name=name, source=source, family=family, vocabulary=vocabulary, tied=tied,
        weight_format=published, kv_format=_cache_format(published), activations=_cache_format(published),
        longest_context=longest if isinstance(longest, int) and longest > 0 else None, **shape, **({"title": name} | described),
    )  # fmt: skip


def _cache_format(published: str) -> str:
    """A cache and the activations are kept in the published format when it is a plain one, else in bf16."""
    return published if published in ("bf16", "fp16", "fp32") else "bf16"
