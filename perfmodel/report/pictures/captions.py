"""The question and the assumptions of a picture in words."""

from collections.abc import Iterable

from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.results import Assumption
from perfmodel.report.pictures.picture import Caption
from perfmodel.report.words import how_many
from perfmodel.units import format_quantity


def question_line(answer: Estimate, *leave_out: str) -> str:
    """Return the question in one line; leave_out: devices, batch or context, where a picture goes over these."""
    several = answer.devices > 1 and "devices" not in leave_out
    shared = f" ({answer.parallel})" if several and "," in answer.parallel else ""
    parts = [
        f"{answer.model} on {how_many(answer.devices, answer.hardware) if several else ''}{answer.hardware}{shared}"
    ]
    if "batch" not in leave_out:
        parts.append(f"batch {answer.batch:,}")
    if "context" not in leave_out and not answer.asked.step:
        parts.append(f"context {answer.context:,}")
    parts.append(f"weights {answer.weight_format}")
    parts.append(
        f"a step is one {answer.asked.step} of each input" if answer.asked.step else f"cache {answer.kv_format}"
    )
    return ", ".join(parts)


def counted(answer: Estimate) -> str:
    """Return what the rates of an answer count: token, or step for a network that makes none."""
    return "step" if answer.asked.step else "token"


def rate_unit(answer: Estimate) -> str:
    """Return the unit of the rates of an answer."""
    return "steps/s" if answer.asked.step else "tok/s"


def assumption_text(assumption: Assumption) -> str:
    """Return an assumption as name, value and interval."""
    value, low, high = (
        format_quantity(x, assumption.unit, 3) for x in (assumption.value, assumption.low, assumption.high)
    )
    return f"{assumption.name} {value}" if low == high else f"{assumption.name} {value} ({low} to {high})"


def caption_of(question: str, assumptions: Iterable[Assumption]) -> Caption:
    """Return the caption of a picture that rests on `assumptions`, each of which is said once."""
    return Caption(question, tuple(assumption_text(a) for a in {a.name: a for a in assumptions}.values()))
