"""What others call launch modes, software, keys of a device and models: hints for messages, never an answer."""

import re
from functools import lru_cache

from perfmodel._layout import data_folder
from perfmodel.specifications.files import read_toml

# Launch modes by other words.
_MODES = {
    "cudagraph": "graph",
    "hipgraph": "graph",
    "fullgraph": "graph",
    "queue": "stream",
    "plain": "stream",
    "persistent": "megakernel",
    "persistentkernel": "megakernel",
    "monokernel": "megakernel",
    "dependentlaunch": "pdl",
    "programmaticdependentlaunch": "pdl",
    "loop": "looped",
    "looping": "looped",
    "kernellooping": "looped",
}
# Software that no measured stack is called by.
_SOFTWARE = {
    "transformers": "framework",
    "huggingface": "framework",
    "hf": "framework",
    "torch": "framework",
    "torchcompile": "framework",
    "compile": "framework",
    "inductor": "framework",
    "trtllm": "engine",
    "tensorrt": "engine",
    "trt": "engine",
    "llamacpp": "ggml",
    "gguf": "ggml",
    "lmstudio": "ggml",
    "lmdeploy": "server",
    "xla": "compiled",
    "jax": "compiled",
    "neuron": "compiled",
}
# Keys of a device by other words; those of launch modes are the mode before's.
_KEYS = {
    "launch": "modes.graph.boundary",
    "launchlatency": "modes.graph.boundary",
    "launchoverhead": "modes.graph.boundary",
    "kernellaunch": "modes.graph.boundary",
    "bw": "memory.bandwidth",
    "membw": "memory.bandwidth",
    "memorybandwidth": "memory.bandwidth",
    "hbm": "memory.bandwidth",
    "vram": "memory.capacity",
    "hbmcapacity": "memory.capacity",
    "sms": "units.count",
    "cus": "units.count",
    "cores": "units.count",
    "sram": "on_chip.capacity",
    "l2": "on_chip.capacity",
    "smem": "on_chip.shared_per_unit",
    "flops": "arithmetic.bf16",
    "tflops": "arithmetic.bf16",
    "nvlink": "link.bandwidth",
    "pcie": "tiers.host.bandwidth",
    "watts": "power.tdp",
    "cost": "price.rental",
    "hourly": "price.rental",
    "mbu": "memory.sustained.weights",
    "efficiency": "memory.sustained.weights",
}
_CLOSED = r"(?:openai/)?(?:gpt-?[345]|chatgpt|o[134]\b)|claude|gemini|grok-?[3-9]"


def mode_meant(name: str) -> str:
    """Return a hint for a word that is no launch mode, or ''.

    >>> mode_meant("cuda-graphs"), mode_meant("vllm")
    (' (here it is graph)', '; it is software: --software server')
    """
    plain = _plain(name)
    if mode := _MODES.get(plain) or _MODES.get(plain.removesuffix("s")):
        return f" (here it is {mode})"
    kind = software_meant(name)
    return f"; it is software: --software {kind}" if kind else ""


def software_meant(name: str) -> str:
    """Return the kind of software that a stack is, or ''.

    >>> software_meant("llama.cpp"), software_meant("TensorRT-LLM"), software_meant("abc")
    ('ggml', 'engine', '')
    """
    plain = _plain(name)
    if not plain:
        return ""
    stacks = _stacks()
    known = _SOFTWARE.get(plain) or stacks.get(plain)
    # The beginning of a stack's name is enough, but for that of a launch mode: graph-and-pdl is a stack.
    begun = () if any(mode.startswith(plain) for mode in _MODES.values()) else stacks.items()
    return known or next((kind for stack, kind in begun if stack.startswith(plain)), "")


def key_meant(name: str) -> str:
    """Return the key of a device that a word means, or ''.

    >>> key_meant("launch_latency"), key_meant("SMs")
    ('modes.graph.boundary', 'units.count')
    """
    return _KEYS.get(_plain(name), "")


def is_closed(name: str) -> bool:
    """Return whether a model's shapes were never published.

    >>> is_closed("gpt-4o"), is_closed("claude-opus"), is_closed("gpt-oss-120b"), is_closed("gpt2-xl")
    (True, True, False, False)
    """
    return re.match(_CLOSED, name.strip(), re.IGNORECASE) is not None


def counted_device(name: str) -> tuple[int, str] | None:
    """Return how many devices of which name a word such as `8xh100` or `h100:8` means, None for another word.

    >>> counted_device("8xh100"), counted_device("h100-sxm:8"), counted_device("rtx-4090")
    ((8, 'h100'), (8, 'h100-sxm'), None)
    """
    text = name.strip()
    if match := re.fullmatch(r"(\d{1,5}) ?[x*] ?([a-zA-Z].*)", text):
        return int(match[1]), match[2]
    if match := re.fullmatch(r"(.*\w) ?[x*:] ?(\d{1,5})", text):
        return int(match[2]), match[1]
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=1)
def _stacks() -> dict[str, str]:
    """Return the kind of software of each measured stack."""
    table = read_toml(data_folder("validation") / "stacks.toml")["software"]
    return {_plain(stack): kind.rpartition("-")[0] for kind, stacks in table.items() for stack in stacks}
