"""What is known of a measurement's software stack without any fit.

Its kind, its profile, how its files store the parts of a model.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from perfmodel._layout import data_folder
from perfmodel.estimates.prepared import Prepared, prepare
from perfmodel.measurements.rows import Row
from perfmodel.operations import Formats
from perfmodel.operations.parallel import Parallel, read_parallel
from perfmodel.operations.storing import formats_of
from perfmodel.specifications.catalogue import find_hardware, find_model
from perfmodel.specifications.files import read_toml
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.profiles import Profile, profile_names, with_profile
from perfmodel.specifications.quantities import Quantity, parse_setting
from perfmodel.specifications.software import (
    DEFAULT_KIND,
    NO_SOFTWARE,
    Software,
    find_software,
    software_of,
    with_software,
)


class _Stacks(msgspec.Struct, frozen=True):
    """What validation/stacks.toml says.

    Stacks that quantise the head too, stacks with ggml files, software by stack, by version and by source, rows that
    stand apart, profiles by stack and by engine.
    """

    narrow_head: frozenset[str]
    ggml: frozenset[str]
    software: dict[str, str]
    versions: list[dict[str, str]]
    dated: list[dict[str, Any]]
    apart: list[dict[str, Any]]
    profiles: dict[str, str]
    engines: dict[str, str]


@lru_cache(maxsize=1)
def _stacks() -> _Stacks:
    raw = read_toml(data_folder("validation") / "stacks.toml")
    return _Stacks(
        frozenset(raw["narrow_head"]),
        frozenset(raw["ggml"]),
        {stack: name for name, stacks in raw["software"].items() for stack in stacks},
        raw["versions"],
        raw["dated"],
        raw["apart"],
        raw["profiles"],
        raw["engines"],
    )


def profile_of(row: Row) -> str | None:
    """Return the name of the profile for the software stack of a row, or None where none exists."""
    name = _stacks().engines.get(row.engine) or _stacks().profiles.get(row.stack)
    return name if name in profile_names() else None


@lru_cache(maxsize=4096)
def software_of_row(row: Row) -> str:
    """Return the kind and year of a row's software, as `--software` takes it.

    What its stack is, is known before it is measured: by the version that the row states, by the year of its source,
    else by the stack. A stack that nobody named is of the newest engines.
    """
    for rule in _stacks().dated:
        if _matches(rule, row):
            return str(rule["software"])
    for version in _stacks().versions:
        stated = re.match(re.escape(version["engine"]) + r"[ .v]*([0-9][0-9.]*)?", row.engine, re.IGNORECASE)
        if stated and stated[1] and _within(_numbers(stated[1]), version):
            return version["software"]
    return find_software(_stacks().software.get(row.stack, DEFAULT_KIND)).name


# What of a row, beside its software, decides what is predicted for it.
_ASKED = (
    *("model", "hardware", "devices", "parallel", "weight_format", "kv_format", "batch", "context"),
    *("engine", "mode", "stack", "settings", "calls"),
)


def question_of_row(row: Row) -> tuple[Any, ...]:
    """Return what a row asks: the same for all rows that have one prediction."""
    return software_of_row(row), *(getattr(row, name) for name in _ASKED)


def why_apart(row: Row) -> str:
    """Return why a row stands apart from the error table and the fit, '' where it does not."""
    return next((str(rule["reason"]) for rule in _stacks().apart if _matches(rule, row)), "")


def _matches(rule: Mapping[str, Any], row: Row) -> bool:
    """Whether a row has one of the values of every list in `rule`."""
    columns = {"sources": "source_id", "stacks": "stack", "engines": "engine", "modes": "mode", "models": "model"}
    columns |= {"weight_formats": "weight_format", "devices": "hardware", "ids": "id"}
    return all(getattr(row, column) in rule[key] for key, column in columns.items() if key in rule)


def _within(stated: tuple[int, ...], rule: Mapping[str, str]) -> bool:
    """Whether a version is one that a rule speaks of: from one on, below one, or both."""
    return _numbers(rule.get("from", "0")) <= stated and ("below" not in rule or stated < _numbers(rule["below"]))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


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


def row_parallel(row: Row, model: Model) -> Parallel:
    """Return how the devices of a row share the work; where layers are split, one device works at a time."""
    stated = read_parallel(row.parallel, model, row.devices) if row.parallel and "pp=" not in row.parallel else None
    return stated or Parallel(tensor=row.devices_at_work())


def row_hardware(
    row: Row, profile: Profile | None, software_named: Callable[[str], Software] = find_software
) -> Hardware:
    """Return the device of a row with its software, the overrides of `profile`, and what the row itself says over all.

    software_named: gives software by kind and year.
    Raises UnknownNameError or SpecificationError for a device or setting that does not exist.
    """
    hardware = find_hardware(row.hardware)
    software = software_of(hardware) if hardware.software == NO_SOFTWARE else software_named(software_of_row(row))
    if software is not None:
        hardware = with_software(hardware, software)
    if profile is not None:
        hardware = with_profile(hardware, profile)
    found = stated_settings(row, hardware)
    if row.calls:
        path = f"modes.{row.mode or hardware.default_mode}.calls"
        found[path] = parse_setting(path, row.calls, hardware.values, row.id)
    return hardware.replace_values(found)


def stated_settings(row: Row, hardware: Hardware) -> dict[str, Quantity]:
    """Return what a row says of its device in the column `settings`, by path; raise as `row_hardware` does."""
    settings = (setting.partition("=") for setting in row.settings.split(";") if setting)
    return {path: parse_setting(path, value, hardware.values, row.id) for path, _, value in settings}


def prepared_row(
    row: Row,
    profile: Profile | None = None,
    adjust: Callable[[Hardware], Hardware] | None = None,
    software_named: Callable[[str], Software] = find_software,
) -> Prepared:
    """Return the question that a row answers made ready, in its launch mode on both sides.

    The arguments are those of `predict` in validation.
    """
    model, hardware = find_model(row.model), row_hardware(row, profile, software_named)
    if adjust is not None:
        hardware = adjust(hardware)
    mode = row.mode or hardware.default_mode
    return prepare(model, hardware, row_parallel(row, model), row_formats(row, model), mode, mode, None)
