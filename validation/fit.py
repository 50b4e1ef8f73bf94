# ruff: noqa: INP001
"""Fit what software brings over the published measurements, and write it to software/.

    python validation/fit.py              fits, and writes the values of software/*.toml
    python validation/fit.py --left-out   also predicts each source by a fit without it: validation/left_out.csv

A time is that of the package's equations for plain calls, with one number for each parameter of a kind of software, by
year, by architecture of the device and by format: a sum of effects on its logarithm (effects.py), each with a normal
prior around nothing, so that what few rows tell stays near what many do. How wide a prior is goes by the level of the
effect and is fitted too. Residuals of the logarithm of a time, and of ratios of two launch modes of one question, have
a Student distribution of three degrees of freedom. A source has no effect of its own: what it differs by would be lost
to what others learn of it. Rows of one source, software, device and mode count as few, and so do all of a source. Needs
numpy and scipy; takes half a minute, or some three more.
"""

import csv
import math
import sys
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from effects import SPREADS, Effects, kind_of
from fused import INSIDE
from observations import Observations
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags, vstack
from writing import STUDENT_PERCENTILE, write_software

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.measurements.rows import all_rows, read_rows

HERE = Path(__file__).resolve().parent
DEGREES, NOISE, PAIR_NOISE = 3.0, 0.06, 0.05
# Rows of one source, software, device, number of devices and mode count as themselves up to the first number, from
# there on by the power; then all of a source likewise.
FEW_ROWS, ROWS_POWER, FEW_OF_SOURCE, SOURCE_POWER = 3.0, 0.3, 10.0, 0.5
# Sources are left out in so many processes; each begins from a fit without a whole fold of sources.
PROCESSES, FOLDS = 2, 8
# What a step is damped by, one after the other, and the shortest part of it that is tried.
DAMPINGS, SHORTEST = (0.0, 0.03, 0.3, 3.0, 30.0), 0.02
# What a row of a headline, or of a pair whose engine is nobody's usual one, counts.
HEADLINE = 0.4
# Rounds in which the spreads of levels are fitted, and the effects that each starting spread counts as.
ROUNDS, STARTING = 8, 3.0
# What a share is rounded by, to a whole percent.
WHOLE_PERCENT = 0.005
# Levels whose spread is not fitted.
HELD = ("fixed", "one-shot")


