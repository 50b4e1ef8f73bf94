"""The parameters a hardware file may hold: those of the device and those of its software, found by their keys.

Everything that needs to know what a key is reads it here: the file reader, `--set`, the interval
(which end of a parameter is the slow one), the assumptions of an answer, and the documents.
A `*` stands for one name: a storage format, a launch mode, a collective or an algorithm of collectives.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

from perfmodel.errors import UnknownNameError, ValueRangeError, dotted, nearest, shown
from perfmodel.specifications.devicekeys import DEVICE_KEYS
from perfmodel.specifications.keys import Parameter
from perfmodel.specifications.softwarekeys import SOFTWARE_KEYS

# The last is for a user's own file, where a plain value is enough; the catalogue says where its values come from.
KINDS = ("datasheet", "measured", "derived", "assumed", "given")
MODES = ("eager", "stream", "graph", "pdl", "layer-fused", "looped", "megakernel-generated", "megakernel")
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send")
ALGORITHMS = ("one-shot", "two-shot", "in-network", "ring", "tree", "torus")
PARAMETERS: tuple[Parameter, ...] = (*DEVICE_KEYS, *SOFTWARE_KEYS)

_EXACT = {p.key: p for p in PARAMETERS if "*" not in p.key}
_PATTERNS = {p.key: p for p in PARAMETERS if "*" in p.key}


@lru_cache(maxsize=4096)
def lookup(path: str) -> Parameter | None:
    """Return the parameter that the dotted `path` names, or None; an exact key wins over a pattern."""
    if not isinstance(path, str):
        return None
    if path in _EXACT:
        return _EXACT[path]
    parts = path.split(".")
    for place, part in enumerate(parts):
        parameter = _PATTERNS.get(".".join((*parts[:place], "*", *parts[place + 1 :])))
        if parameter is not None and part:
            if parts[0] == "modes" and part not in MODES:
                return None
            if parts[0] == "collectives" and part not in (*COLLECTIVES, *ALGORITHMS):
                return None
            return parameter
    return None


def largest(path: str) -> float:
    """Return the largest value that the parameter `path` may have, in its base unit."""
    parameter = lookup(path)
    return parameter.most if parameter is not None else math.inf


def unknown_key(path: str, known: object, where: str) -> UnknownNameError:
    """Return the error for a key that is no parameter, with the nearest of `known` and of the table."""
    from perfmodel.specifications.othernames import key_meant

    path = str(path)
    candidates = [
        *known,
        *_EXACT,
        *(p.key.replace("*", part) for p in PARAMETERS if "*" in p.key for part in path.split(".")[1:]),
    ]  # type: ignore[misc]
    held = list(known) if isinstance(known, Iterable) else []
    modes = dict.fromkeys(key.split(".")[1] for key in held if key.startswith("modes."))
    of_modes = [p.key.replace("*", mode) for p in PARAMETERS if p.key.startswith("modes.*") for mode in modes]
    # The device's own come first.
    close = dotted(path, held, "keys") or dotted(path, of_modes, "keys") or dotted(path, _EXACT, "keys")
    if not close and (called := key_meant(path)):
        close = f" (here it is {called})"
    close = close or nearest(path, [c for c in candidates if lookup(c)])
    return UnknownNameError(f"{where}: {shown(path)} is not a key of a hardware file{close}")


def check_range(value: float, parameter: Parameter, where: str, text: object) -> float:
    """Return `value` when `parameter` can hold it, else raise ValueRangeError that says what can be."""
    if parameter.least <= value <= parameter.most and not (parameter.positive and value == 0):
        return value
    lower = f"at least {parameter.least:g}" if parameter.least or not parameter.positive else "more than 0"
    upper = f" and at most {parameter.most:g}" if parameter.most < 1e30 else ""
    raise ValueRangeError(f"{where}: {shown(text)} is out of range; {lower}{upper} is accepted")
