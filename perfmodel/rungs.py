"""Ladders of measurements climbed from their first rung: more devices, or larger batches, of one model on one stack and machine."""

from collections.abc import Iterable

from perfmodel.calibration import as_profile, calibrate
from perfmodel.profiles import find_profile
from perfmodel.validation import Predicted, Row, kind_of, predict, profile_of, why_not

# What a ladder climbs, by the first letter of its tag in validation/rows.csv.
CLIMBS = {"devices": "b-", "batch": "e-"}


def predicted_rungs(rows: Iterable[Row], climb: str) -> list[Predicted]:
    """Return every rung but the first of the ladders that climb in `climb`, each predicted with its ladder calibrated on the first.

    climb: 'devices' (tensor parallel; layers split over devices are no ladder) or 'batch'. The profile of the stack, or of
    its kind of software, is where the fit starts.
    """
    ladders: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        for tag in row.ladder:
            if tag.startswith(CLIMBS[climb]) and "pp=" not in row.parallel and why_not(row) is None:
                other = row.batch if climb == "devices" else row.devices
                context = row.context if climb == "devices" else 0  # batches of one ladder differ a little in length
                key = (tag, row.source_id, row.stack, row.engine, row.hardware, row.mode, row.model, row.weight_format, other, context)
                ladders.setdefault(key, []).append(row)
    predicted = []
    for members in ladders.values():
        first, *others = sorted(members, key=lambda row: (getattr(row, climb), row.id))
        higher = [row for row in others if getattr(row, climb) > getattr(first, climb)]
        if higher:
            name = profile_of(first)
            base = find_profile(name) if name else kind_of(first)
            fitted = as_profile(calibrate([first], base, leave_out=False), "first rung", base)
            predicted += [predict(row, fitted) for row in higher]
    return predicted
