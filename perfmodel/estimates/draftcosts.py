"""What is known of the costs of drafts, and of the shape of a draft head, where a device or a profile says nothing."""

from perfmodel.operations.drafters import HEADS
from perfmodel.operations.formats import Formats
from perfmodel.specifications.filetypes import FILE_TYPES
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Quantity

EAGLE_VOCABULARY = 32_000


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


def _costs(hardware: Hardware, formats: Formats) -> dict[str, Quantity]:
    """Return what is known of the costs of drafts by kind of kernels and of device."""
    source = "fitted on validation/drafts.csv by validation/drafts.py"
    block = formats.weights in FILE_TYPES
    # Kernels of engines multiply matrices for any number of tokens; those of ggml for up to eight are for a vector, which
    # old tensor units do not help and Metal's run once a token.
    if not block:
        token = (0.0, 0.02, 0.04)
    elif hardware.vendor == "Apple":
        token = (0.4, 0.8, 1.2)
    elif hardware.vendor == "NVIDIA":
        token = (0.05, 0.11, 0.22) if "arithmetic.bf16" in hardware.values else (0.2, 0.3, 0.4)
    else:
        token = (0.02, 0.06, 0.15)
    if block:
        host, verify = (0.0, 0.1e-3, 0.8e-3), (0.0, 0.4e-3, 1.2e-3)
    else:
        host, verify = (1e-4, 0.3e-3, 0.8e-3), (0.0, 0.1e-3, 1.2e-3)
    return {
        "drafts.token": _quantity(*token, "1", source),
        "drafts.most_tokens": _quantity(8, 8, 8, "1", "ggml takes its vector kernels for up to eight tokens"),
        "drafts.independence": _quantity(0.3, 0.6, 1.0, "1", source),
        "drafts.host": _quantity(*host, "s", source),
        "drafts.verify": _quantity(*verify, "s", source),
    }
