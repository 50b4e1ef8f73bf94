"""Models with parts beside their decoder: its own config, and the towers that make tokens of pictures and sound."""

from typing import Any

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.defaults import family_of
from perfmodel.specifications.huggingface.towers import towers_of
from perfmodel.specifications.model import Tower

# Types whose decoder is described in a part, and the type it has there when it does not say.
WRAPPERS = {
    "apertus1p5": "apertus1p5_text",
    "aria": "aria_text",
    "aya_vision": "cohere2",
    "blip-2": "opt",
    "cohere2_vision": "cohere2",
    "cosmos3_omni": "qwen3_vl_text",
    "deepseek_vl": "llama",
    "deepseek_vl_hybrid": "llama",
    "emu3": "emu3_text_model",
    "ernie4_5_vl_moe": "ernie4_5_vl_moe_text",
    "exaone4_5": "exaone4",
    "fast_vlm": "qwen2",
    "fun_asr_nano": "qwen3",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "gemma4_unified": "gemma4_unified_text",
    "glm46v": "glm4v_text",
    "glm4v": "glm4v_text",
    "glm4v_moe": "glm4v_moe_text",
    "glm_ocr": "glm_ocr_text",
    "glmasr": "llama",
    "glmga": "glm4v_text",
    "got_ocr2": "qwen2",
    "granite4_vision": "granite4_vision_text",
    "granite_docling": "granite_docling_text",
    "granite_speech": "granite",
    "granite_speech_plus": "granite",
    "hunyuan_vl": "hunyuan_vl_text",
    "hyperclovax_vision_v2": "hyperclovax",
    "idefics2": "mistral",
    "idefics3": "llama",
    "instructblip": "opt",
    "instructblipvideo": "opt",
    "internvl": "qwen2",
    "janus": "llama",
    "kimi_k25": "deepseek_v3",
    "kimi_k3": "kimi_linear",
    "lfm2_vl": "lfm2",
    "lfm3_vl": "lfm3",
    "lighton_ocr": "qwen3",
    "llama4": "llama4_text",
    "llava": "llama",
    "llava_next": "llama",
    "llava_next_video": "llama",
    "llava_onevision": "qwen2",
    "minicpm_ocr": "qwen3_5_text",
    "minicpmv4_6": "qwen3_5_text",
    "minicpmv4_7": "qwen3_5_text",
    "minimax_m3_vl": "minimax_m3_vl_text",
    "mistral3": "mistral",
    "mllama": "mllama_text_model",
    "moss_transcribe_diarize": "qwen3",
    "nemo_speechlm": "nemotron_h",
    "nemotron_h_omni": "nemotron_h",
    "omniasr": "llama",
    "ovis2": "qwen2",
    "paddleocr_vl": "paddleocr_vl_text",
    "paligemma": "gemma",
    "perception_lm": "llama",
    "pp_chart2table": "qwen2",
    "qianfan_ocr": "qwen3",
    "qwen2_5_omni_thinker": "qwen2_5_omni_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen2_audio": "qwen2",
    "qwen2_vl": "qwen2_vl_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "qwen3_asr": "qwen3",
    "qwen3_omni_moe_thinker": "qwen3_omni_moe_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "shieldgemma2": "gemma3_text",
    "smolvlm": "llama",
    "step3p7": "step3p5",
    "vibevoice_asr": "qwen2",
    "video_llama_3": "qwen2",
    "video_llava": "llama",
    "vipllava": "llama",
    "voxtral": "llama",
}
# Configs with the keys of the decoder beside those of the towers.
FLAT = {"phi4_multimodal": "phi3", "phi4mm": "phi3", "qwen2_vl": "qwen2_vl_text", "qwen2_5_vl": "qwen2_5_vl_text"}
# Types that wrap another wrapper: the part that generates text.
THINKERS = {
    "qwen2_5_omni": ("thinker_config", "qwen2_5_omni_thinker"),
    "qwen3_omni_moe": ("thinker_config", "qwen3_omni_moe_thinker"),
}
_SHARED = ("torch_dtype", "dtype", "tie_word_embeddings", "quantization_config", "compression_config", "quantization")
# Keys of a flat config that belong to the towers, their adapters or the processor.
_TOWER_KEYS = (
    "vision_config",
    "audio_config",
    "embd_layer",
    "img_processor",
    "audio_processor",
    "vision_lora",
    "speech_lora",
    "image_token_id",
    "video_token_id",
)


def unwrapped(config: dict[str, Any], family: str, where: str) -> tuple[dict[str, Any], str, str, tuple[Tower, ...]]:
    """Return the config of the decoder, its model_type, where it stands, and the towers beside it.

    Raises SpecificationError where the decoder is not described.
    """
    if family in THINKERS:
        key, family = THINKERS[family]
        inner = config.get(key)
        if not isinstance(inner, dict):
            raise SpecificationError(f"{where}: has no {key}, in which the part that writes text is described")
        config, where = _sharing(config, inner), f"{where}: {key}"
    if family not in WRAPPERS and family not in FLAT:
        return config, family, where, ()
    inner = config.get("text_config", config.get("llm_config"))
    if inner is None and family in FLAT:
        kept = {key: value for key, value in config.items() if key not in _TOWER_KEYS}
        return kept | {"model_type": FLAT[family]}, FLAT[family], where, towers_of(config, kept, family, where)
    if (
        inner is None
        and isinstance(config.get("vision_config"), dict | None)
        and family in WRAPPERS
        and family_of(family).parts
    ):
        inner = {}
    if not isinstance(inner, dict):
        raise SpecificationError(f"{where}: has no text_config, in which {family} describes its decoder")
    decoder = _sharing(config, {"model_type": WRAPPERS.get(family, FLAT.get(family)), **inner})
    tied = family_of(family).defaults.get("tie_word_embeddings")
    if tied is not None and not any("tie_word_embeddings" in part for part in (config, inner)):
        decoder["tie_word_embeddings"] = tied
    return decoder, decoder["model_type"], f"{where}: text_config", towers_of(config, decoder, family, where)


def _sharing(config: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a part.

    What is said of the whole applies where the part does not say otherwise; tying is the whole's.
    """
    shared = {key: config[key] for key in _SHARED if config.get(key) is not None}
    tied = {key: shared[key] for key in ("tie_word_embeddings",) if key in shared}
    return shared | inner | tied
