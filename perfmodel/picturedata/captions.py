"""The question and the assumptions of a picture in words."""

from collections.abc import Iterable

from perfmodel.estimator import ask
from perfmodel.picturedata.records import Caption
from perfmodel.questions import Question
from perfmodel.results import Assumption, Estimate
from perfmodel.units import format_quantity


def question_line(answer: Estimate) -> str:
    """Return the question in one line."""
    devices = f"{answer.devices} x " if answer.devices > 1 else ""
    return f"{answer.model} on {devices}{answer.hardware}, batch {answer.batch:,}, context {answer.context:,}, weights {answer.weight_format}, cache {answer.kv_format}"


def assumption_text(assumption: Assumption) -> str:
    """Return an assumption as name, value and interval."""
    value, low, high = (format_quantity(x, assumption.unit, 3) for x in (assumption.value, assumption.low, assumption.high))
    return f"{assumption.name} {value}" if low == high else f"{assumption.name} {value} ({low} to {high})"


def caption_of(question: str, answers: Iterable[Estimate]) -> Caption:
    """Return the caption of a picture that `answers` went into."""
    # Several devices have assumptions that one has not.
    found = {assumption.name: assumption for answer in answers for assumption in answer.assumptions}
    return Caption(question, tuple(assumption_text(a) for a in found.values()))


def question_of(answer: Estimate) -> Question:
    """Return the prepared question behind an answer: its model, device, operations and calls."""
    arguments = {name: value for name, value in answer.asked.arguments.items() if name not in ("batch", "context")}
    return ask(**arguments)
