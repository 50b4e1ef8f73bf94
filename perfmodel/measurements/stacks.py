"""What is known of a measurement's software stack without any fit.

Its kind, its profile, how its files store the parts of a model.
"""

from functools import lru_cache

import msgspec

from perfmodel._layout import data_folder
from perfmodel.measurements.rows import Row
from perfmodel.operations import Formats
from perfmodel.operations.storing import formats_of
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.specifications.files import read_toml
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.profiles import Profile, find_profile, profile_names, with_profile
from perfmodel.specifications.quantities import parse_setting


class _Stacks(msgspec.Struct, frozen=True):
    """What validation/stacks.toml says.

    Stacks that quantise the head too, stacks with ggml files, kinds of software, profiles by stack and by engine.
    """

    narrow_head: frozenset[str]
    ggml: frozenset[str]
    kinds: dict[str, str]
    profiles: dict[str, str]
    engines: dict[str, str]


@lru_cache(maxsize=1)
def _stacks() -> _Stacks:
    raw = read_toml(data_folder("validation") / "stacks.toml")
    return _Stacks(
        frozenset(raw["narrow_head"]),
        frozenset(raw["ggml"]),
        {stack: kind for kind, stacks in raw["kinds"].items() for stack in stacks},
        raw["profiles"],
        raw["engines"],
    )


def profile_of(row: Row) -> str | None:
    """Return the name of the profile for the software stack of a row, or None where none exists."""
    name = _stacks().engines.get(row.engine) or _stacks().profiles.get(row.stack)
    return name if name in profile_names() else None


def kind_of(row: Row) -> Profile | None:
    """Return the profile of the kind of software that a row's stack is, such as a server.

    None for engines like any other.

    It rests on no single stack and is part of predicting from first principles: what a server is, is known before it is
    measured.
    """
    name = _stacks().kinds.get(row.stack)
    return find_profile(name) if name else None


def row_formats(row: Row, model: Model) -> Formats:
    """Return the storage formats of a row: those stated, but for parts that its software stack keeps in another."""
    weights = row.weight_format or None
    published = formats_of(model, None, row.kv_format or None)
    if weights == published.weights:
        # What the experts of a published model have says nothing of its other parts, but for files of ggml.
        weights = "mxfp4_moe" if weights == "mxfp4" and row.stack in _stacks().ggml else None
    formats = formats_of(model, weights, row.kv_format or None)
    if row.stack in _stacks().narrow_head:
        narrow = msgspec.structs.replace(formats.storage, head=formats.storage.dense)
        return msgspec.structs.replace(formats, storage=narrow)
    return formats


def row_hardware(row: Row, profile: Profile | None) -> Hardware:
    """Return the device of a row, with the overrides of `profile`, and what the row itself says over both.

    Raises UnknownNameError or SpecificationError for a device or setting that does not exist.
    """
    hardware = find_hardware(row.hardware)
    if profile is not None:
        hardware = with_profile(hardware, profile)
    settings = (setting.partition("=") for setting in row.settings.split(";") if setting)
    return hardware.replace_values(
        {path: parse_setting(path, value, hardware.values, row.id) for path, _, value in settings}
    )
