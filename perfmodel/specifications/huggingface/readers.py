"""What reads each model_type: loaded with the first model that is not one of the dense decoders."""

from collections.abc import Callable
from functools import partial
from typing import Any

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
from perfmodel.specifications.huggingface.families import DECODERS
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.wrappers import FLAT, THINKERS, WRAPPERS

READERS: dict[str, Callable[[ConfigFields], dict[str, Any]]] = {
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
    "deepseek_v2": firstdense.read_deepseek,
    "deepseek_v3": firstdense.read_deepseek,
    "deepseek_v32": firstdense.read_deepseek,
    "falcon": classic.read_falcon,
    "glm4_moe": firstdense.read_glm4_moe,
    "glm_moe_dsa": firstdense.read_deepseek,
    "gpt2": gpts.read_gpt2,
    "gpt_bigcode": gpts.read_gpt2,
    "gpt_neox": classic.read_gpt_neox,
    "gpt_oss": mixtures.read_gpt_oss,
    "gptj": gpts.read_gptj,
    "granitemoe": mixtures.read_granitemoe,
    "hunyuan": mixtures.read_hunyuan,
    "hunyuan_v1_moe": partial(mixtures.read_hunyuan, modern=True),
    "internlm2": cousins.read_internlm2,
    "jamba": hybrids.read_jamba,
    "kimi_k2": firstdense.read_deepseek,
    "llama4_text": mixtures.read_llama4,
    "mamba2": hybrids.read_mamba2,
    "minimax_m2": mixtures.read_minimax_m2,
    "mixtral": mixtures.read_mixtral,
    "mpt": gpts.read_mpt,
    "nemotron_h": nemotron.read_nemotron_h,
    "olmo": cousins.read_olmo,
    "olmoe": mixtures.read_olmoe,
    "opt": classic.read_opt,
    "phi": gpts.read_phi,
    "qwen2_moe": mixtures.read_qwen2_moe,
    "qwen3_5_moe_text": hybrids.read_qwen3_next,
    "qwen3_5_text": hybrids.read_qwen3_5,
    "qwen3_moe": mixtures.read_qwen3_moe,
    "qwen3_next": hybrids.read_qwen3_next,
    "rwkv": rwkv.read_rwkv,
    "rwkv5": rwkv.read_rwkv5,
    "rwkv6": rwkv.read_rwkv6,
    "rwkv7": rwkv.read_rwkv7,
    "stablelm": cousins.read_stablelm,
    "starcoder2": cousins.read_starcoder2,
    "whisper": whisper.read_whisper,
}
READERS |= {name: partial(read_decoder, family=family) for name, family in DECODERS.items()}
READERS |= dense.READERS | diffusion.READERS | earlier.READERS
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
READERS |= {name: READERS[same] for name, same in _SAME.items() if same in READERS}
DECODER_TYPES = tuple(sorted(READERS))
KNOWN_TYPES = tuple(sorted({*READERS, *WRAPPERS, *FLAT, *THINKERS}))
