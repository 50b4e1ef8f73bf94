"""What is asked of a prompt, and what the kernels that process it reach: by kind of kernels, fitted on measurements."""

from collections.abc import Mapping

from perfmodel.errors import SpecificationError, UsageError, ValueRangeError
from perfmodel.estimates.options import USUAL_CONTEXT
from perfmodel.operations import Formats
from perfmodel.specifications.filetypes import FILE_TYPES
from perfmodel.specifications.formats import NARROW_SUM, STORAGE_FORMATS, arithmetic_format
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Quantity
from perfmodel.specifications.software import software_in_use
from perfmodel.units import LARGEST_BATCH, LONGEST_CONTEXT, read_count

_SOURCE = "fitted on validation/prompts.csv by validation/prompts.py"


def refuse_prompt(given: Mapping[str, object]) -> None:
    """Raise UsageError where options of a grid ask for a prompt, and say what does instead."""
    name = next((name for name in ("prompt", "chunk", "decoding") if given.get(name) is not None), None)
    if name is not None:
        raise UsageError(
            f"--{name}: a grid has no prompts, each of whose chunks is a step of its own, and its points are one step"
            " each; ask perfmodel request for each prompt, or perfmodel choose --prompt N --ttft T for many machines"
        )


def read_prompt(prompt: int | None, chunk: int | None, model: Model) -> tuple[int, int] | None:
    """Return the tokens of the prompt and of a chunk that --prompt and --chunk say, None for no prompt."""
    if prompt is None:
        if chunk is not None:
            raise UsageError("--chunk: needs --prompt, the tokens that are processed in chunks")
        return None
    if model.step:
        raise ValueRangeError(f"--prompt: {model.name} is no decoder, so it takes no prompt")
    return prompt, prompt if chunk is None else min(chunk, prompt)


def read_decoding(text: str | None, prompt: tuple[int, int] | None, drafts: int) -> tuple[int, int] | None:
    """Return the sequences that decode beside each chunk and the context of each that --decoding says, None for none.

    drafts: of a step [-]. Raises UsageError without a prompt or with drafts, ValueRangeError for what is no count.
    """
    if text is None:
        return None
    if prompt is None:
        raise UsageError("--decoding: needs --prompt, beside whose chunks sequences decode")
    if drafts:
        raise UsageError("--decoding: goes without --draft; a step beside a chunk verifies no drafts")
    sequences, _, context = text.partition(":")
    cached = read_count(context, "--decoding", 0, LONGEST_CONTEXT, k=1024) if context else USUAL_CONTEXT
    return read_count(sequences, "--decoding", 1, LARGEST_BATCH), cached


def prompt_defaults(hardware: Hardware, formats: Formats, *, network: bool = False) -> Hardware:
    """Return `hardware` with what is not given of what its kernels reach with many tokens at once.

    network: of no decoder, in which each input has many positions.
    """
    kernels = "network" if network else kernels_of(hardware, formats)
    known = _reached(hardware, formats, kernels)
    return hardware.replace_values({path: q for path, q in known.items() if path not in hardware.values})


