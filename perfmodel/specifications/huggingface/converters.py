"""Quantisation methods that name formats by an algorithm or a class: ModelOpt, Quark, HQQ, MLX, ExLlama."""

from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.huggingface.layouts import Settings, compressed_weights, floats, integers, texts_of
from perfmodel.specifications.recipes import EVERYTHING, EXPERTS, LINEAR, Rule

Read = tuple[list[Rule], list[str]]
_HEAD = ["lm_head"]


def classes(table: Settings, listed: list[str]) -> list[str]:
    """Return targets with names of classes as `perfmodel.specifications.recipes` calls them."""
    found = []
    for name in listed:
        if name.startswith("re:") or "." in name or not name[:1].isupper():
            found.append(name)
        elif name.endswith("Linear") or name == "LinearBase":
            found.append(LINEAR)
        elif "Expert" in name or "MoE" in name:
            found.append(EXPERTS)
        elif name == "Embedding":
            found.append("embed_tokens")
        else:
            raise SpecificationError(
                f"{table.where}: targets: {shown(name)} is not a class of modules I know; Linear, classes of experts"
                " and Embedding are, and names"
            )
    return found


# ModelOpt's names of algorithms (modelopt/torch/export): bits, kind and group of the weights.
_ALGORITHMS = {
    "FP8": ("float", 8, None),
    "FP8_PER_CHANNEL_PER_TOKEN": ("float", 8, None),
    "FP8_PB_WO": ("block", 8, None),
    "FP8_PB_REAL": ("block", 8, None),
    "NVFP4": ("float", 4, 16),
    "NVFP4_AWQ": ("float", 4, 16),
    "NVFP4_SVDQUANT": ("float", 4, 16),
    "W4A16_NVFP4": ("float", 4, 16),
    "W4A8_NVFP4_FP8": ("float", 4, 16),
    "W4A8_MXFP4_FP8": ("float", 4, 32),
    "MXFP4": ("float", 4, 32),
    "MXFP8": ("float", 8, 32),
    "W4A8_AWQ": ("int", 4, 128),
    "W4A16_AWQ": ("int", 4, 128),
    "INT4_AWQ": ("int", 4, 128),
    "W4A8": ("int", 4, 128),
    "W4A16": ("int", 4, 128),
    "W8A8_SQ_PER_CHANNEL": ("int", 8, None),
    "INT8_SQ": ("int", 8, None),
    "W8A16": ("int", 8, None),
}
_MIXED = ("MIXED_PRECISION", "MIXED")


def _algorithm(table: Settings, name: str, group: int | None) -> str:
    found = _ALGORITHMS.get(name.upper())
    if found is None:
        raise SpecificationError(
            f"{table.where}: quant_algo: {shown(name)} is not known{nearest(name, [*_ALGORITHMS, *_MIXED])}; known are"
            f" {', '.join([*_ALGORITHMS, _MIXED[0]])}"
        )
    kind, bits, usual = found
    if kind == "block":
        return "fp8-block128"
    if kind == "int":
        # AWQ of ModelOpt is symmetric: a scale a group and no zero point.
        return integers(table, bits, group or usual, symmetric=True) if usual else "int8"
    return floats(table, bits, (group or usual) if usual else None)


def modelopt(inner: Settings, _plain: str) -> Read:
    """Read what ModelOpt writes: one algorithm, or one for each layer of a mixture, and what is excluded."""
    nested = inner.table("quantization")
    if nested:
        inner = Settings(nested, f"{inner.where}: quantization")
    name, ignored = inner.text("quant_algo", ""), texts_of(inner, "exclude_modules", "ignore")
    group = inner.integer("group_size", required=False, least=-1)
    layers, groups = inner.table("quantized_layers"), inner.table("config_groups")
    rules = []
    if name.upper() in _MIXED or (layers and not name):
        for layer, said in (layers or {}).items():
            own = Settings(said if isinstance(said, dict) else {}, f"{inner.where}: quantized_layers: {layer}")
            size = own.integer("group_size", required=False, least=-1)
            rules.append(Rule(_algorithm(own, own.text("quant_algo", ""), size), (layer,)))
        # An algorithm for each layer says by itself what is left alone, the head too where it is not among them.
        if not rules and not groups:
            raise SpecificationError(f"{inner.where}: quantized_layers: expected the layers of {shown(name)}")
    if groups and not rules:
        for label, said in groups.items():
            own = Settings(said if isinstance(said, dict) else {}, f"{inner.where}: config_groups: {label}")
            weights = Settings(own.table("weights") or {}, f"{own.where}: weights")
            rules.append(Rule(compressed_weights(weights, ""), tuple(classes(own, own.texts("targets") or ["Linear"]))))
    if not rules:
        rules.append(Rule(_algorithm(inner, name, group), (LINEAR,)))
    return rules, ignored or list(_HEAD)


