"""Ladders of measurements: launch modes of one question, and devices or batches climbed from their first rung."""

from collections.abc import Iterable
from typing import Any

import msgspec

from perfmodel.measurements.calibration import as_profile, calibrate
from perfmodel.measurements.predictions import Predicted, predict, why_not
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import profile_of
from perfmodel.specifications.parameters import MODES
from perfmodel.specifications.profiles import find_profile

_LAUNCH_ORDER = MODES

# What a ladder climbs, by the first letter of its tag in validation/rows.csv.
CLIMBS = {"devices": "b-", "batch": "e-"}


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """Two launch modes on one machine and model: measured and predicted times [s] of the first over the second."""

    name: str
    modes: tuple[str, str]
    rows: tuple[str, str]
    measured: float
    predicted: float

    @property
    def right_order(self) -> bool:
        """Whether the faster of the two is the one that was measured to be."""
        return (self.measured > 1) == (self.predicted > 1)

    @property
    def error(self) -> float:
        """Predicted over measured ratio, less 1 [-]."""
        return self.predicted / self.measured - 1


def ladders(predicted: Iterable[Predicted]) -> list[Ladder]:
    """Return every pair of launch modes of one source that answer the same question otherwise, slower mode first.

    Rows that differ by less than a hundredth in time tell no order and make no pair.
    """
    groups: dict[tuple[Any, ...], list[Predicted]] = {}
    for p in predicted:
        r = p.row
        if any(tag.startswith("a-") for tag in r.ladder):
            groups.setdefault(
                (
                    r.source_id,
                    r.model,
                    r.hardware,
                    r.devices,
                    r.parallel,
                    r.weight_format,
                    r.weight_format_source,
                    r.batch,
                    r.context,
                ),
                [],
            ).append(p)
    found: list[Ladder] = []
    for key, members in groups.items():
        for i, one in enumerate(members):
            for other in members[:i]:
                slow, fast = (
                    (one, other)
                    if _LAUNCH_ORDER.index(one.row.mode) < _LAUNCH_ORDER.index(other.row.mode)
                    else (other, one)
                )
                measured = slow.row.time_per_step / fast.row.time_per_step
                if one.row.mode != other.row.mode and not 0.99 < measured < 1.01:
                    found.append(
                        Ladder(
                            name=" ".join(str(part) for part in key[:4]),
                            modes=(slow.row.mode, fast.row.mode),
                            rows=(slow.row.id, fast.row.id),
                            measured=measured,
                            predicted=slow.time / fast.time,
                        )
                    )
    return found


def ladders_climbing(rows: Iterable[Row], climb: str) -> list[list[Row]]:
    """Return the ladders that climb in 'devices' (tensor parallel) or 'batch': the first rung, then the higher ones.

    Layers split over devices are no ladder; a rung that is alone makes none.
    """
    ladders: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        for tag in row.ladder:
            if tag.startswith(CLIMBS[climb]) and "pp=" not in row.parallel and why_not(row) is None:
                other = row.batch if climb == "devices" else row.devices
                context = row.context if climb == "devices" else 0  # batches of one ladder differ a little in length
                key = (
                    tag,
                    row.source_id,
                    row.stack,
                    row.engine,
                    row.hardware,
                    row.mode,
                    row.model,
                    row.weight_format,
                    other,
                    context,
                )
                ladders.setdefault(key, []).append(row)
    found = []
    for members in ladders.values():
        first, *others = sorted(members, key=lambda row: (getattr(row, climb), row.id))
        higher = [row for row in others if getattr(row, climb) > getattr(first, climb)]
        if higher:
            found.append([first, *higher])
    return found


def predicted_rungs(rows: Iterable[Row], climb: str) -> list[Predicted]:
    """Return every rung but the first of the ladders that climb in `climb`, each calibrated on the first.

    The profile of the stack, or of its kind of software, is where the fit starts.
    """
    predicted = []
    for first, *higher in ladders_climbing(rows, climb):
        name = profile_of(first)
        base = find_profile(name) if name else None
        fitted = as_profile(calibrate([first], base, leave_out=False), "first rung", base)
        predicted += [predict(row, fitted) for row in higher]
    return predicted
