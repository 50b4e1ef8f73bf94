"""A self-check of hardware files: what a datasheet's own figures say about each other."""

import re
from collections.abc import Callable, Iterator

import msgspec

from perfmodel.specifications.devicetables import FUSED_STYLES
from perfmodel.specifications.formats import ARITHMETIC_BITS, NARROW_SUM
from perfmodel.specifications.hardware import Hardware
from perfmodel.units import format_quantity


class Fault(msgspec.Struct, frozen=True):
    """Something that cannot be right, or that needs a reason. severity: 'error' or 'doubt'."""

    hardware: str
    key: str
    severity: str
    message: str


# How far a printed figure may be from the product of its parts: datasheets round, and boost clocks have several values.
BANDWIDTH_TOLERANCE = 0.045  # B200 prints 8 TB/s for 7.67
PEAK_TOLERANCE = 0.10  # B300 prints 2.25 PFLOP/s for 2.46 at its highest clock
# Faster than any machine announced so far, and slower than any that serves models.
FASTEST_BANDWIDTH, SLOWEST_BANDWIDTH = 4e13, 1e10
LARGEST_RATE = 2e17


def check_hardware(hardware: Hardware) -> list[Fault]:
    """Return the faults of a device, errors first.

    hardware: as `perfmodel.specifications.devicefiles.load_hardware` reads it; what it refuses is not asked again here.
    """
    faults = [
        Fault(hardware.name, key, severity, message) for check in _CHECKS for key, severity, message in check(hardware)
    ]
    return sorted(faults, key=lambda fault: (fault.severity != "error", fault.key))


Finding = tuple[str, str, str]


def _value(hardware: Hardware, key: str) -> float | None:
    quantity = hardware.values.get(key)
    return None if quantity is None else quantity.value


def _bandwidth_from_clock(hardware: Hardware) -> Iterator[Finding]:
    bandwidth, clock, width = (_value(hardware, f"memory.{key}") for key in ("bandwidth", "clock", "bus_width"))
    if bandwidth and clock and width:
        product = clock * 2 * width / 8
        if abs(product / bandwidth - 1) > BANDWIDTH_TOLERANCE:
            yield (
                "memory.bandwidth",
                "error",
                (
                    f"{format_quantity(bandwidth, 'B/s')} is not clock x 2 x bus width / 8 ="
                    f" {format_quantity(product, 'B/s')}"
                ),
            )


def _binary_for_decimal(hardware: Hardware) -> Iterator[Finding]:
    for key, quantity in hardware.values.items():
        if (
            key.endswith(".bandwidth")
            and quantity.kind == "datasheet"
            and quantity.value % 2**30 == 0
            and "printed in GiB" not in quantity.note
        ):
            yield key, "error", f"{quantity.value / 2**30:g} GiB/s: datasheets print bandwidth in powers of ten"


def _bandwidth_range(hardware: Hardware) -> Iterator[Finding]:
    bandwidth = _value(hardware, "memory.bandwidth")
    if bandwidth is not None and not SLOWEST_BANDWIDTH <= bandwidth <= FASTEST_BANDWIDTH:
        on_chip = bandwidth > FASTEST_BANDWIDTH and hardware.values["memory.capacity"].value < 1e11
        if not on_chip:
            yield (
                "memory.bandwidth",
                "error",
                (
                    f"{format_quantity(bandwidth, 'B/s')} is outside {format_quantity(SLOWEST_BANDWIDTH, 'B/s')} to"
                    f" {format_quantity(FASTEST_BANDWIDTH, 'B/s')}"
                ),
            )


def _capacity_range(hardware: Hardware) -> Iterator[Finding]:
    capacity = _value(hardware, "memory.capacity")
    if capacity is not None and not 1e8 <= capacity <= 1e13:
        yield "memory.capacity", "error", f"{format_quantity(capacity, 'B')} is outside 100 MB to 10 TB"
    bandwidth = _value(hardware, "memory.bandwidth")
    if capacity and bandwidth and not 1e-4 <= capacity / bandwidth <= 10:
        yield (
            "memory.capacity",
            "doubt",
            f"reading all of it takes {capacity / bandwidth:.3g} s; is it bytes, and GB for GB?",
        )


