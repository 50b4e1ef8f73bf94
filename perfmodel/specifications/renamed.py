"""Names of earlier versions: what stands for them now, and the version in which they stop working.

This table is the one home of such names. Who takes one asks `still_called`, which warns; the command line shows the
warning as a note. CONTRIBUTING.md says how a name comes here, and how it goes.
"""

import sys
import warnings
from typing import NamedTuple

from perfmodel.errors import OldNameWarning


class Renamed(NamedTuple):
    """now: what to write instead; until: the version that no longer takes the old name."""

    now: str
    until: str


# By what takes the name, as its option is written, and the old name.
RENAMED: dict[tuple[str, str], Renamed] = {
    ("--profile", "engine"): Renamed("--software engine-2025", "0.3"),
    ("--profile", "server"): Renamed("--software server-2025", "0.3"),
    ("--after-profile", "engine"): Renamed("--after-software engine-2025", "0.3"),
    ("--after-profile", "server"): Renamed("--after-software server-2025", "0.3"),
}
# Attributes that went with 0.2, since a checkpoint may now have any number of formats.
GONE = {
    "Model.expert_format": "recipe, and parts of an estimate",
    "Model.head_format": "recipe, and parts of an estimate",
}


def still_called(what: str, name: str) -> None:
    """Warn, as of the line that called perfmodel, where `what` is given a name that it takes for a while only.

    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     still_called("--profile", "server")
    >>> str(told[0].message)
    '--profile server is --software server-2025 now; the old name goes with version 0.3'
    """
    renamed = RENAMED.get((what, name))
    if renamed is not None:
        text = f"{what} {name} is {renamed.now} now; the old name goes with version {renamed.until}"
        warnings.warn(text, OldNameWarning, stacklevel=_outside())


def _outside() -> int:
    """Return how many calls up, from whoever calls this, the first one outside of the package is."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "perfmodel":
        frame, level = frame.f_back, level + 1
    return level


def gone(name: str) -> str:
    """Return the message about an attribute that there is not, with what stands for one of an earlier version.

    >>> gone("Model.head_format")
    'Model has no head_format since version 0.2; see recipe, and parts of an estimate'
    """
    owner, _, attribute = name.partition(".")
    if name in GONE:
        return f"{owner} has no {attribute} since version 0.2; see {GONE[name]}"
    return f"{owner!r} object has no attribute {attribute!r}"
