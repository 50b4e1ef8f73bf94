"""A file to fill in: every key that a device may have, with what it means."""

import textwrap

from perfmodel._layout import data_folder
from perfmodel.errors import ValueRangeError, shown
from perfmodel.specifications.keys import Parameter
from perfmodel.specifications.parameters import MODES, PARAMETERS
from perfmodel.specifications.spellings import spelled

# What must be filled in, and keys whose usual values differ from those of other keys with their unit.
_NEEDED = ("memory.bandwidth", "memory.capacity", "arithmetic.bf16")
_EXAMPLES = {
    "memory.clock": '"2.6 GHz"',
    "memory.bus_width": "384",
    "memory.latency": '"500 ns"',
    "memory.bytes_in_flight": '"64 KiB"',
    "tiers.*.bandwidth": '"32 GB/s"',
    "tiers.*.capacity": '"128 GB"',
    "arithmetic.fp8": '"200 TFLOP/s"',
    "arithmetic.int8": '"200 TOP/s"',
    "arithmetic.fp32": '"25 TFLOP/s"',
    "kernels.tile": "64",
    "units.count": "100",
    "units.block_bandwidth": '"9 GB/s"',
    "units.operations_per_clock.*": "1024",
    "on_chip.capacity": '"40 MiB"',
    "on_chip.bandwidth": '"5 TB/s"',
    "on_chip.shared_per_unit": '"100 KiB"',
    "link.bandwidth": '"32 GB/s"',
    "link.per_peer": '"16 GB/s"',
    "link.domain": "8",
    "network.bandwidth": '"25 GB/s"',
    "modes.*.boundary": '"5 us"',
    "modes.*.prefetch": '"1 MB"',
    "modes.*.host": '"50 us"',
    "modes.*.hidden": "0.2",
    "modes.*.tasks": "1000",
}
_BY_UNIT = {
    "B/s": '"1 TB/s"',
    "B": '"24 GB"',
    "s": '"2 us"',
    "Hz": '"2 GHz"',
    "FLOP/s": '"100 TFLOP/s"',
    "W": '"300 W"',
    "USD": '"2000 USD"',
    "USD/h": '"1.50 USD/h"',
    "1": "0.8",
}
# The name that stands for the `*` of a key; keys of software rather than of a device have none.
_STANDS = {
    "memory.sustained": ("weights", "quantised", "kv"),
    "tiers": ("host",),
    "arithmetic": ("bf16", "fp8", "int8", "fp32"),
    "units.operations_per_clock": ("bf16",),
    "collectives": ("all_reduce",),
    "modes": ("stream",),
}
_HEAD = """\
# A device for perfmodel: fill in what you know, leave the rest as it is or delete it, then ask
#   perfmodel hardware check {name}.toml
#   perfmodel estimate llama-3.1-8b {name}.toml
#
# A plain value is enough. For others to trust it, say where it comes from, and how uncertain it is (the 5th and 95th
# percentile of what it may be):
#   bandwidth = {{ value = "1 TB/s", kind = "datasheet", source = "vendor brief, page 2" }}
#   boundary = {{ low = "3 us", value = "5 us", high = "8 us", kind = "measured", source = "our traces, May 2026" }}
# Decimal prefixes are powers of ten, Ki Mi Gi Ti powers of two. Arithmetic rates are dense, links one direction.

name = "{name}"
# title = "What people read in lists"
# vendor = "Its maker"
# year = 2026
# status = "shipping"
# aliases = ["{name}-too"]

# What is not given below comes from defaults, one of:
{architectures}
inherits = "generic"

# The launch mode that --before means, one of {modes}.
# default_mode = "stream"\
"""


def device_template(name: str) -> str:
    """Return a device file to fill in: usable as it is, each further key commented out with what it means.

    Raises ValueRangeError for a name that no file can have.
    """
    called = spelled(name)
    if not called or "/" in called or not called.isascii():
        raise ValueRangeError(f"hardware new: {shown(name)} is no name; small letters, digits and - are understood")
    known = sorted(path.stem for path in (data_folder("hardware") / "architectures").glob("*.toml"))
    listed = _comment(" ".join(known), "#   ")
    lines = [_HEAD.format(name=called, architectures=listed, modes=" ".join(MODES))]
    table, said = "", ""
    for key, parameter in _keys():
        above, _, last = key.rpartition(".")
        if above != table:
            table = above
            needed = any(name.rpartition(".")[0] == above for name in _NEEDED)
            lines.append(f"\n[{above}]" if needed else f"\n# [{above}]")
        value = _EXAMPLES.get(key) or _EXAMPLES.get(parameter.key) or _BY_UNIT[parameter.unit]
        if parameter.unit == "1" and parameter.least >= 1:
            value = f"{parameter.least:g}"
        if parameter.meaning != said:
            said = parameter.meaning
            lines.append(_comment(said, "#: "))
        lines.append(f"{'' if key in _NEEDED else '# '}{last} = {value}")
    return "\n".join(lines) + "\n"


def _comment(text: str, mark: str) -> str:
    """Return `text` in lines that begin with `mark`."""
    return textwrap.fill(text, 110, initial_indent=mark, subsequent_indent=mark, break_on_hyphens=False)


def _keys() -> list[tuple[str, Parameter]]:
    """Return every key with its parameter, a name in the place of each `*`, the keys of one table together."""
    found: dict[str, list[tuple[str, Parameter]]] = {}
    for parameter in PARAMETERS:
        before, star, after = parameter.key.partition("*")
        keys = [parameter.key] if not star else [before + word + after for word in _STANDS.get(before.rstrip("."), ())]
        for key in keys:
            found.setdefault(key.rpartition(".")[0], []).append((key, parameter))
    return [each for keys in found.values() for each in keys]
