"""A measured row asked: its prediction, or the reason why there is none.

A row is asked either from first principles (specifications and modes only) or with the profile of its software stack.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from perfmodel.errors import PerfModelError
from perfmodel.estimates.columns import columns_of
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import prepared_row, question_of_row
from perfmodel.specifications.catalogue import find_hardware, find_model
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.profiles import Profile
from perfmodel.specifications.software import Software, find_software
from perfmodel.specifications.storage import read_weights

# Reasons why a row cannot be asked, in the order they are looked for.
REASONS = (
    "unknown model",
    "unknown device",
    "unknown format",
    "mode the device lacks",
    "parameter the device lacks",
    "profile that does not fit the device",
)


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """A row with its prediction.

    time, low, high [s]: value and interval; terms: where the time goes [s]; profile: '' for first principles.
    """

    row: Row
    time: float
    low: float
    high: float
    terms: Mapping[str, float]
    kernel_calls: int
    profile: str

    @property
    def error(self) -> float:
        """Predicted over measured time, less 1 [-]."""
        return self.time / self.row.time_per_step - 1

    @property
    def inside(self) -> bool:
        """Whether the measurement lies inside the interval."""
        return self.low <= self.row.time_per_step <= self.high

    @property
    def width(self) -> float:
        """High over low end of the interval, in time [-]."""
        return self.high / self.low


class Unasked(msgspec.Struct, frozen=True):
    """A row that cannot be asked. reason: one of `REASONS`."""

    row: Row
    reason: str


def predict(
    row: Row,
    profile: Profile | None = None,
    adjust: Callable[[Hardware], Hardware] | None = None,
    software_named: Callable[[str], Software] = find_software,
) -> Predicted:
    """Return the prediction for a row, with its kind of software and the overrides of `profile`.

    adjust: what else to change on the device, after the profile; software_named: gives software by kind and year.
    Raises UnknownNameError or SpecificationError for a row that cannot be asked.
    """
    side_of = prepared_row(row, profile, adjust, software_named)
    columns = columns_of(side_of, row.batch, row.context)
    return Predicted(
        row=row,
        time=float(columns["before.time_per_step"]),
        low=float(columns["before.high.time_per_step"]),
        high=float(columns["before.low.time_per_step"]),
        terms={name: float(columns[f"before.terms.{name}"]) for name in TERM_NAMES},
        kernel_calls=side_of.before.kernel_calls,
        profile="" if profile is None else profile.name,
    )


def plainly(row: Row) -> Predicted | Unasked:
    """Return the prediction for a row from first principles, or why it cannot be asked."""
    try:
        find_model(row.model)
    except PerfModelError:
        return Unasked(row, REASONS[0])
    try:
        device = find_hardware(row.hardware)
    except PerfModelError:
        return Unasked(row, REASONS[1])
    try:
        read_weights(row.weight_format or "bf16", row.id)
        storage_format(row.kv_format or "bf16", row.id)
    except PerfModelError:
        return Unasked(row, REASONS[2])
    if row.mode and row.mode not in device.modes:
        return Unasked(row, REASONS[3])
    try:
        return predict(row)
    except PerfModelError:
        return Unasked(row, REASONS[4])


def why_not(row: Row) -> Unasked | None:
    """Return why `row` cannot be asked, None where it can."""
    found = plainly(row)
    return found if isinstance(found, Unasked) else None


def once_each(rows: Iterable[Row], answer: Callable[[Row], Predicted | Unasked]) -> Iterator[Predicted | Unasked]:
    """Yield the answer for each row, worked out once for all rows of one question."""
    answers: dict[tuple[Any, ...], Predicted | Unasked] = {}
    for row in rows:
        key = question_of_row(row)
        if key not in answers:
            answers[key] = answer(row)
        yield msgspec.structs.replace(answers[key], row=row)