def _quark_weights(inner: Settings, config: Any, plain: str) -> str:
    """Return the format of the `weight` of one of Quark's configurations; null weights are left alone."""
    weight = config.get("weight") if isinstance(config, dict) else None
    if weight is None:
        return plain
    if isinstance(weight, list):
        raise SpecificationError(f"{inner.where}: weight: quantised in {len(weight)} passes, which is not understood")
    table = Settings(weight, f"{inner.where}: weight")
    kind, group = table.text("dtype", ""), table.integer("group_size", required=False, least=-1)
    group = group if table.text("qscheme", "") == "per_group" else None
    if kind in ("int4", "int8", "int3", "int2", "uint4", "uint8"):
        symmetric = table.flag("symmetric", default=not kind.startswith("u"))
        return integers(table, int(kind[-1]), group, symmetric=symmetric)
    width = {"fp8_e4m3": 8, "fp8_e5m2": 8, "fp4": 4, "fp6_e2m3": 6, "fp6_e3m2": 6, "mx": 4, "mxfp4": 4, "mxfp6": 6}
    if kind in ("float16", "bfloat16"):
        return plain
    if kind not in width:
        raise SpecificationError(f"{table.where}: dtype: {shown(kind)} is not known{nearest(kind, width)}")
    return floats(table, width[kind], 32 if kind.startswith("mx") else group)


def quark(inner: Settings, plain: str) -> Read:
    """Read what AMD Quark writes: one configuration for all layers, others by name or class, and what is excluded."""
    whole = inner.table("global_quant_config")
    if whole is None:
        raise SpecificationError(
            f"{inner.where}: has no global_quant_config, in which quark says how weights are stored"
        )
    rules = [Rule(_quark_weights(inner, whole, plain), (LINEAR,))]
    for key in ("layer_quant_config", "layer_type_quant_config"):
        for name, config in (inner.table(key) or {}).items():
            target = classes(inner, [name]) if key == "layer_type_quant_config" else [name]
            rules.append(Rule(_quark_weights(inner, config, plain), tuple(target)))
    return rules, texts_of(inner, "exclude")


def quark_cache(inner: Settings) -> str | None:
    """Return the format of the cache that Quark quantised as the output of the key and value projections, or None."""
    for config in (inner.table("kv_cache_quant_config") or {}).values():
        output = config.get("output_tensors") if isinstance(config, dict) else None
        if isinstance(output, dict):
            return _quark_weights(inner, {"weight": output}, "")
    return None


def hqq(inner: Settings, _plain: str) -> Read:
    """Read HQQ: groups with a scale and a zero point of 16 bits each, unless they are quantised themselves."""
    config: dict[str, Any] = inner.table("quant_config") or {}
    weights = config.get("weight_quant_params")
    if not isinstance(weights, dict) or config.get("scale_quant_params") or config.get("zero_quant_params"):
        raise SpecificationError(
            f"{inner.where}: quant_config: {shown(config)} is not understood; one weight_quant_params for all modules"
            " is"
        )
    table = Settings(weights, f"{inner.where}: weight_quant_params")
    bits, group = table.integer("nbits", most=16), table.integer("group_size", default=64, least=-1)
    if table.flag("quant_scale", default=False) or table.flag("quant_zero", default=False):
        raise SpecificationError(f"{table.where}: scales and zero points that are quantised are not understood")
    stored = integers(table, bits, group, symmetric=False, zero_bits=16)
    return [Rule(stored, (LINEAR,))], [*_HEAD, *texts_of(inner, "skip_modules", "modules_to_not_convert")]


def mlx(inner: Settings, _plain: str) -> Read:
    """Read MLX: every matrix and the embedding alike, but for modules listed by name with numbers of their own."""
    rules, ignored = [Rule(_mlx_format(inner, "affine", 64, 4), (EVERYTHING,))], []
    mode, group, bits = inner.text("mode", "affine"), inner.integer("group_size"), inner.integer("bits", most=16)
    for name in inner.names():
        said = inner.anything(name)
        if said is False:
            ignored.append(name)
        elif isinstance(said, dict):
            own = Settings(said, f"{inner.where}: {name}")
            rules.append(Rule(_mlx_format(own, mode, group, bits), (name,)))
    return rules, ignored


def _mlx_format(table: Settings, mode: str, group: int, bits: int) -> str:
    mode = table.text("mode", mode)
    group, bits = table.integer("group_size", default=group), table.integer("bits", default=bits, most=16)
    if mode == "affine":
        if not 2 <= bits <= 8:
            raise SpecificationError(f"{table.where}: bits: {bits} is not known; 2 to 8 are")
        return f"mlx-q{bits}" if group == 64 else f"mlx-q{bits}-g{group}"
    if mode not in ("mxfp4", "mxfp8", "nvfp4"):
        raise SpecificationError(f"{table.where}: mode: {shown(mode)} is not known; affine, mxfp4, mxfp8, nvfp4 are")
    return mode


def exl(inner: Settings, _plain: str) -> Read:
    """Read ExLlamaV2 and V3: a mean width of all matrices, and one of the head."""
    method = inner.text("quant_method", "exl2")
    return [
        Rule(_exl_format(inner, method, "bits", None), (LINEAR,)),
        Rule(_exl_format(inner, method, "head_bits", 6.0), ("lm_head",)),
    ], []


def _exl_format(inner: Settings, method: str, key: str, default: float | None) -> str:
    bits = (inner.numbers(key, 1) or [default or 0.0])[0]
    if not 1 <= bits <= 16:
        raise SpecificationError(f"{inner.where}: {key}: {shown(bits)} is not a width from 1 to 8 bits")
    return f"{method}-{round(float(bits), 2)}" if bits <= 8 else "fp16"
