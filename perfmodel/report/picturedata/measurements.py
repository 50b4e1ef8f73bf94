"""Published measurements beside their predictions."""

from collections.abc import Iterable

from perfmodel.errors import SpecificationError
from perfmodel.estimates.answers import Estimate
from perfmodel.measurements.rows import Row, all_rows
from perfmodel.measurements.validation import validate
from perfmodel.report.picturedata.captions import question_of
from perfmodel.report.picturedata.records import Caption, Measured, Validated


def measurements_near(answer: Estimate) -> tuple[Row, ...]:
    """Return the published measurements of the same model on any device, and of the same device with any model."""
    question = question_of(answer)
    return tuple(
        row for row in all_rows() if row.model == question.model.name or row.hardware == question.hardware.name
    )


def validation(rows: Iterable[Row], what: str = "") -> Validated:
    """Return predictions from first principles beside the measurements of `rows`.

    Raises SpecificationError where none of them can be predicted.
    """
    result = validate(rows)
    if result.over_rows is None:
        raise SpecificationError(
            "validation: no published measurement of these that could be predicted; `perfmodel validate` lists all"
        )
    points = tuple(
        Measured(p.row.id, p.row.row_class or "other", p.row.time_per_step, p.time, p.low, p.high)
        for p in result.predicted
    )
    sources = len(result.sources)
    question = (
        f"{len(points):,} measurements from {sources}"
        f" source{'s' if sources != 1 else ''}{f' of {what}' if what else ''}, predicted from specifications and launch"
        " modes, without profiles"
    )
    return Validated(Caption(question, ()), points, result.over_rows.median, result.over_rows.inside)