class Fit:
    """A fit: the effects and what they predict. weight, pair_weight: of rows and pairs, 0 for those it has not seen."""

    def __init__(
        self,
        effects: Effects,
        spreads: dict[str, float],
        weight: np.ndarray,
        pairs: np.ndarray,
        start: np.ndarray | None = None,
        enough: float = 3e-3,
        most: int = 80,
    ) -> None:
        self.effects, self.spreads, self.seen = effects, spreads, effects.seen
        self.spread = np.array([spreads[level] for level in effects.levels])
        self.weight, self.pairs = weight, pairs
        first, second = pairs.T
        both = np.minimum(weight[first], weight[second])
        self._weights = np.concatenate([weight, both])
        self._noise = np.concatenate([np.full(len(weight), NOISE), np.full(len(pairs), PAIR_NOISE)])
        self.values = self._minimum(effects.mean if start is None else start, enough, most)

    def predicted(self) -> np.ndarray:
        """Return the logarithm of the time of each row."""
        return self.effects.predicted(self.values)

    def _residuals(self, predicted: np.ndarray) -> np.ndarray:
        """Return residuals over their noise, of times and then of ratios."""
        error = predicted - self.seen.logarithm
        first, second = self.pairs.T
        return np.concatenate([error, error[first] - error[second]]) / self._noise

    def loss(self, values: np.ndarray) -> float:
        """Return the negative logarithm of the posterior, but for a constant."""
        residual = self._residuals(self.effects.predicted(values))
        prior = ((values - self.effects.mean) / self.spread) ** 2
        return float(np.sum(self._weights * (DEGREES + 1) / 2 * np.log1p(residual**2 / DEGREES)) + prior.sum() / 2)

    def curvature(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and approximate Hessian of the loss."""
        now, slopes = self.effects.slopes(values)
        table = self.effects.by_effect(slopes)
        first, second = self.pairs.T
        both = diags(1 / self._noise) @ vstack([table, table[first] - table[second]])
        residual = self._residuals(now)
        heavy = self._weights * (DEGREES + 1) / (DEGREES + residual**2)
        gradient = both.T @ (heavy * residual) + (values - self.effects.mean) / self.spread**2
        counted = csr_matrix(diags(np.sqrt(heavy)) @ both)[heavy > 0]
        return gradient, (counted.T @ counted).toarray() + np.diag(1 / self.spread**2)

    def _minimum(self, start: np.ndarray, enough: float, most: int) -> np.ndarray:
        """Return the effects at the least loss, by Newton's steps from `start` until three gain less than `enough`.

        At a kink of a larger() a step may gain nothing at any length; then it is damped, towards the steepest descent.
        """
        values, loss, quiet = start.copy(), self.loss(start), 0
        for _ in range(most):
            gradient, hessian = self.curvature(values)
            for damping in DAMPINGS:
                step = -cho_solve(cho_factor(hessian + damping * np.diag(np.diag(hessian))), gradient)
                length = min(1.0, 1.5 / max(np.abs(step).max(), 1e-12))
                while length > SHORTEST and (after := self.loss(values + length * step)) >= loss:
                    length /= 2
                if length > SHORTEST:
                    break
            else:
                break
            values, gained, loss = values + length * step, loss - after, after
            quiet = quiet + 1 if gained < enough else 0
            if quiet > 2:
                break
        return values

    def covariance(self) -> np.ndarray:
        """Return the covariance of the effects."""
        return np.linalg.inv(self.curvature(self.values)[1])

    def variance(self, covariance: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the variance of what is predicted for some rows, a mask, by what the effects are uncertain by."""
        table = self.effects.by_effect(self.effects.slopes(self.values)[1])[rows].toarray()
        return np.einsum("ij,jk,ik->i", table, covariance, table, optimize=True)

    def refitted_spreads(self) -> dict[str, float]:
        """Return the spread of each level that its effects show: their mean square, and what each is uncertain by."""
        squares = (self.values - self.effects.mean) ** 2 + np.diag(self.covariance())
        levels = np.array(self.effects.levels)
        found = dict(self.spreads)
        for level in set(self.effects.levels) - set(HELD):
            of_level = squares[levels == level]
            total = of_level.sum() + STARTING * SPREADS[level] ** 2
            found[level] = math.sqrt(total / (len(of_level) + STARTING))
        return found


def weights_of(seen: Observations) -> np.ndarray:
    """Return what each row counts."""
    cells = list(
        zip(
            seen.source,
            seen.software,
            [(row.hardware, row.devices) for row in seen.rows],
            [row.mode for row in seen.rows],
            strict=True,
        )
    )
    rows = Counter(cells)
    size = {cell: _few(count, FEW_ROWS, ROWS_POWER) for cell, count in rows.items()}
    whole: Counter[str] = Counter()
    for cell, count in size.items():
        whole[cell[0]] += count
    trusted = {r.source_id: HEADLINE if r.trust == "C" or r.source_id.startswith("pair-") else 1.0 for r in seen.rows}
    return np.array(
        [
            trusted[cell[0]]
            * size[cell]
            / rows[cell]
            * _few(whole[cell[0]], FEW_OF_SOURCE, SOURCE_POWER)
            / whole[cell[0]]
            for cell in cells
        ]
    )


def _few(count: float, few: float, power: float) -> float:
    return count if count <= few else few * (count / few) ** power


def pairs_of(seen: Observations) -> np.ndarray:
    """Return the positions of two rows of one question and stack in different launch modes, one pair a line."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, row in enumerate(seen.rows):
        machine = (row.source_id, row.model, row.hardware, row.devices, row.parallel, row.stack)
        # Both sides of a pair of pairs.csv have its tag: another pair is another build.
        tag = row.ladder if row.source_id.startswith("pair-") else ""
        groups.setdefault((*machine, row.weight_format, row.batch, row.context, tag), []).append(number)
    found = [
        (one, other)
        for members in groups.values()
        for i, one in enumerate(members)
        for other in members[:i]
        if seen.mode[one] != seen.mode[other]
    ]
    return np.array(found, dtype=int).reshape(-1, 2)


def whole(seen: Observations) -> Fit:
    """Return the fit over all rows, with the spreads of levels that they show."""
    effects, pairs, weight = Effects(seen), pairs_of(seen), weights_of(seen)
    fit = Fit(effects, dict(SPREADS), weight, pairs, enough=0.05)
    for _ in range(ROUNDS):
        fit = Fit(effects, fit.refitted_spreads(), weight, pairs, fit.values, enough=0.05)
    return Fit(effects, fit.spreads, weight, pairs, fit.values)


def fold_of(fit: Fit, source: str) -> list[str]:
    """Return the sources of the fold of a source."""
    known = sorted(set(fit.seen.source))
    return known[known.index(source) % FOLDS :: FOLDS]


def without(fit: Fit, sources: list[str], start: np.ndarray | None = None) -> Fit:
    """Return the fit over all rows but those of some sources. The spreads of levels are those of all.

    One source is left out from where a fit without its fold ended, so that it begins with nothing that the source told.
    """
    weight = np.where(np.isin(fit.seen.source, sources), 0.0, fit.weight)
    begin, most = (fit.values, 40) if start is None else (start, 12)
    return Fit(fit.effects, fit.spreads, weight, fit.pairs, begin, enough=0.1, most=most)


def left_out(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithm of the time of each row as a fit without its source predicts it, and its variance."""
    source_of = np.array(fit.seen.source)
    found, variance = np.zeros(len(source_of)), np.zeros(len(source_of))
    folds = [fold_of(fit, source) for source in sorted(set(source_of))[:FOLDS]]
    # What is forked has the fit; it is not sent.
    with get_context("fork").Pool(PROCESSES, initializer=_FORKED.append, initargs=(fit,)) as pool:
        for fold in pool.imap(_predicted_without, folds):
            for source, times, squares in fold:
                own = source_of == source
                found[own], variance[own] = times, squares
                error = np.median(np.abs(np.expm1(times - fit.seen.logarithm[own])))
                sys.stdout.write(f"{source:32s} {own.sum():4d} rows, median error {error:.1%}\n")
            sys.stdout.flush()
    return found, variance


_FORKED: list[Fit] = []


def _predicted_without(fold: list[str]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    fit = _FORKED[-1]
    start, found = without(fit, fold).values, []
    for source in fold:
        other = without(fit, [source], start)
        own = np.array(fit.seen.source) == source
        found.append((source, other.predicted()[own], other.variance(other.covariance(), own)))
    return found


def half_widths(variance: np.ndarray, deviation: np.ndarray | float) -> np.ndarray:
    """Return the half-width of the logarithm of times, to their 95th percentile [-].

    What many rows tell of the parameters is normal; what they do not explain has the tails of a Student distribution.
    """
    return np.hypot(NORMAL_PERCENTILE * np.sqrt(variance), STUDENT_PERCENTILE * deviation)


def beyond(seen: Observations, error: np.ndarray, variance: np.ndarray) -> dict[str, float]:
    """Return by kind of software the standard deviation of what parameters do not explain [-].

    The least with which intervals of sources left out hold INSIDE of their rows to a whole percent, each source counted
    once.
    """
    kinds = np.array([kind_of(software) for software in seen.software])
    found = {}
    for kind in sorted(set(kinds)):
        sources: dict[str, list[int]] = {}
        for i in np.flatnonzero(kinds == kind):
            sources.setdefault(seen.source[i], []).append(i)

        def held(deviation: float, sources: dict[str, list[int]] = sources) -> float:
            half = half_widths(variance, deviation)
            return float(np.mean([np.mean(np.abs(error[rows]) <= half[rows]) for rows in sources.values()]))

        found[kind] = next(float(d) for d in np.arange(0.03, 1.0, 0.005) if held(d) >= INSIDE - WHOLE_PERCENT)
    return found


def write_left_out(path: Path, fit: Fit, predicted: np.ndarray, variance: np.ndarray) -> dict[str, float]:
    """Write left_out.csv with low and high of each prediction; return `beyond` by kind."""
    seen = fit.seen
    deviations = beyond(seen, predicted - seen.logarithm, variance)
    apart = np.array([deviations[kind_of(software)] for software in seen.software])
    half = half_widths(variance, apart)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "source_id", "software", "mode", "measured", "predicted", "low", "high"))
        for i, row in enumerate(seen.rows):
            ends = (f"{math.exp(predicted[i] + end):.6g}" for end in (0.0, -half[i], half[i]))
            writer.writerow((row.id, row.source_id, seen.software[i], seen.mode[i], repr(row.time_per_step), *ends))
    return deviations


def main(arguments: list[str]) -> int:
    """Fit, write software/, and with --left-out validation/left_out.csv."""
    begun = time.monotonic()
    seen = Observations([*all_rows(), *read_rows(HERE / "pairs.csv")])
    fit = whole(seen)
    sys.stdout.write(
        f"{len(seen.rows)} rows of {len(set(seen.source))} sources, {len(fit.pairs)} pairs,"
        f" {len(fit.effects.names)} effects\n"
    )
    for reason, count in seen.refused.most_common():
        sys.stdout.write(f"not fitted: {count} rows: {reason}\n")
    error = np.abs(np.expm1(fit.predicted() - seen.logarithm))
    sys.stdout.write(
        f"median error over rows that were fitted: {np.median(error):.1%}; loss {fit.loss(fit.values):.1f}\n"
    )
    path = HERE / "left_out.csv"
    if "--left-out" in arguments:
        deviations = write_left_out(path, fit, *left_out(fit))
        sys.stdout.write("beyond the parameters: " + ", ".join(f"{k} {v:.3f}" for k, v in deviations.items()) + "\n")
    write_software(fit, path)
    sys.stdout.write(f"{time.monotonic() - begun:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
