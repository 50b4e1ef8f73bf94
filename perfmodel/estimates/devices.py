"""The device of a question as the software of either side uses it, with what-ifs and counted kernel calls."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from perfmodel.errors import SpecificationError, UsageError, shown
from perfmodel.estimates.options import OPTION
from perfmodel.specifications.devicetables import FUSED_STYLES
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.quantities import Quantity, parse_setting
from perfmodel.specifications.software import on_own_mode, software_in_use, software_of, with_software
from perfmodel.units import whole_number

if TYPE_CHECKING:
    from perfmodel.specifications.profiles import Profile


def count(value: object, name: str) -> int:
    """Return `value` of the option `name` as an int; raise ValueRangeError unless it is a whole number in its range."""
    return whole_number(value, name, OPTION[name].least, OPTION[name].most)


# What stands before a parameter of which the after side has a value of its own.
AFTER = "after:"


def devices_of(device: Hardware, given: Mapping[str, Any]) -> tuple[Hardware, Hardware]:
    """Return a device as the software before and the software after use it, with what-ifs; one object where they agree.

    A what-if of a name that begins with after: is one of the after side alone.
    """
    profile, other = (_profile(given[name], OPTION[name].flag) for name in ("profile", "after_profile"))
    before = _with_software(device, given["software"], profile, "--software")
    after = before
    if given["after_software"] or given["after_profile"]:
        # A profile stands over the software before where it names none of its own.
        named = given["after_software"] or (None if other is None else other.software)
        usual = given["software"] or (None if profile is None else profile.software)
        option = "--after-software" if given["after_software"] else "--software"
        after = _with_software(device, named or usual, other, option)
    if given["parameters"]:
        settings = given["parameters"]
        check_settings(settings)
        own = {key.removeprefix(AFTER): value for key, value in settings.items() if key.startswith(AFTER)}
        shared = {key: value for key, value in settings.items() if not key.startswith(AFTER)}
        same = after is before
        before = _with_settings(before, shared)
        after = before if same and not own else _with_settings(after, shared | own)
    return (before, after) if given["calls"] is None else _with_calls(before, after, given)


def _with_calls(before: Hardware, after: Hardware, given: Mapping[str, Any]) -> tuple[Hardware, Hardware]:
    """Return both devices with the kernel calls of a step as they were counted before.

    An after side of the same software whose kernels are cut alike makes as many.
    """
    number = float(count(given["calls"], "calls"))
    counted = Quantity(low=number, value=number, high=number, unit="1", kind="given", source="counted by the caller")
    name = given["before"] or before.default_mode
    launched, other = before.mode(name, "--before"), after.modes.get(given["after"])
    if launched.kernels in FUSED_STYLES:
        raise UsageError(f"--calls: {name} fuses layers; calls are counted of kernels that are launched one by one")
    alike = after is before and other is not None and other.kernels == launched.kernels
    modes = (name, given["after"]) if alike else (name,)
    used = before.replace_values({f"modes.{mode}.calls": counted for mode in modes})
    return used, used if after is before else after


def _profile(name: str | None, option: str) -> "Profile | None":
    """Return the profile that `option` names, None for None."""
    if name is None:
        return None
    from perfmodel.specifications.profiles import find_profile
    from perfmodel.specifications.renamed import still_called

    still_called(option, name)
    return find_profile(name, option)


def _with_software(device: Hardware, named: str | None, profile: "Profile | None", option: str) -> Hardware:
    """Return the device as the software that `option` names, or the usual one, uses it, and the profile over that."""
    asked = named or (profile.software if profile is not None else None)
    # A device that was handed on with its software already stands as that software, and what came after, left it.
    software = None if not asked and software_in_use(device) else software_of(device, asked, option)
    used = device if software is None else with_software(device, software)
    if software is not None and not asked:
        used = on_own_mode(used, device)
    if profile is None:
        return used
    from perfmodel.specifications.profiles import with_profile

    return with_profile(used, profile)


def check_settings(settings: object) -> None:
    """Raise SpecificationError unless `settings` is a mapping whose keys are texts."""
    if not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
        raise SpecificationError(
            f"parameters: expected keys such as 'memory.bandwidth' with values, found {shown(settings)}"
        )


def _with_settings(hardware: Hardware, settings: Mapping[str, Any]) -> Hardware:
    """Return the device with what-ifs set.

    Equal what-ifs on one device give one object, so that a question is prepared once.
    """
    check_settings(settings)
    try:
        return _settings_applied(hardware, tuple(sorted(settings.items())))
    except TypeError:
        raise SpecificationError(f"parameters: expected texts and numbers, found {shown(dict(settings))}") from None


@lru_cache(maxsize=256)
def _settings_applied(hardware: Hardware, settings: tuple[tuple[str, Any], ...]) -> Hardware:
    return hardware.replace_values(
        {
            path: value if isinstance(value, Quantity) else parse_setting(path, value, hardware.values)
            for path, value in settings
        }
    )
