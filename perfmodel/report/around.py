"""Everything around one answer: its pictures and the questions next to it."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, ValueRangeError
from perfmodel.estimates.answers import Estimate
from perfmodel.report.pictures.curves import Curves
from perfmodel.report.pictures.kinds import KINDS, picture_data
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.pictures.scatters import measurements_near
from perfmodel.specifications.parameters import MODES
from perfmodel.units import LARGEST_BATCH, MOST_DEVICES


class WhatIf(msgspec.Struct, frozen=True):
    """A question next to the one asked, and its answer."""

    change: str
    answer: Estimate


class Report(msgspec.Struct, frozen=True):
    """Everything a page about one answer shows."""

    answer: Estimate
    pictures: tuple[Picture, ...]
    what_ifs: tuple[WhatIf, ...]


def what_ifs(answer: Estimate) -> tuple[WhatIf, ...]:
    """Return the questions next to the one asked.

    Twice the devices, eight times the batch, half the boundary, other modes.
    """
    question = answer.prepared
    found: list[WhatIf] = []

    def add(change: str, **changes: Any) -> None:
        try:
            found.append(WhatIf(change, answer.replace(**changes)))
        except (SpecificationError, ValueRangeError):
            # The device lacks what this question needs, such as the figures of a link, or --parallel is for the number
            # asked.
            return

    if answer.devices * 2 <= MOST_DEVICES:
        add(f"{answer.devices * 2} devices", devices=answer.devices * 2)
    if answer.batch * 8 <= LARGEST_BATCH:
        add(f"batch {answer.batch * 8:,}", batch=answer.batch * 8)
    halves = {}
    for side in (question.before, question.after):
        for path, (group, quantity) in side.parameters.used.items():
            if group == "boundary" and path.rpartition(".")[2] in ("boundary", "bare", "ramp", "tail"):
                halves[path] = msgspec.structs.replace(
                    quantity, value=quantity.value / 2, low=quantity.low / 2, high=quantity.high / 2
                )
    add("each call boundary costs half", parameters={**(answer.asked.arguments["parameters"] or {}), **halves})
    for mode in MODES:
        if mode in question.hardware.modes and mode not in (answer.before.mode, answer.after.mode):
            add(f"{mode} instead of {answer.after.mode}", after=mode)
    return tuple(found)


def report_data(answer: Estimate) -> Report:
    """Return the pictures and what-ifs around `answer`.

    A picture of measurements only where some were published, one over devices only where their number can be another,
    those over context only where a step reads a cache.
    """
    left_out = set() if measurements_near(answer) else {"validation"}
    if answer.replace(context=answer.context + 1).bytes_per_step == answer.bytes_per_step:
        left_out |= {"context", "map"}
    kinds = [kind for kind in KINDS if kind not in left_out]
    pictures = []
    for kind in kinds:
        try:
            data = picture_data(kind, answer)
            if kind != "scaling" or (isinstance(data, Curves) and len(data.at) > 1):
                pictures.append(data)
        except SpecificationError:
            # Measurements there are, but none that can be predicted.
            if kind != "validation":
                raise
    return Report(answer, tuple(pictures), what_ifs(answer))
