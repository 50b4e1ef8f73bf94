"""Counts of a model that `transformers` builds: parameters by part, cache, recurrent state, windows,
multiplications of a step."""

import re
import warnings
from collections import Counter
from typing import Any

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.oracle.tiny import CLASSES

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()

# Numbers that a checkpoint holds and a step uses, although they are no parameters to `transformers`.
_CORRECTIONS = re.compile(r"correction_bias|expert_bias|layer_scalar")
_PARTS = (
    (
        "tower",
        r"vision|visual|audio|projector|connector|image_newline|image_embed|encoder\.(?!.*decoder)|qformer|query_tokens|language_projection|aligner|generation_|resampler|merger|acoustic|semantic|vqmodel|image_tower|video_tower",
    ),
    ("embedding", r"(embed_tokens|wte|word_embeddings|embed_in|tokens_embed|embeddings)\.weight$"),
    ("head", r"^(language_model\.)?(lm_head|embed_out|score|head)\."),
    ("shared", r"shared_expert(s)?\.|shared_mlp\.|share_expert\."),
    ("experts", r"\.experts\."),
)


def built(config: Any, model_type: str, device: str) -> Any:
    """Return the model of a config object on a device, in 32 bits."""
    config._attn_implementation = "eager"
    with torch.device(device):
        return getattr(transformers, CLASSES[model_type])(config).eval()


def config_of(table: dict[str, Any]) -> Any:
    """Return the config object of what a config.json holds."""
    return CONFIG_MAPPING[table["model_type"]].from_dict(table)


def parameters(model: Any, *, whole: bool = False) -> dict[str, int]:
    """Return the parameters by part; tied ones once. whole: it has towers."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    buffers = ((name, tensor) for name, tensor in model.named_buffers() if _CORRECTIONS.search(name))
    for name, tensor in [*model.named_parameters(), *buffers]:
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        found[part_of(name, whole=whole)] += tensor.numel()
    return dict(sorted(found.items()))


def part_of(name: str, *, whole: bool) -> str:
    """Return the part that a parameter belongs to by its name."""
    for part, pattern in _PARTS:
        if (whole or part != "tower") and re.search(pattern, name):
            return part
    return "rest"


def windows(config: Any) -> list[list[int | None]]:
    """Return the sliding windows of the caches of all layers with one, [tokens, layers],
    None for caches of all tokens."""
    layers = DynamicCache(config=config).layers
    kept = [layer for layer in layers if not hasattr(layer, "recurrent_states") or hasattr(layer, "keys")]
    counted = Counter(getattr(layer, "sliding_window", None) for layer in kept)
    return sorted(([window, count] for window, count in counted.items()), key=str)


def _tensors(cache: Any, *, recurrent: bool) -> int:
    total = 0
    for layer in cache.layers:
        for name, value in vars(layer).items():
            state = "conv" in name or "recurrent" in name
            if state is recurrent:
                total += _elements(value)
    return total


def _elements(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() if value.is_floating_point() else 0
    if isinstance(value, dict):
        return sum(_elements(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return sum(_elements(entry) for entry in value)
    return 0


def step(model: Any, context: int) -> dict[str, int]:
    """Return cache and state elements behind `context` tokens,
    and the FLOPs of multiplications of the step that follows."""
    tokens = torch.randint(1, 100, (1, context + 1))
    with torch.no_grad():
        first = model(input_ids=tokens[:, :context], use_cache=True)
        cache = getattr(first, "past_key_values", None) or getattr(first, "cache_params", None) or first.cache
        found = {
            "context": context,
            "cache": _tensors(cache, recurrent=False),
            "state": _tensors(cache, recurrent=True),
        }
        with FlopCounterMode(display=False) as counter:
            model(input_ids=tokens[:, context:], past_key_values=cache, use_cache=True)
    return found | {"flops": counter.get_total_flops()}
