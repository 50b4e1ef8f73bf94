"""The way from a config object to a Model: which reader a model_type has, and what all families share."""

from collections.abc import Callable
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.huggingface import dense
from perfmodel.specifications.huggingface.defaults import family_of, usual_defaults, with_usual_names
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.heads import head_of, read_eagle
from perfmodel.specifications.model import Model, Tower
from perfmodel.specifications.recipes import EXPERTS, Published, Recipe, Rule


def _reader_of(family: str) -> Callable[[ConfigFields], dict[str, Any]] | None:
    """Return what reads models of a type, None where nothing does."""
    if family in dense.READERS:
        return dense.READERS[family]
    from perfmodel.specifications.huggingface.readers import READERS

    return READERS.get(family)


def _known_types() -> tuple[str, ...]:
    from perfmodel.specifications.huggingface.readers import KNOWN_TYPES

    return KNOWN_TYPES


def model_from_config(config: dict[str, Any], *, name: str, source: str, where: str, **described: Any) -> Model:
    """Return the Model that a config object describes.

    config: the object of a config.json, or the [config] table of a model file.
    where: the file, for messages. described: further fields of Model that the config does not hold.
    Raises SpecificationError for an unknown model_type or a key that is missing, wrong or not understood.
    """
    family = config.get("model_type")
    head, nested = head_of(config, where), False
    towers: tuple[Tower, ...] = ()
    if isinstance(family, str) and _reader_of(family) is None and family in _known_types():
        from perfmodel.specifications.huggingface.wrappers import unwrapped

        config, family, where, towers = unwrapped(config, family, where)
        nested = True
    if head:
        family = "llama"
    if family == "llada" and "num_experts" in config:
        family = "llada_moe"
    reader = _reader_of(family) if isinstance(family, str) else None
    if reader is None or not isinstance(family, str):
        found = "has no model_type" if family is None else f"model_type: {shown(family)} is not known"
        known = _known_types()
        raise SpecificationError(
            f"{where}: {found}{nearest(str(family), known)}; docs/models.md lists the {len(known)} that are"
        )
    config = with_usual_names(config, family)
    fields = ConfigFields(config, where, usual_defaults(family_of(family, nested=nested), family))
    dtype = "dtype" if fields.has("dtype") else "torch_dtype"
    plain = storage_format(fields.text(dtype, "bf16"), f"{where}: {dtype}").name
    published = _published(fields, plain)
    hidden = fields.integer("hidden_size", most=1_000_000)
    shape = read_eagle(fields, head) if head else reader(fields)
    vocabulary = fields.integer("vocab_size", default=shape.pop("vocabulary_default", None), most=100_000_000)
    vocabulary = shape.pop("vocabulary", vocabulary)
    # A draft head has no table of its own.
    tied = fields.flag("tie_word_embeddings", default=shape.pop("tied_default", False)) or bool(head)
    longest = config.get("max_position_embeddings")
    fields.finish(family)
    kept = plain if plain in ("bf16", "fp16", "fp32") else "bf16"
    return Model(
        name=name,
        source=source,
        family=family,
        hidden=hidden,
        vocabulary=vocabulary,
        tied=tied,
        weight_format=published.plain,
        recipe=_with_experts(fields, published, plain),
        kv_format=published.kv or kept,
        activations=kept,
        towers=(*shape.pop("towers", ()), *towers),
        notes=(*shape.pop("notes", ()), *described.pop("notes", ())),
        longest_context=longest if isinstance(longest, int) and longest > 0 else None,
        **shape,
        **({"title": name} | described),
    )


# MLX writes both `quantization` and `quantization_config`, or the first alone.
_QUANTISED = ("quantization_config", "compression_config", "quantization")


def _published(fields: ConfigFields, plain: str) -> Published:
    """Return the formats a config is published in; `plain` is that of what is not quantised."""
    block = next((found for key in _QUANTISED if (found := fields.table(key))), None)
    if not block:
        return Published(plain)
    from perfmodel.specifications.huggingface.quantisation import read_quantisation  # with the readers of all methods

    return read_quantisation(block, fields.where, plain)


def _with_experts(fields: ConfigFields, published: Published, plain: str) -> Recipe | None:
    """Return the recipe of a checkpoint, with the format that DeepSeek-V4 names for its experts alone."""
    if not fields.has("expert_dtype"):
        return published.recipe
    known = {"fp4": "mxfp4", "fp8": "fp8", "bf16": "bf16", "bfloat16": "bf16"}
    name = fields.text("expert_dtype", "")
    if name not in known:
        raise SpecificationError(
            f"{fields.where}: expert_dtype: {shown(name)} is not known{nearest(name, known)}; {', '.join(known)} are"
        )
    recipe = published.recipe or Recipe(plain=plain, rules=())
    return msgspec.structs.replace(recipe, rules=(*recipe.rules, Rule(known[name], (EXPERTS,))))
