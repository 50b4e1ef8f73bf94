"""The errors this package raises on purpose: each message is one line that a user can act on."""

from collections.abc import Iterable

_MOST_SHOWN = 10


class PerfModelError(Exception):
    """Something the caller gave cannot be used; the message says where, what, and what would be right."""


class UnknownNameError(PerfModelError):
    """A name that no catalogue, table or file knows."""


class SpecificationError(PerfModelError):
    """A hardware, model or profile file that cannot be read as one."""


class ValueRangeError(PerfModelError):
    """A value that is readable but outside what the quantity can be."""


class UsageError(PerfModelError):
    """Options that say too little, or contradict each other."""


class UnreadableValueError(SpecificationError, ValueRangeError):
    """An option's value that cannot be read as what it should be; on the command line that is wrong usage."""


class StoppedError(PerfModelError):
    """Somebody stopped long work; the message says what was kept, and how to go on."""


class OldNameWarning(DeprecationWarning):
    """A name of an earlier version was given, which is taken for a while."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ' (did you mean X?)' for the known name closest to `name`, or '' when none is close."""
    from difflib import get_close_matches

    folded = {str(candidate).lower(): str(candidate) for candidate in known}
    matches = get_close_matches(str(name).lower()[:100], folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[matches[0]]!r}?)" if matches else ""


def dotted(name: str, known: Iterable[str], what: str) -> str:
    """Return '; N WHAT begin or end so: a, b' for the dotted names that begin or end as `name` says, or ''.

    >>> dotted("speedup", ["speedup.value", "speedup.low", "model"], "columns")
    '; 2 columns begin or end so: speedup.value, speedup.low'
    """
    members = [
        each for each in dict.fromkeys(map(str, known)) if each.startswith(f"{name}.") or each.endswith(f".{name}")
    ]
    if not members or not name:
        return ""
    if len(members) == 1:
        return f" (did you mean {members[0]!r}?)"
    more = f" and {len(members) - _MOST_SHOWN} more" if len(members) > _MOST_SHOWN else ""
    return f"; {len(members)} {what} begin or end so: {', '.join(members[:_MOST_SHOWN])}{more}"


def shown(value: object, limit: int = 60) -> str:
    """Return `value` as it may stand in a one-line message: repr, printable, cut at `limit` characters."""
    text = ascii(value) if not isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
