"""The quantization_config of a config.json: a recipe that says in which format each module is stored, or a refusal."""

from collections.abc import Callable
from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.huggingface import converters
from perfmodel.specifications.huggingface.layouts import (
    Settings,
    cache_format,
    compressed_weights,
    floats,
    fp8_block,
    integers,
    targets,
    texts_of,
)
from perfmodel.specifications.huggingface.torchao import read_torchao
from perfmodel.specifications.recipes import EXPERTS, LINEAR, Published, Recipe, Rule

_HEAD = ("lm_head",)


def read_quantisation(block: dict[str, Any], where: str, plain: str) -> Published:
    """Return the formats that the table `block` of a config says; `plain` is that of what is not quantised.

    where: the file, for messages. Raises SpecificationError for a method or a layout that is not known.
    """
    inner = Settings(block, f"{where}: quantization_config")
    method = inner.text("quant_method", "mlx" if {"group_size", "bits"} <= set(block) else "").replace("_", "-")
    # Engines name methods after their kernels too.
    method = method.removeprefix("intel/").removesuffix("-marlin")
    method = "modelopt" if method.startswith("modelopt") else method
    reader = _READERS.get(method)
    if reader is None:
        raise SpecificationError(
            f"{inner.where}: quant_method: {shown(method)} is not known{nearest(method, _READERS)}; known are"
            f" {', '.join(_READERS)}"
        )
    rules, ignored = reader(inner, plain)
    scheme = next((found for key in _CACHE_KEYS if (found := inner.anything(key)) is not None), None)
    checked = tuple(Rule(rule.format, targets(inner, list(rule.targets))) for rule in rules)
    recipe = Recipe(plain=plain, rules=checked, ignored=targets(inner, list(ignored)), said=method)
    return Published(plain, recipe, converters.quark_cache(inner) if method == "quark" else cache_format(inner, scheme))


_CACHE_KEYS = ("kv_cache_scheme", "kv_cache_quant_algo")

# What a reader returns: rules, and the names that no rule may convert.
Read = tuple[list[Rule], list[str]]


def _mxfp4(inner: Settings, _plain: str) -> Read:
    # Only the experts are converted; everything else is listed as left alone.
    return [Rule("mxfp4", (EXPERTS,))], texts_of(inner, "modules_to_not_convert")


def _fp8(inner: Settings, _plain: str) -> Read:
    block = inner.integers("weight_block_size")
    stored = "fp8" if block is None else fp8_block(inner, block)
    return [Rule(stored, (LINEAR,))], [*_HEAD, *texts_of(inner, "modules_to_not_convert", "ignored_layers")]


def _group(inner: Settings, default: int = 128) -> int:
    return int(inner.integer("group_size", default=inner.integer("q_group_size", default=default, least=-1), least=-1))


def _bits(inner: Settings) -> int:
    bits = inner.integer("bits", default=inner.integer("w_bit", required=False), most=16)
    if bits not in (2, 3, 4, 8):
        raise SpecificationError(f"{inner.where}: bits: {bits} are not known; 2, 3, 4 and 8 are")
    return int(bits)


def _awq(inner: Settings, _plain: str) -> Read:
    stored = integers(inner, _bits(inner), _group(inner), symmetric=not inner.flag("zero_point", default=True))
    return [Rule(stored, (LINEAR,))], [*_HEAD, *texts_of(inner, "modules_to_not_convert")]


def _gptq(inner: Settings, _plain: str) -> Read:
    bits = _bits(inner)
    group, symmetric = _group(inner), inner.flag("sym", default=False)
    stored = integers(inner, bits, group, symmetric=symmetric)
    only = texts_of(inner, "modules_in_block_to_quantize")
    rules, ignored = [Rule(stored, tuple(only) or (LINEAR,))], texts_of(inner, "modules_to_not_convert")
    for pattern, changed in (inner.table("dynamic") or {}).items():
        # "-:" leaves modules alone, "+:" or nothing gives them numbers of their own.
        name = f"re:{pattern.removeprefix('+:').removeprefix('-:')}"
        if pattern.startswith("-:"):
            ignored.append(name)
            continue
        own = Settings(changed if isinstance(changed, dict) else {}, f"{inner.where}: dynamic")
        width = own.integer("bits", default=bits, most=16)
        rules.append(
            Rule(
                integers(
                    own, width, own.integer("group_size", default=group, least=-1), symmetric=own.flag("sym", symmetric)
                ),
                (name,),
            )
        )
    return rules, ignored if inner.flag("lm_head", default=False) else [*_HEAD, *ignored]


