"""The way from a config object to a Model: which reader a model_type has, and what all families share."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.huggingface import (
    classic,
    cousins,
    deepseek4,
    dense,
    diffusion,
    earlier,
    firstdense,
    gemma4,
    gpts,
    hybrids,
    mixtures,
    nemotron,
    recent,
    recurrent,
    rwkv,
    statespaces,
    uneven,
    whisper,
)
from perfmodel.specifications.huggingface.decoders import read_decoder
from perfmodel.specifications.huggingface.defaults import family_of
from perfmodel.specifications.huggingface.families import DECODERS
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.heads import head_of, read_eagle
from perfmodel.specifications.huggingface.quantisation import Published, published_formats
from perfmodel.specifications.huggingface.wrappers import FLAT, THINKERS, WRAPPERS, unwrapped
from perfmodel.specifications.model import Model, Tower
from perfmodel.specifications.recipes import EXPERTS, Recipe, Rule

_READERS: dict[str, Callable[[ConfigFields], dict[str, Any]]] = {
    "baichuan": cousins.read_baichuan,
    "bailing_hybrid": recurrent.read_bailing_hybrid,
    "bamba": statespaces.read_bamba,
    "deepseek_v4": deepseek4.read_deepseek_v4,
    "falcon_h1": statespaces.read_falcon_h1,
    "falcon_mamba": statespaces.read_mamba,
    "gemma4_text": gemma4.read_gemma4,
    "granitemoehybrid": statespaces.read_granitemoehybrid,
    "kimi_linear": recurrent.read_kimi_linear,
    "lfm2": recurrent.read_lfm2,
    "laguna": recent.read_laguna,
    "lara_mini": recent.read_lara_mini,
    "lfm2_moe": recurrent.read_lfm2_moe,
    "lfm3": recent.read_lfm3,
    "mimo_v2_flash": recent.read_mimo_v2,
    "mimo": dense.read_mimo,
    "minimax_m3": recent.read_minimax_m3,
    "minimax_m3_vl_text": recent.read_minimax_m3,
    "step3p5": recent.read_step3p5,
    "mamba": statespaces.read_mamba,
    "minimax": recurrent.read_minimax,
    "olmo_hybrid": recurrent.read_olmo_hybrid,
    "bloom": gpts.read_bloom,
    "ernie4_5_vl_moe_text": uneven.read_ernie4_5_vl,
    "longcat_flash": uneven.read_longcat_flash,
    "mllama_text_model": uneven.read_mllama,
    "nemotron-nas": uneven.read_nemotron_nas,
    "chatglm": cousins.read_chatglm,
    "cohere": cousins.read_cohere,
    "cohere2": dense.read_cohere2,
    "deepseek_v2": firstdense.read_deepseek,
    "deepseek_v3": firstdense.read_deepseek,
    "deepseek_v32": firstdense.read_deepseek,
    "falcon": classic.read_falcon,
    "gemma": dense.read_gemma,
    "gemma2": dense.read_gemma2,
    "gemma3_text": dense.read_gemma3,
    "gemma3n_text": dense.read_gemma3n,
    "glm4_moe": firstdense.read_glm4_moe,
    "glm_moe_dsa": firstdense.read_deepseek,
    "gpt2": gpts.read_gpt2,
    "gpt_bigcode": gpts.read_gpt2,
    "gpt_neox": classic.read_gpt_neox,
    "gpt_oss": mixtures.read_gpt_oss,
    "gptj": gpts.read_gptj,
    "granite": dense.read_granite,
    "granitemoe": mixtures.read_granitemoe,
    "hunyuan": mixtures.read_hunyuan,
    "hunyuan_v1_moe": partial(mixtures.read_hunyuan, modern=True),
    "internlm2": cousins.read_internlm2,
    "jamba": hybrids.read_jamba,
    "kimi_k2": firstdense.read_deepseek,
    "llama": dense.read_llama,
    "llama4_text": mixtures.read_llama4,
    "mamba2": hybrids.read_mamba2,
    "minimax_m2": mixtures.read_minimax_m2,
    "mistral": dense.read_mistral,
    "mixtral": mixtures.read_mixtral,
    "mpt": gpts.read_mpt,
    "nemotron_h": nemotron.read_nemotron_h,
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
    "rwkv": rwkv.read_rwkv,
    "rwkv5": rwkv.read_rwkv5,
    "rwkv6": rwkv.read_rwkv6,
    "rwkv7": rwkv.read_rwkv7,
    "smollm3": dense.read_smollm3,
    "stablelm": cousins.read_stablelm,
    "starcoder2": cousins.read_starcoder2,
    "whisper": whisper.read_whisper,
}
_READERS |= {name: partial(read_decoder, family=family) for name, family in DECODERS.items()}
_READERS |= diffusion.READERS | earlier.READERS
# Types that other types are read as.
_SAME = {
    "hunyuan_vl_text": "hunyuan_v1_dense",
    "paddleocr_vl_text": "ernie4_5",
    "qwen2_5_omni_text": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen2_vl_text": "qwen2",
    "qwen3_omni_moe_text": "qwen3_moe",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen3_vl_text": "qwen3",
    "glm4v_moe_text": "glm4_moe",
    "gemma4_unified_text": "gemma4_text",
    "sarvam_mla": "deepseek_v3",
}
_READERS |= {name: _READERS[same] for name, same in _SAME.items() if same in _READERS}
DECODER_TYPES = tuple(sorted(_READERS))
KNOWN_TYPES = tuple(sorted({*_READERS, *WRAPPERS, *FLAT, *THINKERS}))


def model_from_config(config: dict[str, Any], *, name: str, source: str, where: str, **described: Any) -> Model:
    """Return the Model that a config object describes.

    config: the object of a config.json, or the [config] table of a model file.
    where: the file, for messages. described: further fields of Model that the config does not hold.
    Raises SpecificationError for an unknown model_type or a key that is missing, wrong or not understood.
    """
    family = config.get("model_type")
    head, nested = head_of(config, where), False
    towers: tuple[Tower, ...] = ()
    if isinstance(family, str) and family in KNOWN_TYPES and family not in _READERS:
        config, family, where, towers = unwrapped(config, family, where)
        nested = True
    if head:
        family = "llama"
    if family == "llada" and "num_experts" in config:
        family = "llada_moe"
    if not isinstance(family, str) or family not in _READERS:
        found = "has no model_type" if family is None else f"model_type: {shown(family)} is not known"
        raise SpecificationError(
            f"{where}: {found}{nearest(str(family), KNOWN_TYPES)}; docs/models.md lists the {len(KNOWN_TYPES)} that are"
        )
    config = gpts.with_usual_names(config, family)
    fields = ConfigFields(config, where, gpts.usual_defaults(family_of(family, nested=nested), family))
    dtype = "dtype" if fields.has("dtype") else "torch_dtype"
    plain = storage_format(fields.text(dtype, "bf16"), f"{where}: {dtype}").name
    published = published_formats(fields, plain)
    hidden = fields.integer("hidden_size", most=1_000_000)
    shape = read_eagle(fields, head) if head else _READERS[family](fields)
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
