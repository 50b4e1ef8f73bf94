"""The quantization_config of a config.json: which storage format the matrices, experts and head are published in."""

import msgspec

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.huggingface.fields import Fields

_METHODS = ("awq", "bitsandbytes", "compressed-tensors", "fp8", "gptq", "mxfp4")
_GROUPED = {(4, 128): "int4", (4, 64): "int4-g64", (4, 32): "int4-g32", (3, 128): "int3", (2, 128): "int2"}


class Published(msgspec.Struct, frozen=True):
    """Published storage formats: of matrices, and of routed experts and LM head where they differ."""

    weights: str
    experts: str | None = None
    head: str | None = None


def published_formats(fields: Fields, plain: str) -> Published:
    """Return the formats a config is published in; `plain` is that of what is not quantised.

    Raises SpecificationError for a method or a layout that is not known.
    """
    block = fields.table("quantization_config") or fields.table("compression_config")
    if not block:
        return Published(plain)
    inner = Fields(block, f"{fields.where}: quantization_config")
    method = inner.text("quant_method", "")
    if method == "mxfp4":
        # Only the experts are converted; everything else is listed as left alone.
        return Published(plain, experts="mxfp4")
    if method == "fp8":
        return Published("fp8-block128" if _is_block(inner) else "fp8", head=plain)
    if method in ("gptq", "awq"):
        bits = inner.integer("bits", default=inner.integer("w_bit", required=False), most=16)
        group = inner.integer("group_size", default=inner.integer("q_group_size", default=128), least=-1)
        return Published(_grouped(inner, bits, group), head=plain)
    if method == "compressed-tensors":
        stored = _compressed(inner)
        # Where attention is left alone, it is a mixture whose routed experts alone are converted.
        return (
            Published(plain, experts=stored)
            if any("self_attn" in name for name in inner.texts("ignore") or ())
            else Published(stored, head=plain)
        )
    if method == "bitsandbytes":
        return Published("nf4" if inner.flag("load_in_4bit", default=False) else "llm-int8", head=plain)
    raise SpecificationError(
        f"{inner.where}: quant_method: {shown(method)} is not known{nearest(method, _METHODS)}; known are"
        f" {', '.join(_METHODS)}"
    )


def _is_block(inner: Fields) -> bool:
    size = inner.integers("weight_block_size")
    if size is not None and size != [128, 128]:
        raise SpecificationError(f"{inner.where}: weight_block_size: {shown(size)} is not known; [128, 128] is")
    return size is not None


def _grouped(inner: Fields, bits: int, group: int) -> str:
    if bits == 8:
        return "int8"
    # A group of -1 is a whole column: its scales are negligible, but the format that is listed is the nearest.
    found = _GROUPED.get((bits, 128 if group == -1 else group))
    if found is None:
        raise SpecificationError(
            f"{inner.where}: {bits} bits in groups of {group} are not known; known are"
            f" {', '.join(f'{b} bits in {g}' for b, g in _GROUPED)}"
        )
    return found


def _compressed(inner: Fields) -> str:
    groups = inner.table("config_groups") or {}
    first = next(iter(groups.values()), None)
    if not isinstance(first, dict) or not isinstance(first.get("weights"), dict):
        raise SpecificationError(f"{inner.where}: config_groups: expected a group with weights")
    weights = Fields(first["weights"], f"{inner.where}: config_groups")
    bits = weights.integer("num_bits", most=16)
    if weights.text("type", "int") == "float":
        return {8: "fp8", 4: "nvfp4"}.get(bits) or _refuse(weights, bits)
    return _grouped(weights, bits, weights.integer("group_size", default=-1, least=-1))


def _refuse(weights: Fields, bits: int) -> str:
    raise SpecificationError(f"{weights.where}: num_bits: floats of {bits} bits are not known; 8 and 4 are")
