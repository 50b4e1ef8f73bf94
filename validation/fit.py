# ruff: noqa: INP001, ARG001
"""Fit what software brings over the published measurements, and write it to software/.

    python validation/fit.py              fits, and writes the values of software/*.toml
    python validation/fit.py --left-out   also predicts each source by a fit without it: validation/left_out.csv

A time is that of the package's equations for plain calls, with one number for each parameter of a kind of software, by
year, by architecture of the device and by format: a sum of effects on its logarithm, each with a normal prior around
nothing, so that what few rows tell stays near what many do. Residuals of the logarithm of a time, and of ratios of two
launch modes of one question, have a Student distribution of three degrees of freedom. A source has an effect of its
own, and many rows of one source count as few. Needs numpy and scipy.
"""

import csv
import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from observations import Observations
from scipy.sparse import coo_matrix, csr_matrix, diags
from writing import write_software

from perfmodel.measurements.rows import all_rows, read_rows

HERE = Path(__file__).resolve().parent
DEGREES, NOISE, PAIR_NOISE, SOURCE = 3.0, 0.06, 0.05, 0.08
# A source's rows count as themselves up to so many, and from there on by the power of three tenths.
FEW_ROWS = 6.0
# What a row of a headline, or of a pair whose engine is nobody's usual one, counts.
HEADLINE = 0.4
# Hosts by the architecture of the device they hold.
HOSTS = {
    "ampere": "server-2020", "volta": "server-2020", "cdna2": "server-2020", "hopper": "server-2023", "blackwell": "server-2023",
    "cdna3": "server-2023", "cdna4": "server-2023", "jetson": "board", "trainium": "server-2020", "gaudi": "server-2020",
}  # fmt: skip
# Prior of each parameter by kind of software: host time and its part for a sequence, issue of a call in eager, rows of a tile.
HOST = {"engine": 40e-6, "framework": 500e-6, "server": 800e-6, "ggml": 100e-6, "python": 200e-6, "compiled": 200e-6}
SEQUENCE = {"server": 10e-6}
ISSUE = {"framework": 14e-6, "server": 20e-6}
TILE = {"server": 24.0, "framework": 8.0, "compiled": 24.0, "engine": 4.0, "python": 4.0, "ggml": 2.0}
# Parameters whose value differs by architecture: spread of the effect that all software shares there, and of its own.
BY_ARCHITECTURE = {
    "weights": (0.03, 0.03), "narrow": (0.1, 0.08), "kv": (0.15, 0.15), "stream": (0.15, 0.08), "host": (0.3, 0.2),
    "matrix": (0.3, 0.3), "exchange": (0.4, 0.2), "rise": (0.4, 0.2),
}  # fmt: skip


class Effects:
    """The effects that are fitted: names, prior means and spreads; and for each parameter and row those it sums."""

    def __init__(self, seen: Observations) -> None:
        self.names: list[str] = []
        self.mean: list[float] = []
        self.spread: list[float] = []
        self._index: dict[str, int] = {}
        self.parts: dict[str, np.ndarray] = {}
        for parameter, effects_of in PARAMETERS.items():
            self.parts[parameter] = np.array(
                [
                    [self._add(*effect) for effect in effects_of(software, architecture, mode, storage)]
                    for software, architecture, mode, storage in zip(
                        seen.software, seen.architecture, seen.mode, seen.format, strict=True
                    )
                ]
            )
        self.parts["source"] = np.array([[self._add(f"source {name}", 0.0, SOURCE)] for name in seen.source])

    def _add(self, name: str, mean: float, spread: float) -> int:
        if name not in self._index:
            self._index[name] = len(self.names)
            self.names.append(name)
            self.mean.append(mean)
            self.spread.append(spread)
        return self._index[name]

    def index(self, name: str) -> int | None:
        """Return the position of an effect, None where no row has it."""
        return self._index.get(name)


Effect = tuple[str, float, float]


def _architecture(parameter: str, software: str, architecture: str) -> list[Effect]:
    shared, own = BY_ARCHITECTURE[parameter]
    return [(f"{parameter} on {architecture}", 0.0, shared), (f"{parameter} {software} on {architecture}", 0.0, own)]


def _kind(software: str) -> str:
    return software.partition("-")[0]


