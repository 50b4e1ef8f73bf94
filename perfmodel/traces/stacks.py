"""The software stack of a recording as a profile."""

from collections.abc import Mapping

import msgspec

from perfmodel.specifications.devicefiles import merge_mode
from perfmodel.specifications.hardware import Hardware, Mode
from perfmodel.specifications.parameters import MODES
from perfmodel.specifications.profiles import Profile
from perfmodel.specifications.quantities import Interval, Quantity
from perfmodel.traces.shares import PLAIN

FUSED = ("layer-fused", "looped", "megakernel-generated", "megakernel")


def stack_profile(
    name: str,
    source: str,
    device: Hardware,
    mode: str,
    style: str,
    shares: Mapping[str, Interval],
    kernel: Interval,
    call: Interval,
    host: Interval,
    collectives: Mapping[str, Quantity],
) -> Profile:
    """Return the profile that gives the recorded step again: shares of the memory, boundaries, host time, collectives.

    kernel, call: boundary of a recorded kernel, and of a modelled call [s].
    """

    def seconds(found: Interval) -> Quantity:
        return Quantity(low=found.low, value=found.value, high=found.high, unit="s", kind="derived", source=source)

    root = mode
    while (base := device.modes[root].base) in PLAIN and base is not None:
        root = base
    plain = [one for one in MODES if one in PLAIN and one in device.modes and (one in (mode, root, "graph", "pdl"))]
    values = {
        path: Quantity(low=r.low, value=r.value, high=r.high, unit="1", kind="derived", source=source)
        for path, r in shares.items()
    } | dict(collectives)
    # One boundary that modes share through the mode they rest on: it cannot be high in one and low in the other.
    values[f"modes.{root}.boundary"] = seconds(call)
    modes = {
        one: Mode(name=one, kernels=style, base=root if one == "graph" and mode != "graph" else None) for one in plain
    }
    merged = device.modes | {one: merge_mode(device.modes[one], own) for one, own in modes.items()}
    rooted = msgspec.structs.replace(device, values=device.values | values, modes=merged)
    values |= {
        f"modes.{one}.boundary": seconds(call)
        for one in plain
        if (found := rooted.mode_value(one, "boundary")) is None or found[0] != f"modes.{root}.boundary"
    }
    # A fused kernel ends once, like one recorded kernel, not like a modelled call that stands for several.
    values |= {f"modes.{one}.boundary": seconds(kernel) for one in FUSED if one in device.modes}
    zero = Quantity(low=0.0, value=0.0, high=0.0, unit="s", kind="derived", source=source)
    if mode != "graph" and "graph" in device.modes:
        # What the device's file says of the host in a graph stays; what it leaves to the recorded mode is not the
        # graph's.
        values |= {
            f"modes.graph.{key}": found[1] if (found := device.mode_value("graph", key)) else zero
            for key in ("host", "issue")
        }
    values |= {f"modes.{mode}.host": seconds(host), f"modes.{mode}.issue": zero}
    # The fitted boundary is all that a call loses, and the shares were fitted beside what the software reaches of them.
    values |= {f"modes.{one}.{key}": zero for one in plain for key in ("matrix", "experts", "sequence")}
    values |= {path: quantity for path, quantity in device.values.items() if path.startswith("reach.")}
    return Profile(
        name=name,
        title=source[:200],
        values=values,
        modes=modes,
        replicates=device.replicates,
        fitted_on=source,
        tested_on="nothing: one recording leaves none to test on",
        path=name,
    )
