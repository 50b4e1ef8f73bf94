"""What a shell offers after the tab key: names of the catalogues, modes, formats, profiles, keys.

Only files' names are read, so that it is quick.
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from perfmodel.errors import PerfModelError

if TYPE_CHECKING:
    from perfmodel.specifications.hardware import Hardware


def offered(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that begin as typed; in a comma list the last word is completed.

    >>> offered(["sn40l", "h100-sxm", "h100-nvl"], "sn40l,h1")
    ['sn40l,h100-sxm', 'sn40l,h100-nvl']
    """
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


def models(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the models of the catalogue."""
    from perfmodel.specifications.catalogue import names

    return offered(names("models"), incomplete)


def devices(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the devices of the catalogue."""
    from perfmodel.specifications.catalogue import names

    return offered(names("hardware"), incomplete)


def typed_device() -> "Hardware | None":
    """Return the device on the line that is being completed.

    An option without its value yet hides the arguments from the parser.
    """
    from perfmodel.specifications.catalogue import find_hardware, names

    line = os.environ.get("COMP_WORDS", "") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = [word for word in line.split()[2:] if not word.startswith("-")]
    known = set(names("hardware"))
    if exact := next((word for word in words if word in known), None):
        return find_hardware(exact)
    # An alias, a name as drivers print it, or a file: the second word is the device.
    for word in words[1:2]:
        try:
            return find_hardware(word)
        except PerfModelError:
            return None
    return None


def modes(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the launch modes of the device that was typed before; all modes where it is not known."""
    from perfmodel.specifications.parameters import MODES

    device = typed_device()
    return offered(MODES if device is None else device.modes, incomplete)


def formats(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the storage formats."""
    from perfmodel.specifications.formats import format_names

    return offered(format_names(), incomplete)


def weights(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the storage formats, file types of GGUF, and parts of a model."""
    from perfmodel.specifications.filetypes import FILE_TYPES
    from perfmodel.specifications.formats import format_names
    from perfmodel.specifications.storage import PARTS

    # After = comes a format, after + a part, and both may stand at the beginning.
    cut = max(incomplete.rfind(mark) for mark in "+=,") + 1
    names, parts = dict.fromkeys([*format_names(), *FILE_TYPES]), [f"{part}=" for part in PARTS]
    known = {"=": [*names], "+": parts}.get(incomplete[cut - 1 : cut], [*names, *parts])
    return [incomplete[:cut] + name for name in offered(known, incomplete[cut:])]


def profiles(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the profiles of software stacks."""
    from perfmodel.specifications.profiles import profile_names

    return offered(profile_names(), incomplete)


def settings(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the keys that --set takes: those of the device that was typed before."""
    from perfmodel.specifications.parameters import PARAMETERS

    device = typed_device()
    keys: Iterable[str] = (
        (parameter.key for parameter in PARAMETERS if "*" not in parameter.key) if device is None else device.values
    )
    return [] if "=" in incomplete else [f"{key}=" for key in keys if key.startswith(incomplete)]


def unknowns(context: typer.Context, incomplete: str) -> list[str]:
    """Offer what solve takes as the unknown: whole numbers, the boundary, and the keys of the device."""
    from perfmodel.analysis.roots import WHOLE

    keys = [setting.removesuffix("=") for setting in settings(context, incomplete)]
    return offered(("boundary", *WHOLE), incomplete) + keys


def questions(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the questions that solve knows by name."""
    from perfmodel.analysis.targets import NAMED

    return offered(NAMED, incomplete)


def columns(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the columns of an answer."""
    from perfmodel.report.files.delimited import DEFAULT_COLUMNS

    return offered(("all", *DEFAULT_COLUMNS), incomplete)


def pictures(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the kinds of pictures."""
    from perfmodel.report.pictures.kinds import CHOICE_KINDS, COMMAND_KINDS, KINDS

    return offered((*KINDS, *CHOICE_KINDS, *COMMAND_KINDS), incomplete)


def figures(_: typer.Context, incomplete: str) -> list[str]:
    """Offer the figures of an answer."""
    from perfmodel.estimates.figures import FIGURES

    return offered(FIGURES, incomplete)