def _reached(hardware: Hardware, formats: Formats, kernels: str) -> dict[str, Quantity]:
    values = hardware.values
    offered = [path.removeprefix("arithmetic.") for path in values if path.startswith("arithmetic.")]
    plain = arithmetic_format(formats.activations, offered)
    if plain is None:
        raise SpecificationError(
            f"{hardware.path}: has no arithmetic rate as wide as {formats.activations}; it has"
            f" {', '.join(offered) or 'none'}"
        )
    name = matrix_format(hardware, formats, kernels, plain)
    share, half, overlap = KERNELS[kernels]
    unpacked = 1.0 if kernels == "library" else 0.0
    return {
        "prompts.rate": _as(values[f"arithmetic.{name}"], f"arithmetic.{name}: what its matrix kernels multiply in"),
        "prompts.share": _quantity(*share),
        "prompts.half": _quantity(*half),
        **_power(hardware, kernels),
        "prompts.unpacked": _quantity(unpacked, unpacked, unpacked, "what ggml does where no matrix units take bytes"),
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


def _quantity(low: float, value: float, high: float, source: str = _SOURCE) -> Quantity:
    return Quantity(low=low, value=value, high=high, unit="1", kind="assumed", source=source)


def is_block(hardware: Hardware, formats: Formats) -> bool:
    """Return whether ggml's kernels run the weights: they are in a file type of its, or it is the software."""
    return formats.weights in FILE_TYPES or software_kind(hardware) == "ggml"


def software_kind(hardware: Hardware) -> str:
    """Return the kind of software whose values stand in a device, '' for none."""
    return (software_in_use(hardware) or "").partition("-")[0]


def matrix_format(hardware: Hardware, formats: Formats, kind: str, plain: str) -> str:
    """Return the arithmetic format in which a kind of kernels multiplies many rows.

    plain: that of the activations.

    Engines multiply formats of eight and four bits in units for them where there are any, and unpack others to 16 bits;
    ggml multiplies blocks as bytes or four bits where matrix units take them, else in 16 bits with sums in 16 bits.
    """
    has = {path.removeprefix("arithmetic.") for path in hardware.values if path.startswith("arithmetic.")}
    name = formats.weights
    if kind == "library" or (kind == "network" and name == "fp16"):
        return f"fp16{NARROW_SUM}" if f"fp16{NARROW_SUM}" in has else plain
    if kind in ("ggml-int8", "ggml-vector"):
        return "fp4" if name in _FOUR_BITS and "fp4" in has else "int8"
    if kind not in ("engine", "network"):
        return plain
    bits = STORAGE_FORMATS[name].bits if name in STORAGE_FORMATS else 16
    if name in _FOUR_BITS and "fp4" in has:
        return "fp4"
    if name.startswith("fp8") or name == "mxfp8":
        return "fp8" if "fp8" in has else plain
    return "int8" if name == "int8" and "int8" in has and bits <= 8 else plain


_FOUR_BITS = ("nvfp4", "mxfp4")


def kernels_of(hardware: Hardware, formats: Formats) -> str:
    """Return the kind of matrix kernels for many rows, a key of KERNELS.

    ggml on NVIDIA's cards multiplies blocks as bytes, in matrix units or, on cards without any, in vector units; on
    cards whose matrix units take 16 bits alone, and anywhere before June 2024, it unpacks them for the vendor's library
    (ggml-cuda/mmq.cu; pull 7676).
    """
    if hardware.vendor == "Apple":
        return "apple"
    if "cpu" in hardware.architectures:
        return "processor"
    if not is_block(hardware, formats):
        return "engine"
    if hardware.vendor != "NVIDIA":
        return "ggml"
    rates = {path.removeprefix("arithmetic."): q.value for path, q in hardware.values.items() if _is_rate(path)}
    wide = max((rates.get(name, 0.0) for name in ("fp16", "bf16")), default=0.0)
    if formats.weights in ("fp16", "bf16"):
        return "library"
    if not wide:
        return "ggml-vector"
    old = software_in_use(hardware) == "ggml-2024"
    return "ggml-int8" if rates.get("int8", 0.0) > wide and not old else "library"


def _is_rate(path: str) -> bool:
    return path.startswith("arithmetic.") and path != "arithmetic.sustained"


_Ends = tuple[float, float, float]
# By kind of kernels: operations for each joule of the power limit [FLOP/J]; low, value, high.
EFFICIENCIES: dict[str, _Ends] = {"library": (0.7e12, 1e12, 1.5e12), "network": (0.7e12, 1e12, 1.5e12)}
# By kind of kernels: share of the rate that many rows reach, rows at which half of it is reached, and share of the
# saving that chunks in a pipeline reach; each low, value, high.
KERNELS: dict[str, tuple[_Ends, _Ends, _Ends]] = {
    "engine": ((0.2, 0.45, 0.7), (10, 30, 200), (0.0, 0.4, 0.8)),
    # Convolutions of some hundred channels: TensorRT's times of U-Nets on A100 and H100 (docs/models.md).
    "network": ((0.6, 0.9, 1.0), (200, 400, 800), (0.0, 0.0, 0.0)),
    "library": ((0.7, 0.9, 1.0), (70, 160, 230), (0.4, 0.8, 1.0)),
    "ggml-int8": ((0.2, 0.3, 0.45), (40, 70, 110), (0.4, 0.8, 1.0)),
    "ggml-vector": ((0.25, 0.3, 0.5), (10, 20, 70), (0.4, 0.8, 1.0)),
    "ggml": ((0.25, 0.35, 0.55), (30, 70, 150), (0.4, 0.8, 1.0)),
    "processor": ((0.2, 0.3, 0.7), (0, 20, 60), (0.0, 0.0, 0.4)),
    "apple": ((0.65, 0.8, 0.95), (70, 160, 230), (0.0, 0.0, 0.4)),
}
