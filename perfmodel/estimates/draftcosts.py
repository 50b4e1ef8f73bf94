"""What is known of the costs of drafts, and of the shape of a draft head, where a device or a profile says nothing."""

from perfmodel.operations.drafters import HEADS
from perfmodel.operations.formats import Formats
from perfmodel.specifications.filetypes import FILE_TYPES
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Quantity
from perfmodel.specifications.storage import nominal_bits

EAGLE_VOCABULARY = 32_000
_SOURCE = "fitted on validation/drafts.csv by validation/drafts.py"
_Ends = tuple[float, float, float]
# By kind of kernels for few tokens: what each adds, as a share of streaming the weights, and the operations in vector
# units for each of a matrix [-]; low, value, high.
KERNELS: dict[str, tuple[_Ends, _Ends]] = {
    "matrix": ((0.0, 0.01, 0.08), (0.0, 0.0, 0.0)),
    "vector": ((0.0, 0.0, 0.0), (1.75, 2.75, 3.75)),
    "once": ((0.7, 0.9, 1.1), (0.0, 0.0, 0.0)),
}
# Of software that says nothing of it: host time of a draft and of a step with drafts [s].
HOST: _Ends = (1e-4, 3e-4, 8e-4)
VERIFY: _Ends = (0.0, 1e-4, 1.2e-3)


def draft_defaults(hardware: Hardware, target: Model, formats: Formats, drafter: str | None) -> Hardware:
    """Return `hardware` with what is not given of the costs of drafts and of the shape of a head."""
    found = {path: quantity for path, quantity in _costs(hardware, formats).items() if path not in hardware.values}
    if drafter in HEADS:
        for path, value, source in (
            ("drafts.layers", 1, "MTP modules and EAGLE heads as published have one layer"),
            (
                "drafts.vocabulary",
                target.vocabulary if drafter == "mtp" else min(EAGLE_VOCABULARY, target.vocabulary),
                "an MTP head scores the target's vocabulary; draft_vocab_size of published EAGLE-3 heads is 32,000",
            ),
        ):
            if path not in hardware.values:
                found[path] = _quantity(value, value, value, "1", source)
    return hardware.replace_values(found)


def _quantity(low: float, value: float, high: float, unit: str, source: str) -> Quantity:
    return Quantity(low=low, value=value, high=high, unit=unit, kind="assumed", source=source)


def few_token_kernels(hardware: Hardware, formats: Formats) -> str:
    """Return the kind of kernels that multiply matrices for a few tokens, a key of KERNELS.

    Engines fill matrix units, if badly. ggml multiplies blocks for up to eight tokens by kernels for a vector, which
    do each token's products in vector units (ggml/src/ggml-cuda/mmvq.cu); Metal's, and MLX's, run once a token.
    """
    block = formats.weights in FILE_TYPES
    if hardware.vendor == "Apple" and (block or nominal_bits(formats.weights) < nominal_bits(formats.activations)):
        return "once"
    return "vector" if block else "matrix"


def _costs(hardware: Hardware, formats: Formats) -> dict[str, Quantity]:
    """Return what is known of the costs of drafts by kind of kernels; the host's of software of any kind."""
    token, operations = KERNELS[few_token_kernels(hardware, formats)]
    return {
        "drafts.token": _quantity(*token, "1", _SOURCE),
        "drafts.operations": _quantity(*operations, "1", _SOURCE),
        "drafts.vector_rate": _vector_rate(hardware),
        "drafts.most_tokens": _quantity(8, 8, 8, "1", "ggml takes its vector kernels for up to eight tokens"),
        "drafts.independence": _quantity(0.3, 0.6, 1.0, "1", _SOURCE),
        "drafts.host": _quantity(*HOST, "s", _SOURCE),
        "drafts.verify": _quantity(*VERIFY, "s", _SOURCE),
    }


def _vector_rate(hardware: Hardware) -> Quantity:
    """Return the rate of 32-bit arithmetic, which vector units do; of a device that has none, its widest."""
    rates = {p: q for p, q in hardware.values.items() if p.startswith("arithmetic.") and p != "arithmetic.sustained"}
    path = "arithmetic.fp32" if "arithmetic.fp32" in rates else min(rates, key=lambda path: rates[path].value)
    quantity = rates[path]
    return Quantity(
        low=quantity.low,
        value=quantity.value,
        high=quantity.high,
        unit=quantity.unit,
        kind="derived",
        source=f"{path}: what vector units multiply in",
    )
