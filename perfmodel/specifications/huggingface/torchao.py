"""torchao: one configuration for all linear modules, or one for each name and pattern."""

from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.huggingface.layouts import Settings, integers, texts_of
from perfmodel.specifications.recipes import EVERYTHING, LINEAR, Rule

_HEAD = "lm_head"
# Configurations by their name without `Config` and underscores: bits, 0 for fp8, None where they say it; usual group.
_KNOWN: dict[str, tuple[int | None, int | None]] = {
    "int4weightonly": (4, 128),
    "int8weightonly": (8, None),
    "int8dynamicactivationint8weight": (8, None),
    "int8dynamicactivationint4weight": (4, 32),
    "intxweightonly": (None, None),
    "int8dynamicactivationintxweight": (None, 32),
    "float8weightonly": (0, None),
    "float8dynamicactivationfloat8weight": (0, None),
    "float8dynamicactivationint4weight": (4, 128),
}
# A configuration for each module, by the class of the whole and the key of its table.
_BY_NAME = {"ModuleFqnToConfig": "module_fqn_to_config", "FqnToConfig": "fqn_to_config"}
_DEFAULT = "_default"


def read_torchao(inner: Settings, _plain: str) -> tuple[list[Rule], list[str]]:
    """Read torchao's `quant_type`: rules, and the names that none may convert.

    Raises SpecificationError for a configuration that is not understood.
    """
    said, options = inner.anything("quant_type"), inner.anything("quant_type_kwargs") or {}
    if isinstance(said, dict) and set(said) == {"default"} and isinstance(said["default"], dict):
        said, options = _named(said["default"])
    whole = inner.flag("include_input_output_embeddings", default=False)
    ignored = texts_of(inner, "modules_to_not_convert")
    key = _BY_NAME.get(said) if isinstance(said, str) else None
    modules = options.get(key) if key and isinstance(options, dict) else None
    if not isinstance(modules, dict):
        everywhere = Rule(_stored(inner, said, options), (EVERYTHING if whole else LINEAR,))
        return [everywhere], ignored if whole else [_HEAD, *ignored]
    rules, left = [], [*ignored, *([] if whole or _HEAD in modules else [_HEAD])]
    for name, config in modules.items():
        module = name.removesuffix(".weight")
        if config is not None:
            target = LINEAR if module == _DEFAULT else module
            rules.append(Rule(_stored(inner, *_named(config)), (target,)))
        elif module != _DEFAULT:
            left.append(module)
    return rules, [name for name in left if name not in {target for rule in rules for target in rule.targets}]


def _named(config: Any) -> tuple[Any, Any]:
    """Return the class and the settings of what torchao's `config_to_dict` wrote."""
    return (config.get("_type"), config.get("_data") or {}) if isinstance(config, dict) else (config, {})


def _stored(inner: Settings, said: Any, options: Any) -> str:
    """Return the format of the weights of one configuration."""
    name = str(said).lower().replace("_", "").removesuffix("config") if isinstance(said, str) else ""
    if name not in _KNOWN or not isinstance(options, dict):
        raise SpecificationError(
            f"{inner.where}: quant_type: {shown(said)} is not understood{nearest(name, _KNOWN)}; weight-only and"
            " dynamic int4, int8, intx and float8 are, for all linear modules or by ModuleFqnToConfig"
        )
    table, (bits, group) = Settings(options, f"{inner.where}: quant_type"), _KNOWN[name]
    if bits == 0:
        return "fp8"
    if bits is None:
        return _intx(table, group)
    size = table.integer("group_size", default=group, least=-1, required=False)
    # Groups of four bits have a scale and a zero point of 16 bits each where weights alone are quantised.
    return integers(table, bits, size, symmetric=name != "int4weightonly", zero_bits=16)


def _intx(table: Settings, group: int | None) -> str:
    """Return the format of integers of a width and a group that the configuration states, symmetric unless it says."""
    width = str(_named(table.anything("weight_dtype") or "int8")[1] or "int8")
    bits = int(width.removeprefix("int")) if width.removeprefix("int").isdigit() else 0
    key = "weight_granularity" if table.anything("weight_granularity") is not None else "granularity"
    kind, size = _named(table.anything(key))
    if kind == "PerGroup":
        group = Settings(size, f"{table.where}: {key}").integer("group_size", default=group, least=-1, required=False)
    elif kind is not None:
        group = None
    mapping = _named(table.anything("weight_mapping_type") or table.anything("mapping_type"))[1]
    return integers(table, bits, group, symmetric="asymmetric" not in str(mapping).lower(), zero_bits=16)
