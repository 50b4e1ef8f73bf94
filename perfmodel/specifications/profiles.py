"""Profiles: what a software stack does differently from the defaults of a device, fitted from measurements."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from perfmodel._layout import data_folder
from perfmodel.errors import SpecificationError, UnknownNameError, nearest, shown
from perfmodel.specifications.devicefiles import merge_mode
from perfmodel.specifications.devicetables import read_layer
from perfmodel.specifications.files import read_toml, toml_text
from perfmodel.specifications.hardware import Hardware, Mode, Offered, without_reach
from perfmodel.specifications.quantities import Quantity

# Operations that a stack may leave whole on every device.
REPLICABLE = ("head",)


class Profile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Overrides for a device: values and modes as in a hardware file, and what the stack does not split.

    fitted_on, tested_on: which measurements it rests on, and which it was checked against.
    software: the kind and year of software that it is a stack of, '' where none is named.
    """

    name: str
    title: str
    values: dict[str, Quantity]
    modes: dict[str, Mode]
    replicates: tuple[str, ...]
    fitted_on: str
    tested_on: str
    path: str
    algorithms: Offered = Offered()
    software: str = ""


@lru_cache(maxsize=128)
def find_profile(name: str, option: str = "--profile") -> Profile:
    """Return the profile called `name` in profiles/, or in the TOML file at that path; option: who asks.

    Raises UnknownNameError with the nearest name, or SpecificationError for a file that cannot be used.
    """
    if "/" in name or name.endswith(".toml"):
        return load_profile(Path(name))
    known = profile_names()
    if name not in known:
        raise UnknownNameError(
            f"{option}: {shown(name)} is not a profile{nearest(name, known)}; known are {', '.join(known) or 'none'}"
        )
    return load_profile(data_folder("profiles") / f"{name}.toml")


def profile_names() -> list[str]:
    """Return the sorted names of the profiles that come with the package."""
    return sorted(path.stem for path in data_folder("profiles").glob("*.toml"))


def load_profile(path: Path) -> Profile:
    """Read a profile file over the profile it inherits, which describes its kind of software.

    Raises SpecificationError with file, key and what would be right.
    """
    head, values, modes = read_layer(path, also={"replicates": list, "fitted_on": str, "tested_on": str})
    replicates = tuple(head.get("replicates", ()))
    for name in head.get("inherits", ()):
        kind = _kind(name, path)
        values = kind.values | values
        modes = kind.modes | {name: merge_mode(kind.modes.get(name), mode) for name, mode in modes.items()}
        replicates = replicates or kind.replicates
    for name in replicates:
        if name not in REPLICABLE:
            raise SpecificationError(f"{path}: replicates: {shown(name)} is not one of {', '.join(REPLICABLE)}")
    name = head.get("name") or path.stem
    return Profile(
        name=name,
        title=head.get("title") or name,
        values=values,
        modes=modes,
        replicates=replicates,
        fitted_on=head.get("fitted_on", ""),
        tested_on=head.get("tested_on", ""),
        path=str(path),
        algorithms=head.get("algorithms", Offered()),
        software=head.get("software", ""),
    )


def _kind(name: str, path: Path) -> Profile:
    """Return the profile that the one at `path` inherits; such a profile inherits none itself."""
    known = [kind for kind in profile_names() if "inherits" not in read_toml(data_folder("profiles") / f"{kind}.toml")]
    if name not in known:
        raise SpecificationError(
            f"{path}: inherits: {shown(name)} is not a profile that others may inherit{nearest(name, known)}; these are"
            f" {', '.join(known)}"
        )
    return find_profile(name)


def profile_text(profile: Profile) -> str:
    """Return a profile as a TOML file that `load_profile` reads back to the same numbers."""
    texts = dict.fromkeys(quantity.source for quantity in profile.values.values())
    sources = {text: f"source-{number}" for number, text in enumerate(texts, 1)}
    content: dict[str, Any] = {
        "name": profile.name,
        "title": profile.title,
        **({"software": profile.software} if profile.software else {}),
        "fitted_on": profile.fitted_on,
        "tested_on": profile.tested_on,
    }
    if profile.replicates:
        content["replicates"] = list(profile.replicates)
    content["sources"] = {key: text for text, key in sources.items()}
    if profile.algorithms.names:
        offered = profile.algorithms
        said = {"value": list(offered.names), "kind": offered.kind, "source": offered.source}
        content["collectives"] = {"algorithms": said}
    for mode in profile.modes.values():
        given = (("kernels", mode.kernels), ("base", mode.base), ("note", mode.note))
        content.setdefault("modes", {})[mode.name] = {key: text for key, text in given if text}
    for path, quantity in profile.values.items():
        *tables, key = path.split(".")
        place = content
        for table in tables:
            place = place.setdefault(table, {})
        place[key] = _quantity_entry(quantity, sources[quantity.source])
    return toml_text(content, inline=lambda table: "source" in table and "kind" in table)


def _quantity_entry(quantity: Quantity, source: str) -> dict[str, str]:
    unit = "" if quantity.unit == "1" else f" {quantity.unit}"
    ends = ("low", "value", "high") if quantity.low < quantity.high else ("value",)
    numbers = {end: f"{getattr(quantity, end)!r}{unit}" for end in ends}
    return numbers | {"kind": quantity.kind, "source": source}


@lru_cache(maxsize=256)
def with_profile(hardware: Hardware, profile: Profile) -> Hardware:
    """Return `hardware` as a stack uses it; the same pair gives the same object.

    Modes that the device lacks and the profile does not describe whole are left out.
    Raises SpecificationError when the profile is about no mode that the device has.
    """
    modes = dict(hardware.modes)
    lacking = {name for name, mode in profile.modes.items() if name not in modes and not mode.base}
    if lacking and len(lacking) == len(profile.modes):
        raise SpecificationError(
            f"{profile.path}: modes.{min(lacking)}: {hardware.name} has no such mode; it has {', '.join(modes)}"
        )
    modes |= {name: merge_mode(modes.get(name), mode) for name, mode in profile.modes.items() if name not in lacking}
    return msgspec.structs.replace(
        hardware,
        values=without_reach(hardware.values, profile.values) | profile.values,
        modes=modes,
        profile=profile.name,
        stack=profile.name if profile.software else hardware.stack,
        replicates=profile.replicates,
        algorithms=profile.algorithms if profile.algorithms.names else hardware.algorithms,
    )
