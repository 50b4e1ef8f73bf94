"""The way from a config object to a Model: which reader a model_type has, and what all families share."""

from collections.abc import Callable
from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.huggingface import classic, cousins, dense, gpts, hybrids, mixtures
from perfmodel.specifications.huggingface.fields import Fields
from perfmodel.specifications.huggingface.quantisation import published_formats
from perfmodel.specifications.model import Model

_READERS: dict[str, Callable[[Fields], dict[str, Any]]] = {
    "baichuan": cousins.read_baichuan,
    "bloom": gpts.read_bloom,
    "chatglm": cousins.read_chatglm,
    "cohere": cousins.read_cohere,
    "cohere2": dense.read_cohere2,
    "deepseek_v2": mixtures.read_deepseek,
    "deepseek_v3": mixtures.read_deepseek,
    "deepseek_v32": mixtures.read_deepseek,
    "falcon": classic.read_falcon,
    "gemma": dense.read_gemma,
    "gemma2": dense.read_gemma2,
    "gemma3_text": dense.read_gemma3,
    "gemma3n_text": dense.read_gemma3n,
    "glm4_moe": mixtures.read_glm4_moe,
    "glm_moe_dsa": mixtures.read_deepseek,
    "gpt2": gpts.read_gpt2,
    "gpt_bigcode": gpts.read_gpt2,
    "gpt_neox": classic.read_gpt_neox,
    "gpt_oss": mixtures.read_gpt_oss,
    "gptj": gpts.read_gptj,
    "granite": dense.read_granite,
    "granitemoe": mixtures.read_granitemoe,
    "hunyuan": mixtures.read_hunyuan,
    "hunyuan_v1_moe": mixtures.read_hunyuan,
    "internlm2": cousins.read_internlm2,
    "jamba": hybrids.read_jamba,
    "kimi_k2": mixtures.read_deepseek,
    "llama": dense.read_llama,
    "llama4_text": mixtures.read_llama4,
    "mamba2": hybrids.read_mamba2,
    "minimax_m2": mixtures.read_minimax_m2,
    "mistral": dense.read_mistral,
    "mixtral": mixtures.read_mixtral,
    "mpt": gpts.read_mpt,
    "nemotron_h": hybrids.read_nemotron_h,
    "olmo": cousins.read_olmo,
    "olmo2": dense.read_olmo2,
    "olmoe": mixtures.read_olmoe,
    "opt": classic.read_opt,
    "phi": gpts.read_phi,
    "phi3": dense.read_phi3,
    "qwen2": dense.read_qwen2,
    "qwen2_moe": mixtures.read_qwen2_moe,
    "qwen3": dense.read_qwen3,
    "qwen3_5_moe_text": hybrids.read_qwen3_next,
    "qwen3_5_text": hybrids.read_qwen3_5,
    "qwen3_moe": mixtures.read_qwen3_moe,
    "qwen3_next": hybrids.read_qwen3_next,
    "smollm3": dense.read_smollm3,
    "stablelm": cousins.read_stablelm,
    "starcoder2": cousins.read_starcoder2,
}
# Types whose decoder is described in a nested text_config, and the type it has there when it does not say.
_NESTED = {
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "kimi_k25": "kimi_k2",
    "llama4": "llama4_text",
    "mistral3": "mistral",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
}
KNOWN_TYPES = tuple(sorted([*_READERS, *_NESTED]))


def model_from_config(config: dict[str, Any], *, name: str, source: str, where: str, **described: Any) -> Model:
    """Return the Model that a config object describes.

    config: the object of a config.json, or the [config] table of a model file.
    where: the file, for messages. described: further fields of Model that the config does not hold.
    Raises SpecificationError for an unknown model_type or a key that is missing, wrong or not understood.
    """
    family = config.get("model_type")
    if isinstance(family, str) and family in _NESTED:
        config, where = _nested(config, family, where), f"{where}: text_config"
        family = config["model_type"]
    if not isinstance(family, str) or family not in _READERS:
        found = "has no model_type" if family is None else f"model_type: {shown(family)} is not known"
        raise SpecificationError(
            f"{where}: {found}{nearest(str(family), KNOWN_TYPES)}; known are {', '.join(KNOWN_TYPES)}"
        )
    config = gpts.with_usual_names(config, family)
    fields = Fields(config, where)
    dtype = "dtype" if fields.has("dtype") else "torch_dtype"
    plain = storage_format(fields.text(dtype, "bf16"), f"{where}: {dtype}").name
    published = published_formats(fields, plain)
    hidden = fields.integer("hidden_size", most=1_000_000)
    shape = _READERS[family](fields)
    vocabulary = fields.integer("vocab_size", default=shape.pop("vocabulary_default", None), most=100_000_000)
    tied = fields.flag("tie_word_embeddings", default=shape.pop("tied_default", False))
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
        recipe=published.recipe,
        kv_format=published.kv or kept,
        activations=kept,
        longest_context=longest if isinstance(longest, int) and longest > 0 else None,
        **shape,
        **({"title": name} | described),
    )


def _nested(config: dict[str, Any], family: str, where: str) -> dict[str, Any]:
    """Return the text_config of a model with other parts, which share its dtype, tying and quantisation."""
    inner = config.get("text_config")
    if not isinstance(inner, dict):
        raise SpecificationError(f"{where}: has no text_config, in which {family} describes its decoder")
    shared = {
        key: config[key]
        for key in (
            "torch_dtype",
            "dtype",
            "tie_word_embeddings",
            "quantization_config",
            "compression_config",
            "quantization",
        )
        if config.get(key) is not None
    }
    return shared | {"model_type": _NESTED[family]} | inner
