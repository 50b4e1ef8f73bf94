"""What is uncertain beside the parameters: what sources of a kind of software differ by, and one row from another."""

from collections.abc import Sequence

from perfmodel.estimates.intervals import Beyond
from perfmodel.estimates.known import BEYOND, LAUNCHES, Known, beyond_parts, shared_effects
from perfmodel.estimates.sides import PreparedSide


def _ratio(before: PreparedSide, after: PreparedSide, parts: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Return what widens the ratio of two sides beside the parameters; parts: spread and noise of either."""
    if before.hardware.stack != after.hardware.stack:
        return (*parts[0], *parts[1])
    modes = (before.mode.name, after.mode.name)
    if modes[0] == modes[1]:
        return ()
    # Of one side the factor may be known, which says nothing of kernels that are written anew.
    return parts[0][1:] if all(mode in LAUNCHES for mode in modes) else max(parts)


def beyond_of(before: PreparedSide, after: PreparedSide, known: Known | None = None) -> Beyond:
    """Return what widens times and speed-up beside the parameters: spread between sources of a kind, noise of a row.

    Two launches of one software's kernels share the spread, so that the ratio has the noise alone; kernels that are
    written anew, or launched by a framework, share neither; sides of different software have both of either. What a
    measured step differs by is known, and so is that part of the other side which it shares.
    """
    sides = (before, after)
    parts = [beyond_parts(side.hardware, side.mode.name) for side in sides]
    if known is None:
        return Beyond(parts[0], parts[1], _ratio(before, after, parts))
    shared = [shared_effects(side.hardware, side.mode.name, known) for side in sides]
    left = [
        tuple(part for key, part in zip(BEYOND, own, strict=False) if key not in effects)
        for own, effects in zip(parts, shared, strict=True)
    ]
    return Beyond(left[0], left[1], (*left[0], *left[1]), known.seen, (shared[0], shared[1]))
