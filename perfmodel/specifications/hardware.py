"""Hardware: what a machine's file says. Every value carries unit, source and kind; nothing here computes a time."""

from collections.abc import Mapping

import msgspec

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.parameters import MODES
from perfmodel.specifications.quantities import Quantity


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """One way to call kernels. base: the mode whose costs stand in for those not given here."""

    name: str
    kernels: str
    base: str | None = None
    loops: bool = False
    note: str = ""


class Offered(msgspec.Struct, frozen=True):
    """The algorithms of collectives that a device or stack has, with kind and source as a quantity has them."""

    names: tuple[str, ...] = ()
    kind: str = ""
    source: str = ""


class Hardware(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A device as its file describes it.

    values: every quantity by its dotted path (see `perfmodel.specifications.parameters`).
    modes: the launch modes the device has, with how they cut the operations into calls.
    devices: how many of the device a system has; values are those of one.
    replicates: operations that a software stack leaves whole on every device instead of splitting them.
    algorithms: of its collectives, the quickest of which is taken.
    architectures: the defaults it is described over, nearest first.
    software: the kind that its kernels are usually part of, and with its year the one whose values stand here.
    profile: the one whose overrides stand here, '' for none; stack: whose software it is, a kind and year, or a profile
    of a stack of its own.
    """

    name: str
    title: str
    vendor: str
    year: int | None
    status: str
    default_mode: str
    aliases: tuple[str, ...]
    values: dict[str, Quantity]
    modes: dict[str, Mode]
    path: str
    note: str = ""
    devices: int = 1
    replicates: tuple[str, ...] = ()
    algorithms: Offered = Offered()
    architectures: tuple[str, ...] = ()
    software: str = ""
    profile: str = ""
    stack: str = ""

    def mode(self, name: str, where: str) -> Mode:
        """Return the launch mode `name`, or raise SpecificationError that lists those the device has."""
        if name in self.modes:
            return self.modes[name]
        from perfmodel.specifications.othernames import mode_meant

        has = ", ".join(m for m in MODES if m in self.modes)
        reason = f"{self.name} has no mode {shown(name)}" if name in MODES else f"{shown(name)} is not a launch mode"
        meant = "" if name in MODES else mode_meant(name)
        raise SpecificationError(f"{where}: {reason}{meant or nearest(name, self.modes)}; {self.name} has {has}")

    def mode_value(self, mode: str, key: str) -> tuple[str, Quantity] | None:
        """Return the path and quantity of `key` in `mode`, from the mode itself or the mode it is based on."""
        seen: str | None = mode
        while seen is not None:
            path = f"modes.{seen}.{key}"
            if path in self.values:
                return path, self.values[path]
            seen = self.modes[seen].base
        return None

    def replace_values(self, settings: dict[str, Quantity]) -> "Hardware":
        """Return this device with some quantities replaced or added."""
        return msgspec.structs.replace(self, values=self.values | settings) if settings else self


def without_reach(values: dict[str, Quantity], settings: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Return `values` less the software's reach of each kind of bytes whose whole share a profile gives."""
    given = {path.rpartition(".")[2] for path in settings if path.startswith("memory.sustained.")}
    given |= {"kv" for path in settings if path.startswith("modes.") and path.endswith(".kv")}
    if "quantised" in given:
        given |= {path[6:] for path in values if path.startswith("reach.") and path[6:] not in ("weights", "kv")}
    dropped = {f"reach.{kind}" for kind in given} - settings.keys()
    return {path: quantity for path, quantity in values.items() if path not in dropped} if dropped else values