def weights(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the reach of 16-bit weights [-]."""
    return [(f"weights {software}", math.log(0.97), 0.04), *_architecture("weights", software, architecture)]


def narrow(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the reach of weights below 16 bits [-]."""
    return [
        ("narrow", 0.0, 0.15),
        (f"narrow {storage}", 0.0, 0.15),
        (f"narrow {_kind(software)} {storage}", 0.0, 0.15),
        *_architecture("narrow", software, architecture),
    ]


def cache(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the reach of cache and state [-]."""
    return [("kv", 0.0, 0.2), (f"kv {software}", 0.0, 0.5), *_architecture("kv", software, architecture)]


def stream(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the rate of a unit [B/s]."""
    own = [(f"stream {software}", 0.0, 0.4), *_architecture("stream", software, architecture)]
    return [("stream", math.log(35e9), 0.2), *own]


def host(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the host time of a step [s]."""
    kind = _kind(software)
    own = [(f"host {software}", 0.0, 0.5), *_architecture("host", software, HOSTS.get(architecture, "desktop"))]
    return [(f"host {kind}", math.log(HOST[kind]), 0.7), *own]


def sequence(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the host time of a sequence [s]."""
    kind = _kind(software)
    return [(f"sequence {kind}", math.log(SEQUENCE.get(kind, 2e-6)), 0.7), (f"sequence {software}", 0.0, 0.4)]


def matrix(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the loss of a call with a matrix [s]."""
    own = [(f"matrix {software}", 0.0, 0.5), *_architecture("matrix", software, architecture)]
    return [("matrix", math.log(5e-6), 0.4), *own]


def experts(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the loss with experts' matrices over that of others [-]."""
    return [("experts", math.log(2.0), 0.4), (f"experts {_kind(software)}", 0.0, 0.4)]


def issue(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the host time to issue a call [s]."""
    if mode not in ("eager", "stream"):
        return [("issue of a graph", math.log(1e-9), 1e-9)] * 3
    kind, place = _kind(software), HOSTS.get(architecture, "desktop")
    usual = ISSUE.get(kind, 4e-6) if mode == "eager" else 3.5e-6
    name = f"issue {mode} {kind}"
    return [(name, math.log(usual), 0.4), (f"issue {place}", 0.0, 0.5), (f"issue {software} {mode} {place}", 0.0, 0.3)]


def tile(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the rows of a tile [-]."""
    kind = _kind(software)
    return [(f"tile {kind}", math.log(TILE[kind]), 0.7)]


def added(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the share of the shorter that is added [-]."""
    return [("added", math.log(0.5), 0.4)]


def exchange(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the what the library adds to a collective [s]."""
    own = [(f"exchange {software}", 0.0, 0.7), *_architecture("exchange", software, architecture)]
    return [("exchange", math.log(6e-6), 0.7), *own]


def rise(software: str, architecture: str, mode: str, storage: str) -> list[Effect]:
    """Return the effects on the what it adds for a doubling of the devices [s]."""
    own = [(f"rise {software}", 0.0, 0.7), *_architecture("rise", software, architecture)]
    return [("rise", math.log(2e-6), 0.7), *own]


PARAMETERS: dict[str, Callable[[str, str, str, str], list[Effect]]] = {
    "weights": weights, "narrow": narrow, "kv": cache, "stream": stream, "host": host, "sequence": sequence, "matrix": matrix,
    "experts": experts, "issue": issue, "tile": tile, "added": added, "exchange": exchange, "rise": rise,
}  # fmt: skip


def times(seen: Observations, number: dict[str, np.ndarray]) -> np.ndarray:
    """Return the time of each row [s] by (R1), (R2), (S1), (B1), (B2), (C4), (S2), as the package has it."""
    limit = number["stream"] * seen.units

    def rate(reach: np.ndarray, sustained: np.ndarray) -> np.ndarray:
        return np.minimum(np.minimum(reach * sustained, 1.0) * seen.bandwidth, limit)

    of = seen.of
    plain = rate(number["weights"], seen.sustained)[of]
    narrow_rate = rate(number["narrow"], seen.sustained_narrow)[of]
    cache_rate = rate(number["kv"], seen.sustained_cache)[of]
    # Activations move at what the memory sustains, whatever the kernels of the weights reach.
    moved = np.minimum(seen.sustained * seen.bandwidth, limit)[of]
    streaming = seen.plain / plain + seen.narrow / narrow_rate + seen.cache / cache_rate + seen.moved / moved
    padded = np.maximum(seen.flops, number["tile"][of] * (seen.plain + seen.narrow) * seen.matrix)
    arithmetic = padded / seen.arithmetic[of]
    both = np.maximum(streaming, arithmetic) + np.minimum(number["added"], 1.0)[of] * np.minimum(streaming, arithmetic)
    calls = np.bincount(of, both, len(seen.rows))
    lost = number["matrix"] * (seen.matrices + number["experts"] * seen.experts)
    exchanged = seen.exchange_time + seen.exchanges * (number["exchange"] + seen.doublings * number["rise"])
    busy = seen.calls_made * seen.boundary + lost + calls + exchanged + seen.sequences * number["sequence"]
    return number["host"] + np.maximum(busy, seen.calls_made * number["issue"])


class Fit:
    """A fit: the effects, their covariance, and what they predict. left_out: the source whose rows it has not seen."""

    def __init__(
        self, seen: Observations, effects: Effects, left_out: str | None = None, start: np.ndarray | None = None
    ) -> None:
        self.seen, self.effects = seen, effects
        self.mean, self.spread = np.array(effects.mean), np.array(effects.spread)
        counted = Counter(seen.source)
        size = {s: n if n <= FEW_ROWS else FEW_ROWS * (n / FEW_ROWS) ** 0.3 for s, n in counted.items()}
        trusted = {
            r.source_id: HEADLINE if r.trust == "C" or r.source_id.startswith("pair-") else 1.0 for r in seen.rows
        }
        self.weight = np.array([0.0 if s == left_out else trusted[s] * size[s] / counted[s] for s in seen.source])
        self.pairs = pairs_of(seen)
        self.values = self._minimum(self.mean if start is None else start)

    def predicted(self, values: np.ndarray, *, source: bool = False, moved: str = "") -> np.ndarray:
        """Return the logarithm of the time of each row, with the effect of its source or without."""
        logs = {
            name: values[parts].sum(1) + (1e-4 if name == moved else 0.0) for name, parts in self.effects.parts.items()
        }
        found = np.log(times(self.seen, {name: np.exp(log) for name, log in logs.items() if name != "source"}))
        return found + logs["source"] if source else found

    def slopes(self, values: np.ndarray) -> tuple[np.ndarray, csr_matrix]:
        """Return what is predicted with the effects of sources, and its derivatives by every effect."""
        now = self.predicted(values, source=True)
        rows, columns, numbers = [], [], []
        for name, parts in self.effects.parts.items():
            slope = (
                np.ones(len(now))
                if name == "source"
                else (self.predicted(values, source=True, moved=name) - now) / 1e-4
            )
            for part in parts.T:
                rows.append(np.arange(len(now)))
                columns.append(part)
                numbers.append(slope)
        shape = (len(now), len(values))
        table = coo_matrix((np.concatenate(numbers), (np.concatenate(rows), np.concatenate(columns))), shape)
        return now, table.tocsr()

    def _residuals(self, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return residuals over their noise, of times and then of ratios, and their weights."""
        alone = (predicted - self.seen.logarithm) / NOISE
        first, second = self.pairs.T if len(self.pairs) else (np.zeros(0, int), np.zeros(0, int))
        error = predicted - self.seen.logarithm
        ratios = (error[first] - error[second]) / PAIR_NOISE
        return np.concatenate([alone, ratios]), np.concatenate(
            [self.weight, np.minimum(self.weight[first], self.weight[second])]
        )

    def loss(self, values: np.ndarray) -> float:
        """Return the negative logarithm of the posterior, but for a constant."""
        residual, weight = self._residuals(self.predicted(values, source=True))
        prior = ((values - self.mean) / self.spread) ** 2
        return float(np.sum(weight * (DEGREES + 1) / 2 * np.log1p(residual**2 / DEGREES)) + prior.sum() / 2)

    def _curvature(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and approximate Hessian of the loss."""
        now, slopes = self.slopes(values)
        residual, weight = self._residuals(now)
        first, second = self.pairs.T if len(self.pairs) else (np.zeros(0, int), np.zeros(0, int))
        table = np.concatenate([np.full(len(now), NOISE), np.full(len(first), PAIR_NOISE)])
        from scipy.sparse import vstack

        both = diags(1 / table) @ vstack([slopes, slopes[first] - slopes[second]])
        heavy = weight * (DEGREES + 1) / (DEGREES + residual**2)
        gradient = both.T @ (heavy * residual) + (values - self.mean) / self.spread**2
        return gradient, (both.T @ diags(heavy) @ both).toarray() + np.diag(1 / self.spread**2)

    def _minimum(self, start: np.ndarray) -> np.ndarray:
        """Return the effects at the least loss, by Newton's steps from `start` on."""
        values = start.copy()
        loss = self.loss(values)
        for _ in range(80):
            gradient, hessian = self._curvature(values)
            step = -np.linalg.solve(hessian, gradient)
            length = min(1.0, 1.5 / max(np.abs(step).max(), 1e-12))
            while length > 1e-4 and (after := self.loss(values + length * step)) >= loss:
                length /= 2
            if length <= 1e-4:
                break
            values, gained, loss = values + length * step, loss - after, after
            if gained < 3e-3:
                break
        return values

    def covariance(self) -> np.ndarray:
        """Return the covariance of the effects."""
        return np.linalg.inv(self._curvature(self.values)[1])


def pairs_of(seen: Observations) -> np.ndarray:
    """Return the positions of two rows of one question and stack in different launch modes, one pair a line."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, row in enumerate(seen.rows):
        key = (
            row.source_id,
            row.model,
            row.hardware,
            row.devices,
            row.parallel,
            row.weight_format,
            row.batch,
            row.context,
        )
        groups.setdefault(key, []).append(number)
    found = [
        (one, other)
        for members in groups.values()
        for i, one in enumerate(members)
        for other in members[:i]
        if seen.mode[one] != seen.mode[other] and seen.rows[one].stack == seen.rows[other].stack
    ]
    return np.array(found, dtype=int).reshape(-1, 2)


def left_out(seen: Observations, effects: Effects, start: np.ndarray) -> np.ndarray:
    """Return the logarithm of the time of each row as a fit without its source predicts it."""
    found = np.zeros(len(seen.rows))
    for number, source in enumerate(sorted(set(seen.source))):
        own = np.array([s == source for s in seen.source])
        fit = Fit(seen, effects, source, start)
        found[own] = fit.predicted(fit.values)[own]
        error = np.abs(np.expm1(found[own] - seen.logarithm[own]))
        sys.stdout.write(f"{number + 1:3d} {source:18s} {own.sum():4d} rows, median error {np.median(error):.1%}\n")
        sys.stdout.flush()
    return found


def main(arguments: list[str]) -> int:
    """Fit, write software/, and with --left-out validation/left_out.csv."""
    rows = [*all_rows(), *(read_rows(HERE / "pairs.csv") if (HERE / "pairs.csv").exists() else ())]
    seen = Observations(rows)
    effects = Effects(seen)
    fit = Fit(seen, effects)
    sys.stdout.write(
        f"{len(seen.rows)} rows of {len(set(seen.source))} sources, {len(fit.pairs)} pairs, {len(effects.names)} effects\n"
    )
    for reason, count in seen.refused.most_common():
        sys.stdout.write(f"not fitted: {count} rows: {reason}\n")
    error = np.abs(np.expm1(fit.predicted(fit.values) - seen.logarithm))
    sys.stdout.write(
        f"median error over rows that were fitted: {np.median(error):.1%}; loss {fit.loss(fit.values):.1f}\n"
    )
    path = HERE / "left_out.csv"
    if "--left-out" in arguments:
        predicted = left_out(seen, effects, fit.values)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("id", "source_id", "software", "mode", "measured", "predicted"))
            for row, software, mode, log in zip(seen.rows, seen.software, seen.mode, predicted, strict=True):
                writer.writerow(
                    (row.id, row.source_id, software, mode, repr(row.time_per_step), f"{math.exp(log):.6g}")
                )
    write_software(fit, path if path.exists() else None)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