def _tier_order(hardware: Hardware) -> Iterator[Finding]:
    bandwidth, on_chip = _value(hardware, "memory.bandwidth"), _value(hardware, "on_chip.bandwidth")
    if bandwidth and on_chip and on_chip < bandwidth:
        yield "on_chip.bandwidth", "error", f"{format_quantity(on_chip, 'B/s')} is slower than the memory behind it"
    capacity, cache = _value(hardware, "memory.capacity"), _value(hardware, "on_chip.capacity")
    if capacity and cache and cache > capacity:
        yield "on_chip.capacity", "error", f"{format_quantity(cache, 'B')} is more than the memory behind it"
    for key, quantity in hardware.values.items():
        if key.startswith("tiers.") and key.endswith(".bandwidth") and bandwidth and quantity.value > bandwidth:
            yield key, "error", f"{format_quantity(quantity.value, 'B/s')} is faster than the device's own memory"


def _link(hardware: Hardware) -> Iterator[Finding]:
    bandwidth, link, domain = (_value(hardware, key) for key in ("memory.bandwidth", "link.bandwidth", "link.domain"))
    if bandwidth and link and link > bandwidth:
        yield (
            "link.bandwidth",
            "error",
            f"{format_quantity(link, 'B/s')} is faster than the memory; is it per direction?",
        )
    note = hardware.values["link.bandwidth"].note + hardware.values["link.bandwidth"].source if link else ""
    if (
        link
        and re.search(r"\bboth directions\b|\bbidirectional\b", note)
        and not re.search(r"per direction|halved", note)
    ):
        yield "link.bandwidth", "error", "the source gives both directions together; write one"
    peer, network = (_value(hardware, key) for key in ("link.per_peer", "network.bandwidth"))
    if link and peer and peer > link:
        yield "link.per_peer", "error", f"{format_quantity(peer, 'B/s')} to one device is more than all links carry"
    if link and network and network > link:
        yield "network.bandwidth", "error", f"{format_quantity(network, 'B/s')} is faster than the links it goes beyond"
    if domain is not None and (domain < 1 or domain != int(domain)):
        yield "link.domain", "error", f"{domain:g} is not a number of devices"


def _peak_from_units(hardware: Hardware) -> Iterator[Finding]:
    units, clock = _value(hardware, "units.count"), _value(hardware, "units.clock")
    for key, quantity in hardware.values.items():
        if key.startswith("units.operations_per_clock.") and units and clock:
            name = key.rpartition(".")[2]
            rate = _value(hardware, f"arithmetic.{name}")
            product = units * clock * quantity.value
            if rate is not None and abs(product / rate - 1) > PEAK_TOLERANCE:
                times = " (twice: a rate with sparsity?)" if abs(rate / product - 2) < 0.2 else ""
                yield (
                    f"arithmetic.{name}",
                    "error",
                    (
                        f"{format_quantity(rate, 'FLOP/s')} is not units x operations x clock ="
                        f" {format_quantity(product, 'FLOP/s')}{times}"
                    ),
                )


def _arithmetic(hardware: Hardware) -> Iterator[Finding]:
    rates = {
        key.removeprefix("arithmetic."): q
        for key, q in hardware.values.items()
        if key.startswith("arithmetic.") and key != "arithmetic.sustained"
    }
    if not rates:
        yield "arithmetic", "error", "has no rate in any format"
    for name, quantity in rates.items():
        plain = name.removesuffix("-sparse").removesuffix(NARROW_SUM)
        if plain not in ARITHMETIC_BITS:
            yield (
                f"arithmetic.{name}",
                "error",
                f"{name!r} is not an arithmetic format; known are {', '.join(ARITHMETIC_BITS)}",
            )
        if quantity.value > LARGEST_RATE:
            yield (
                f"arithmetic.{name}",
                "error",
                f"{format_quantity(quantity.value, 'FLOP/s')} is faster than any machine; is it a whole rack?",
            )
        if name.endswith("-sparse"):
            dense = rates.get(plain)
            if dense is None:
                yield f"arithmetic.{name}", "error", f"a sparse rate without the dense one, arithmetic.{plain}"
            elif quantity.value < dense.value:
                yield f"arithmetic.{name}", "error", "a sparse rate below the dense one"
        elif re.search(r"\bwith sparsity\b|\bsparse (rate|figure)\b", quantity.note):
            yield (
                f"arithmetic.{name}",
                "error",
                "its note says with sparsity; dense and sparse rates are different keys",
            )
    wide_sum, narrow_sum = rates.get("fp16") or rates.get("bf16"), rates.get(f"fp16{NARROW_SUM}")
    if wide_sum and narrow_sum and narrow_sum.value < wide_sum.value * 0.99:
        yield f"arithmetic.fp16{NARROW_SUM}", "error", "a rate with sums in 16 bits below the one with sums in 32"
    widths = {name: ARITHMETIC_BITS[name] for name in rates if name in ARITHMETIC_BITS and name not in ("int8", "int4")}
    for narrow, bits in widths.items():
        for wide, more in widths.items():
            if bits < more and rates[narrow].value < rates[wide].value * 0.99:
                yield f"arithmetic.{narrow}", "doubt", f"slower than {wide}, which is wider"


