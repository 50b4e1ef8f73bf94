"""What the name of a kernel tells: collective, attention, or nothing."""

import re
from functools import lru_cache

_COLLECTIVE = re.compile(
    r"nccl|rccl|mscclpp|nvshmem|deep_?ep|all_?reduce|all_?gather|reduce_?scatter|all_?to_?all|cross_device_reduce"
    r"|multimem|one_?shot|two_?shot|p2p_?(send|recv)|ring_?(send|recv)",
    re.IGNORECASE,
)
_ATTENTION = re.compile(
    r"attention|attn|flash|fmha|\bmha|_mha|\bmla|_mla|sdpa|flex_decod|softmax_warp_forward|cunn_SoftMaxForward",
    re.IGNORECASE,
)
# Helpers of attention: one layer runs them beside the kernel that counts.
_HELPER = re.compile(
    r"combine|reduce|merge|segment|metadata|schedul|rotary|rope|norm|cache|convert|pre_?process|post_?process|indices"
    r"|gating|top_?k|moe|backward|_bwd",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_TEMPLATE = re.compile(r"[<(].*", re.DOTALL)


@lru_cache(maxsize=8192)
def is_collective(name: str) -> bool:
    """Whether the kernel exchanges data between devices."""
    return _COLLECTIVE.search(_stem(name)) is not None


@lru_cache(maxsize=8192)
def is_attention(name: str) -> bool:
    """Whether the kernel is the one of attention that runs once a layer."""
    stem = _stem(name)
    return _ATTENTION.search(stem) is not None and _HELPER.search(stem) is None


@lru_cache(maxsize=8192)
def family(name: str) -> str:
    """Return the name without its numbers: ProfilerStep#6 and ProfilerStep#7 are of one family."""
    return _DIGITS.sub("#", name)


@lru_cache(maxsize=8192)
def _stem(name: str) -> str:
    """Return the function name without return type, template and call arguments, which name types of other things."""
    plain = name.replace("(anonymous namespace)::", "").removeprefix("void ")
    stem = _TEMPLATE.sub("", plain)
    return stem or name
