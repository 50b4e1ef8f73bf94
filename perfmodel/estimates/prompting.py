"""What is asked of a prompt, and what the kernels that process it reach: by kind of kernels, fitted on measurements."""

from perfmodel.errors import SpecificationError, UsageError, ValueRangeError
from perfmodel.operations import Formats
from perfmodel.specifications.filetypes import FILE_TYPES
from perfmodel.specifications.formats import NARROW_SUM, STORAGE_FORMATS, arithmetic_format
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Quantity

_SOURCE = "fitted on validation/prompts.csv by validation/prompts.py"


def read_prompt(prompt: int | None, chunk: int | None, model: Model) -> tuple[int, int] | None:
    """Return the tokens of the prompt and of a chunk that --prompt and --chunk say, None for no prompt."""
    if prompt is None:
        if chunk is not None:
            raise UsageError("--chunk: needs --prompt, the tokens that are processed in chunks")
        return None
    if model.step:
        raise ValueRangeError(f"--prompt: {model.name} is no decoder, so it takes no prompt")
    return prompt, prompt if chunk is None else min(chunk, prompt)


def prompt_defaults(hardware: Hardware, formats: Formats) -> Hardware:
    """Return `hardware` with what is not given of what its kernels reach with a prompt."""
    found = {path: quantity for path, quantity in _reached(hardware, formats).items() if path not in hardware.values}
    return hardware.replace_values(found)


def _reached(hardware: Hardware, formats: Formats) -> dict[str, Quantity]:
    values = hardware.values
    offered = [path.removeprefix("arithmetic.") for path in values if path.startswith("arithmetic.")]
    plain = arithmetic_format(formats.activations, offered)
    if plain is None:
        raise SpecificationError(
            f"{hardware.path}: has no arithmetic rate as wide as {formats.activations}; it has"
            f" {', '.join(offered) or 'none'}"
        )
    name = matrix_format(hardware, formats, plain)
    share, half, overlap = KERNELS[kernels_of(hardware, formats)]
    return {
        "prompts.rate": _as(values[f"arithmetic.{name}"], f"arithmetic.{name}: what its matrix kernels multiply in"),
        "prompts.share": _quantity(*share),
        "prompts.half": _quantity(*half),
        **_power(hardware, kernels_of(hardware, formats)),
        "prompts.attention_rate": _as(
            values[f"arithmetic.{plain}"], f"arithmetic.{plain}: what attention multiplies in"
        ),
        "prompts.attention": _quantity(0.1, 0.3, 0.6),
        "prompts.overlap": _quantity(*overlap),
    }


def _power(hardware: Hardware, kind: str) -> dict[str, Quantity]:
    """Return the rate that a power limit allows, where the device has one and its kernels feel it."""
    power = hardware.values.get("power.tdp")
    if power is None or kind not in EFFICIENCIES:
        return {}
    low, value, high = (power.value * efficiency for efficiency in EFFICIENCIES[kind])
    rate = Quantity(low=low, value=value, high=high, unit="FLOP/s", kind="derived", source=f"power.tdp; {_SOURCE}")
    return {"prompts.power_rate": rate}


def _as(quantity: Quantity, source: str) -> Quantity:
    return Quantity(
        low=quantity.low, value=quantity.value, high=quantity.high, unit=quantity.unit, kind="derived", source=source
    )


def _quantity(low: float, value: float, high: float) -> Quantity:
    return Quantity(low=low, value=value, high=high, unit="1", kind="assumed", source=_SOURCE)


def is_block(formats: Formats) -> bool:
    """Return whether the weights are in a file type of ggml, whose kernels then run them."""
    return formats.weights in FILE_TYPES


def matrix_format(hardware: Hardware, formats: Formats, plain: str) -> str:
    """Return the arithmetic format in which kernels multiply a prompt by the matrices; plain: that of the activations.

    Engines multiply formats of eight and four bits in units for them where there are any, and unpack others to 16 bits;
    ggml multiplies blocks as bytes where matrix units take them, and 16-bit weights with sums in 16 bits.
    """
    has = {path.removeprefix("arithmetic.") for path in hardware.values if path.startswith("arithmetic.")}
    kind = kernels_of(hardware, formats)
    if kind.startswith("ggml"):
        if kind == "ggml-int8":
            return "int8"
        return plain
    name = formats.weights
    bits = STORAGE_FORMATS[name].bits if name in STORAGE_FORMATS else 16
    if name == "fp16" and f"fp16{NARROW_SUM}" in has and hardware.vendor == "NVIDIA":
        return f"fp16{NARROW_SUM}"
    if name in ("nvfp4", "mxfp4") and "fp4" in has:
        return "fp4"
    if name.startswith("fp8") or name == "mxfp8":
        return "fp8" if "fp8" in has else plain
    return "int8" if name == "int8" and "int8" in has and bits <= 8 else plain


def kernels_of(hardware: Hardware, formats: Formats) -> str:
    """Return the kind of matrix kernels that process a prompt, a key of KERNELS."""
    vendor = hardware.vendor
    if vendor == "Apple":
        return "apple"
    if is_block(formats):
        rates = {name: q.value for name, q in hardware.values.items() if name.startswith("arithmetic.")}
        wide = max(rates.get(f"arithmetic.{name}", 0.0) for name in ("fp16", "bf16", "fp32"))
        units = vendor == "NVIDIA" and rates.get("arithmetic.int8", 0.0) > wide
        return "ggml-int8" if units else "ggml"
    return "narrow-sum" if formats.weights == "fp16" and vendor == "NVIDIA" else "engine"


_Ends = tuple[float, float, float]
# By kind of kernels: share of the rate that many rows reach, rows at which half of it is reached, and share of the
# saving that chunks in a pipeline reach; each low, value, high. By kind of kernels: operations for each joule of the
# power limit [FLOP/J]; low, value, high.
EFFICIENCIES: dict[str, _Ends] = {"ggml-int8": (0.35e12, 0.5e12, 0.75e12)}
KERNELS: dict[str, tuple[_Ends, _Ends, _Ends]] = {
    "engine": ((0.2, 0.45, 0.7), (10, 30, 200), (0.0, 0.4, 0.8)),
    "narrow-sum": ((0.35, 0.5, 0.7), (5, 10, 150), (0.2, 0.6, 0.8)),
    "ggml-int8": ((0.25, 0.35, 0.5), (10, 20, 100), (0.2, 0.6, 0.8)),
    "ggml": ((0.25, 0.4, 0.55), (20, 70, 150), (0.0, 0.0, 0.4)),
    "apple": ((0.5, 0.65, 0.75), (10, 20, 40), (0.0, 0.0, 0.4)),
}