def _shares(hardware: Hardware) -> Iterator[Finding]:
    for key, quantity in hardware.values.items():
        if key.startswith("memory.sustained.") and quantity.value < 0.05:
            yield key, "error", f"{quantity.value:g} of the bandwidth: is it a share?"
    plain, quantised = _value(hardware, "memory.sustained.weights"), _value(hardware, "memory.sustained.quantised")
    if plain and quantised and quantised > plain * 1.02:
        yield "memory.sustained.quantised", "doubt", "dequantising kernels are faster than plain ones"


def _intervals(hardware: Hardware) -> Iterator[Finding]:
    for key, quantity in hardware.values.items():
        if quantity.kind == "datasheet" and quantity.low < quantity.high * 0.5:
            yield (
                key,
                "doubt",
                f"a datasheet figure with an interval of {quantity.high / max(quantity.low, 1e-30):.2g} x",
            )
        if quantity.low > 0 and quantity.high / quantity.low > 100:
            yield key, "doubt", f"an interval of {quantity.high / quantity.low:.0f} x says nothing"


def _modes(hardware: Hardware) -> Iterator[Finding]:
    if "looped" not in hardware.modes:
        yield "modes.looped", "error", "has no looped mode; every device has one, if only as an assumption"
    for mode in hardware.modes.values():
        stage, boundary = (hardware.mode_value(mode.name, key) for key in ("stage", "boundary"))
        parts = [hardware.mode_value(mode.name, key) for key in ("bare", "ramp")]
        if boundary is None and any(part is None for part in parts):
            yield f"modes.{mode.name}", "error", "has neither a boundary nor bare and ramp"
        if mode.kernels in FUSED_STYLES and stage is None:
            yield f"modes.{mode.name}", "error", "has no stage cost"
        for key, found in zip(("stage", "boundary"), (stage, boundary), strict=True):
            if found is not None and found[1].value > 1e-3:
                yield found[0], "error", f"a {key} of {format_quantity(found[1].value, 's')}: is it us?"


def _power_and_year(hardware: Hardware) -> Iterator[Finding]:
    tdp = _value(hardware, "power.tdp")
    if tdp is not None and not 3 <= tdp <= 30_000:
        yield "power.tdp", "error", f"{format_quantity(tdp, 'W')} is no device"
    if hardware.year is not None and not 2005 <= hardware.year <= 2030:
        yield "year", "error", f"{hardware.year} is not when it shipped"
    if hardware.status and hardware.status not in ("shipping", "announced", "discontinued"):
        yield "status", "error", f"{hardware.status!r} is not shipping, announced or discontinued"


def _latency(hardware: Hardware) -> Iterator[Finding]:
    latency = _value(hardware, "memory.latency")
    if latency is not None and not 2e-8 <= latency <= 5e-6:
        yield "memory.latency", "error", f"{format_quantity(latency, 's')} is no memory's; is it clock cycles?"
    units = _value(hardware, "units.count")
    if units is not None and units != int(units):
        yield "units.count", "error", f"{units:g} is not a whole number"


_CHECKS: tuple[Callable[[Hardware], Iterator[Finding]], ...] = (
    _bandwidth_from_clock,
    _binary_for_decimal,
    _bandwidth_range,
    _capacity_range,
    _tier_order,
    _link,
    _peak_from_units,
    _arithmetic,
    _shares,
    _intervals,
    _modes,
    _power_and_year,
    _latency,
)
