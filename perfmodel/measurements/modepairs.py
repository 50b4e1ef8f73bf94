"""Pairs of predicted rows in two launch modes: what a change of mode brings, beside the measured ratio."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import msgspec

from perfmodel.measurements.predictions import Predicted
from perfmodel.measurements.rows import Row
from perfmodel.specifications.storage import read_weights, spelled


class ModePair(msgspec.Struct, frozen=True):
    """Two rows of one question in different modes; the slower as measured comes first."""

    slower: Predicted
    faster: Predicted

    @property
    def measured(self) -> float:
        """The measured ratio of the times [-]."""
        return self.slower.row.time_per_step / self.faster.row.time_per_step

    @property
    def predicted(self) -> float:
        """The predicted ratio of the times [-]."""
        return self.slower.time / self.faster.time

    @property
    def error(self) -> float:
        """Predicted over measured ratio, less 1 [-]."""
        return self.predicted / self.measured - 1

    def to_dict(self) -> dict[str, Any]:
        """Return the pair as plain values."""
        return {
            "slower": self.slower.row.id,
            "faster": self.faster.row.id,
            "modes": [self.slower.row.mode, self.faster.row.mode],
            "measured": self.measured,
            "predicted": self.predicted,
            "error": self.error,
        }


def mode_pairs(predicted: Sequence[Predicted]) -> list[ModePair]:
    """Return the pairs of rows that differ in the launch mode alone, in whichever spelling their formats stand.

    Where several rows are of one question and mode, that of the median time stands for them.
    """
    by_question: dict[tuple[Any, ...], list[Predicted]] = {}
    for one in predicted:
        by_question.setdefault(_question(one.row), []).append(one)
    found = []
    for rows in by_question.values():
        by_mode: dict[str, list[Predicted]] = {}
        for one in rows:
            by_mode.setdefault(one.row.mode, []).append(one)
        for pair in combinations(map(_median, by_mode.values()), 2):
            slower, faster = sorted(pair, key=lambda p: -p.row.time_per_step)
            found.append(ModePair(slower, faster))
    return found


def _median(rows: Sequence[Predicted]) -> Predicted:
    """Return the row whose time stands in the middle, the quicker of two."""
    return sorted(rows, key=lambda p: p.row.time_per_step)[(len(rows) - 1) // 2]


def _question(row: Row) -> tuple[Any, ...]:
    formats = tuple(spelled(read_weights(text, row.id)) if text else "" for text in (row.weight_format, row.kv_format))
    return row.model, row.hardware, row.devices, row.parallel, *formats, row.batch, row.context, row.settings