def _auto_round(inner: Settings, _plain: str) -> Read:
    bits, group = inner.integer("bits", most=16), inner.integer("group_size", default=128, least=-1)
    kind, symmetric = inner.text("data_type", "int"), inner.flag("sym", default=True)

    def stored(table: Settings, width: int, size: int, even: bool) -> str:
        name = table.text("data_type", kind)
        if name.startswith("int"):
            return integers(table, width, size, symmetric=even)
        return floats(table, width, size if name.startswith(("mx", "nv")) else None)

    rules, ignored = [Rule(stored(inner, bits, group, symmetric), (LINEAR,))], list(_HEAD)
    for name, changed in (inner.table("extra_config") or {}).items():
        own = Settings(changed if isinstance(changed, dict) else {}, f"{inner.where}: extra_config: {name}")
        width = own.integer("bits", default=bits, most=32)
        target = f"re:{name}" if set(name) & set("^$[(\\|") else name
        if width >= 16:
            ignored.append(target)
            continue
        size, even = own.integer("group_size", default=group, least=-1), own.flag("sym", symmetric)
        rules.append(Rule(stored(own, width, size, even), (target,)))
        if target in _HEAD:
            ignored.remove(target)
    return rules, ignored


def _bitsandbytes(inner: Settings, _plain: str) -> Read:
    skipped = texts_of(inner, "llm_int8_skip_modules", "skip_modules", "modules_to_not_convert")
    if not inner.flag("load_in_4bit", default=False):
        return [Rule("llm-int8", (LINEAR,))], [*_HEAD, *skipped]
    twice = inner.flag("bnb_4bit_use_double_quant", default=True)
    return [Rule("nf4" if twice else "nf4-single", (LINEAR,))], [*_HEAD, *skipped]


# Two of four weights kept, with a bit for each of the four; of what they are kept in.
_SPARSE, _PACKED = "sparse-24-bitmask", ("fp8", "int8")


def _compressed(inner: Settings, _plain: str) -> Read:
    sparsity = Settings(inner.table("sparsity_config") or {}, f"{inner.where}: sparsity_config")
    packed = sparsity.text("format", "dense")
    if packed not in ("dense", _SPARSE):
        raise SpecificationError(f"{sparsity.where}: {shown(packed)} is not understood; dense and {_SPARSE} are")
    layout, rules = inner.text("format", ""), []
    groups = inner.table("config_groups")
    if not groups and packed == _SPARSE:
        sparse = tuple(converters.classes(sparsity, sparsity.texts("targets") or ["Linear"]))
        return [Rule("bf16-24", sparse)], texts_of(sparsity, "ignore") or list(_HEAD)
    if not groups:
        raise SpecificationError(f"{inner.where}: config_groups: expected a group with weights")
    for name, group in groups.items():
        where = f"{inner.where}: config_groups: {name}"
        if not isinstance(group, dict) or not ("weights" in group or "targets" in group):
            raise SpecificationError(f"{where}: expected a group with targets and weights")
        if group.get("weights") is None:
            continue  # activations alone are quantised
        table = Settings(group, where)
        weights = Settings(table.table("weights") or {}, f"{where}: weights")
        stored = compressed_weights(weights, table.text("format", layout))
        if packed == _SPARSE and stored not in _PACKED:
            raise SpecificationError(f"{sparsity.where}: {_SPARSE} of {stored} is not understood; of 8 bits a row is")
        stored = f"{stored}-24" if packed == _SPARSE else stored
        rules.append(Rule(stored, tuple(converters.classes(table, table.texts("targets") or ["Linear"]))))
    # Modules of the linear class include the head, which checkpoints list as ignored when it is; older ones list
    # nothing.
    listed = inner.texts("ignore")
    return rules, list(_HEAD) if listed is None else listed


def _fbgemm(inner: Settings, _plain: str) -> Read:
    return [Rule("fp8", (LINEAR,))], [*_HEAD, *texts_of(inner, "modules_to_not_convert")]


def _bitnet(inner: Settings, _plain: str) -> Read:
    return [Rule("bitnet", (LINEAR,))], [*_HEAD, *texts_of(inner, "modules_to_not_convert")]


_READERS: dict[str, Callable[[Settings, str], Any]] = {
    "auto-round": _auto_round,
    "awq": _awq,
    "bitnet": _bitnet,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed,
    "exl2": converters.exl,
    "exl3": converters.exl,
    "fbgemm-fp8": _fbgemm,
    "fp8": _fp8,
    "gptq": _gptq,
    "hqq": converters.hqq,
    "mlx": converters.mlx,
    "modelopt": converters.modelopt,
    "mxfp4": _mxfp4,
    "quark": converters.quark,
    "torchao": read_torchao,
}
