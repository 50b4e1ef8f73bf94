# ruff: noqa: INP001
"""How wide parameters and times are. Imported by writing.py.

The fit knows sums of parameters better than each of them: their errors go together. An interval takes them as
independent parts, so that each gets the share of its variance with which such parts make the fit's variance of a time.
"""

import math
from typing import Any

import numpy as np
from effects import PARAMETERS
from observations import Observations
from scipy.optimize import lsq_linear

from perfmodel._layout import data_folder
from perfmodel.estimates.intervals import ends_of
from perfmodel.estimates.prepared import prepare
from perfmodel.measurements.stacks import row_formats
from perfmodel.specifications.catalogue import find_hardware, find_model
from perfmodel.specifications.software import load_software, with_software

# Least share of a parameter's variance, what each share is drawn to one with, and what a time's variance is compared
# with.
_LEAST, _DRAWN, _BESIDE = 0.05, 0.05, 0.1**2


def independent_shares(fit: Any, covariance: np.ndarray) -> dict[str, float]:
    """Return the share of each parameter's variance with which they make, as independent parts, that of the times."""
    effects, rows = fit.effects, fit.effects.rows
    names = list(PARAMETERS)
    slopes = effects.slopes(fit.values)[1]
    # Of a file, `experts` is the loss itself, not that over a matrix; `matrix` is that of the others.
    of_file = slopes.copy()
    of_file[names.index("matrix")] -= slopes[names.index("experts")]
    table = np.zeros((rows, len(names)))
    for number, name in enumerate(names):
        parts = effects.parts[number * rows : (number + 1) * rows]
        if name == "experts":
            parts = parts + effects.parts[names.index("matrix") * rows : (names.index("matrix") + 1) * rows]
        own = np.asarray((parts @ covariance * parts.toarray()).sum(1)).ravel()
        table[:, number] = of_file[number] ** 2 * own
    whole = fit.variance(covariance, np.ones(rows, dtype=bool))
    weight = np.sqrt(fit.weight / fit.weight.sum()) / (whole + _BESIDE)
    drawn = _DRAWN * np.eye(len(names))
    found = lsq_linear(
        np.vstack([weight[:, None] * table, drawn]),
        np.concatenate([weight * whole, np.full(len(names), _DRAWN)]),
        bounds=(_LEAST, 1.0),
    )
    return dict(zip(names, found.x, strict=True))


def package_halves(seen: Observations) -> np.ndarray:
    """Return the half-width of the logarithm of each row's time, as the package has it with the files as they are."""
    software = {name: load_software(data_folder("software") / f"{name}.toml") for name in sorted(set(seen.software))}
    used: dict[tuple[str, str], Any] = {}
    halves = []
    for row, name in zip(seen.rows, seen.software, strict=True):
        key = row.hardware, name
        if key not in used:
            used[key] = with_software(find_hardware(row.hardware), software[name])
        hardware, model = used[key], find_model(row.model)
        mode = row.mode or hardware.default_mode
        prepared = prepare(model, hardware, row.devices_at_work(), row_formats(row, model), mode, mode, None)
        known = prepared.recording.run({"batch": row.batch, "context": row.context, "tokens": 1})
        ends = ends_of(prepared.recording, known, {})
        halves.append(math.log(ends.before_slow / ends.before_fast) / 2)
    return np.array(halves)
