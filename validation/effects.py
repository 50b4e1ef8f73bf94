# ruff: noqa: INP001, ARG001
"""What the fit moves: each parameter of a kind of software as a sum of effects, and the time of a row that they give.

Imported by fit.py. An effect has a name, a mean and a level; effects of one level have one spread, which starts at
SPREADS and is fitted with them.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from observations import PLANS_AHEAD, Observations
from scipy.sparse import coo_matrix, csr_matrix

# Hosts by the architecture of the device they hold.
HOSTS = {
    "ampere": "server-2020", "volta": "server-2020", "cdna2": "server-2020", "hopper": "server-2023",
    "blackwell": "server-2023",
    "cdna3": "server-2023", "cdna4": "server-2023", "jetson": "board", "trainium": "server-2020",
    "gaudi": "server-2020",
}  # fmt: skip
# Means by kind of software: host time and its part for a sequence [s], issue of a call in eager and in stream [s], rows
# of a tile.
HOST = {"engine": 40e-6, "framework": 500e-6, "server": 800e-6, "ggml": 100e-6, "python": 200e-6, "compiled": 200e-6}
SEQUENCE = {"server": 10e-6}
# Host time where a step is planned while the one before runs [s].
PLANNING = 1000e-6
# A framework's call from Python, a server's module of several; ggml's launches and those from Python take 9 us by
# profiles.
EAGER_ISSUE = {"framework": 14e-6, "server": 40e-6}
STREAM_ISSUE = {"ggml": 9e-6, "python": 9e-6}
TILE = {"server": 24.0, "framework": 8.0, "compiled": 24.0, "engine": 4.0, "python": 4.0, "ggml": 2.0}
# Operations in vector units for each of a matrix with a further token, by chains of drafts (validation/drafts.py).
COLUMN = 2.75
# What kernels of few rows reach of the arithmetic rate that large products sustain [-].
ARITHMETIC = 0.8
# Software with one-shot kernels for small all-reduces, and the architectures whose devices reach each other over links
# that these take; elsewhere NCCL or RCCL carries them.
ONE_SHOT = ("server-2024", "server-2025", "server-2026", "engine-2025")
LINKED = ("volta", "ampere", "hopper", "blackwell", "cdna2", "cdna3", "cdna4")
# What a library adds to a collective, and for a doubling of the devices [s]. On two to eight H100 one-shot kernels take
# 4.5 to 12 us with a launch where the device's own figures say 5 to 7, and NCCL 15 on eight; llama.cpp copies from card
# to card and waits, 34 and 57 us by a profile. Steps do not tell one-shot kernels from what else their devices wait
# for, so that they are held to what was measured of them alone.
EXCHANGE = {"one-shot": (1.5e-6, 0.3e-6), "usual": (6e-6, 2e-6)}
GGML_EXCHANGE = 90e-6
# Rows of a tile that are known, not fitted: ggml's kernels for matrices under Metal (kernel_mul_mm, 64 x 32).
ROWS = {("ggml", "apple"): 32.0}
# Spread that each level of effects starts with, and is drawn to.
SPREADS = {
    "fixed": 1e-9, "one-shot": 0.3,
    "weights|software": 0.04, "weights|shared": 0.03, "weights|own": 0.03,
    "narrow|all": 0.15, "narrow|format": 0.1, "narrow|kind format": 0.1, "narrow|family": 0.1,
    "narrow|kind family": 0.1,
    "narrow|shared": 0.1, "narrow|own": 0.08,
    "kv|all": 0.2, "kv|software": 0.5, "kv|shared": 0.15, "kv|own": 0.15,
    "stream|all": 0.2, "stream|software": 0.4, "stream|shared": 0.15, "stream|own": 0.08,
    "host|kind": 0.7, "host|software": 0.5, "host|shared": 0.3, "host|own": 0.2,
    "sequence|kind": 0.7, "sequence|software": 0.4,
    "matrix|all": 0.4, "matrix|kind": 0.3, "matrix|software": 0.5, "matrix|own": 0.3,
    "experts|all": 0.4, "experts|kind": 0.4, "experts|software": 0.3, "experts|own": 0.3,
    "issue|kind": 0.4, "issue|place": 0.5, "issue|software": 0.3, "issue|own": 0.3, "issue|machine": 0.4,
    "tile|kind": 0.7, "tile|own": 0.4, "added|all": 0.4, "arithmetic|all": 0.3, "column|all": 0.3, "column|own": 0.3,
    "exchange|all": 0.7, "exchange|software": 0.7, "exchange|shared": 0.4, "exchange|own": 0.2,
    "rise|all": 0.7, "rise|software": 0.7, "rise|shared": 0.4, "rise|own": 0.2,
}  # fmt: skip
# Formats whose kernels are alike: what is known of one says something of the others.
FAMILIES = {
    "fp8": "8 bits", "int8": "8 bits", "llm-int8": "8 bits", "mxfp4": "fp4", "nvfp4": "fp4", "q4f16": "int4",
    "q4_0": "ggml", "q4_1": "ggml", "q5_0": "ggml", "q5_1": "ggml", "q8_0": "ggml",
}  # fmt: skip

Effect = tuple[str, float, str]


def family(storage: str) -> str:
    """Return the family of a storage format, its own name where it has no relatives."""
    for mark, name in (("mlx", "mlx"), ("int4", "int4"), ("iq", "iq")):
        if storage.startswith(mark):
            return name
    return "k-quants" if "_k" in storage else FAMILIES.get(storage, storage)


def kind_of(software: str) -> str:
    """Return the kind of a kind-year."""
    return software.partition("-")[0]


def _of_vendor(software: str, architecture: str) -> str:
    """Return the software whose kernels run: what compiles a step is each vendor's own."""
    return f"{architecture}/{software}" if kind_of(software) == "compiled" else software


def _placed(parameter: str, software: str, place: str) -> list[Effect]:
    """Return the effects of a place: what all software shares there, and its own."""
    return [
        (f"{parameter} on {place}", 0.0, f"{parameter}|shared"),
        (f"{parameter} {software} on {place}", 0.0, f"{parameter}|own"),
    ]


def weights(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the reach of 16-bit weights [-]."""
    software = _of_vendor(software, architecture)
    own = (f"weights {software}", math.log(0.97), "weights|software")
    return [own, *_placed("weights", software, architecture)]


def narrow(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the reach of weights below 16 bits [-]."""
    kind = kind_of(software)
    return [
        ("narrow", 0.0, "narrow|all"),
        (f"narrow {storage}", 0.0, "narrow|format"),
        (f"narrow {kind} {storage}", 0.0, "narrow|kind format"),
        (f"narrow family {family(storage)}", 0.0, "narrow|family"),
        (f"narrow family {kind} {family(storage)}", 0.0, "narrow|kind family"),
        *_placed("narrow", software, architecture),
    ]


def _three(parameter: str, mean: float, software: str, architecture: str) -> list[Effect]:
    own = (f"{parameter} {software}", 0.0, f"{parameter}|software")
    return [(parameter, mean, f"{parameter}|all"), own, *_placed(parameter, software, architecture)]


def _of_kernels(parameter: str, mean: float, software: str, architecture: str) -> list[Effect]:
    """Return the effects on what is a software's own on each architecture; others there say nothing of it."""
    kind, software = kind_of(software), _of_vendor(software, architecture)
    return [
        (parameter, mean, f"{parameter}|all"),
        (f"{parameter} {kind}", 0.0, f"{parameter}|kind"),
        (f"{parameter} {software}", 0.0, f"{parameter}|software"),
        (f"{parameter} {software} on {architecture}", 0.0, f"{parameter}|own"),
    ]


def cache(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the reach of cache and state [-]."""
    return _three("kv", 0.0, software, architecture)


def stream(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the rate of a unit [B/s]."""
    return _three("stream", math.log(35e9), software, architecture)


def host(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the host time of a step [s]."""
    if software in PLANS_AHEAD:
        return [(f"host {software}", math.log(PLANNING), "host|kind")]
    usual, software = HOST[kind_of(software)], _of_vendor(software, architecture)
    own = (f"host {software}", 0.0, "host|software")
    return [
        (f"host {kind_of(software)}", math.log(usual), "host|kind"),
        own,
        *_placed("host", software, HOSTS.get(architecture, "desktop")),
    ]


def sequence(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the host time of a sequence [s]."""
    kind = kind_of(software)
    mean = math.log(SEQUENCE.get(kind, 2e-6))
    return [(f"sequence {kind}", mean, "sequence|kind"), (f"sequence {software}", 0.0, "sequence|software")]


def matrix(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the loss of a call with a matrix [s], which other software says nothing of."""
    return _of_kernels("matrix", math.log(5e-6), software, architecture)


def experts(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the loss with experts' matrices over that of others [-]."""
    return _of_kernels("experts", math.log(2.0), software, architecture)


def issue(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the host time to issue a call [s]."""
    if mode not in ("eager", "stream"):
        return [("issue of a graph", math.log(1e-9), "fixed")]
    kind, place = kind_of(software), HOSTS.get(architecture, "desktop")
    usual = EAGER_ISSUE.get(kind, 10e-6) if mode == "eager" else STREAM_ISSUE.get(kind, 5e-6)
    return [
        (f"issue {mode} {kind}", math.log(usual), "issue|kind"),
        (f"issue {place}", 0.0, "issue|place"),
        (f"issue {mode} {software}", 0.0, "issue|software"),
        (f"issue {software} {mode} {place}", 0.0, "issue|own"),
        # Whose host it is that issues what Python calls, nobody states: each machine of a source has its own.
        *([(f"issue on the machine of {machine}", 0.0, "issue|machine")] if mode == "eager" else []),
    ]


def tile(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the rows of a tile [-]."""
    kind = kind_of(software)
    if (kind, architecture) in ROWS:
        return [(f"tile {kind} on {architecture}", math.log(ROWS[kind, architecture]), "fixed")]
    return [(f"tile {kind}", math.log(TILE[kind]), "tile|kind"), (f"tile {kind} on {architecture}", 0.0, "tile|own")]


def added(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the share of the shorter that is added [-]."""
    return [("added", math.log(0.5), "added|all")]


def column(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the operations in vector units of a further sequence, for each of a narrow matrix [-]."""
    if kind_of(software) != "ggml":
        return [("no column", math.log(1e-9), "fixed")]
    return [("column", math.log(COLUMN), "column|all"), (f"column on {architecture}", 0.0, "column|own")]


def arithmetic(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on the share of the arithmetic rate of large products that kernels of few rows reach [-]."""
    if (kind_of(software), architecture) in ROWS:
        # Tiles of so few rows are those of its large products too, and lose nothing by fewer.
        return [("arithmetic of known tiles", 0.0, "fixed")]
    return [("arithmetic", math.log(ARITHMETIC), "arithmetic|all")]


def _collective(parameter: str, position: int, software: str, architecture: str) -> list[Effect]:
    """Return the effects on what a library adds to a collective, each library by itself."""
    if software in ONE_SHOT and architecture in LINKED:
        return [(f"{parameter} one-shot", math.log(EXCHANGE["one-shot"][position]), "one-shot")]
    return _three(parameter, math.log(EXCHANGE["usual"][position]), _of_vendor(software, architecture), architecture)


def exchange(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on what the library adds to a collective [s]."""
    effects = _collective("exchange", 0, software, architecture)
    if kind_of(software) != "ggml":
        return effects
    return [*effects, ("exchange of ggml", math.log(GGML_EXCHANGE / EXCHANGE["usual"][0]), "fixed")]


def rise(software: str, architecture: str, mode: str, storage: str, machine: str = "") -> list[Effect]:
    """Return the effects on what it adds for a doubling of the devices [s]."""
    return _collective("rise", 1, software, architecture)


PARAMETERS: dict[str, Callable[..., list[Effect]]] = {
    "weights": weights, "narrow": narrow, "kv": cache, "stream": stream, "host": host, "sequence": sequence,
    "matrix": matrix,
    "experts": experts, "issue": issue, "tile": tile, "added": added, "arithmetic": arithmetic, "column": column,
    "exchange": exchange, "rise": rise,
}  # fmt: skip
# Derivatives are taken over so much of a logarithm to each side, so that a kink of a larger() turns them bit by bit.
_STEP = 0.1


def times(seen: Observations, number: dict[str, np.ndarray]) -> np.ndarray:
    """Return the time of each row [s] as the package has it: (R1), (R2), (S1), (S2), (S4), (D6), (E3), (B2), (C4)."""
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
    padded = np.maximum(seen.flops, number["tile"][of] * seen.row_flops)
    arithmetic = padded / (number["arithmetic"] * seen.arithmetic)[of]
    both = np.maximum(streaming, arithmetic) + np.minimum(number["added"], 1.0)[of] * np.minimum(streaming, arithmetic)
    calls = np.bincount(of, both, len(seen.rows))
    lost = number["matrix"] * (seen.matrices + number["experts"] * seen.experts)
    calls = calls + number["column"] * seen.columns
    exchanged = seen.exchange_time + seen.exchanges * (number["exchange"] + seen.doublings * number["rise"])
    busy = seen.calls_made * seen.boundary + lost + calls + exchanged + seen.sequences * number["sequence"]
    busy, host = np.maximum(busy, seen.calls_made * number["issue"]), number["host"]
    return host + busy - seen.ahead * np.minimum(host, busy)


class Effects:
    """The effects that are fitted: names, means and levels, and which of them make each parameter of each row."""

    def __init__(self, seen: Observations) -> None:
        self.seen, self.rows = seen, len(seen.rows)
        self.names: list[str] = []
        self.levels: list[str] = []
        self._mean: list[float] = []
        self._index: dict[str, int] = {}
        lines, columns = [], []
        of_rows = list(zip(seen.software, seen.architecture, seen.mode, seen.format, seen.machine, strict=True))
        for number, effects_of in enumerate(PARAMETERS.values()):
            known = lru_cache(None)(lambda *row, of=effects_of: [self._add(*effect) for effect in of(*row)])
            for row, described in enumerate(of_rows):
                found = known(*described)
                columns += found
                lines += [number * self.rows + row] * len(found)
        self.mean = np.array(self._mean)
        self._lines, self._columns = np.array(lines), np.array(columns)
        shape = (len(PARAMETERS) * self.rows, len(self.names))
        self.parts = csr_matrix((np.ones(len(lines)), (self._lines, self._columns)), shape)

    def _add(self, name: str, mean: float, level: str) -> int:
        if name not in self._index:
            self._index[name] = len(self.names)
            self.names.append(name)
            self._mean.append(mean)
            self.levels.append(level)
        return self._index[name]

    def index(self, name: str) -> int | None:
        """Return the position of an effect, None where no row has it."""
        return self._index.get(name)

    def numbers(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return each parameter at every row [base units]."""
        logs = (self.parts @ values).reshape(len(PARAMETERS), self.rows)
        return {name: np.exp(log) for name, log in zip(PARAMETERS, logs, strict=True)}

    def predicted(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithm of the time of each row."""
        return np.log(times(self.seen, self.numbers(values)))

    def slopes(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is predicted, and its derivatives by the logarithm of each parameter, one line a parameter."""
        number = self.numbers(values)

        def moved(name: str, by: float) -> np.ndarray:
            return np.log(times(self.seen, number | {name: number[name] * math.exp(by)}))

        slopes = [(moved(name, _STEP) - moved(name, -_STEP)) / (2 * _STEP) for name in PARAMETERS]
        return np.log(times(self.seen, number)), np.array(slopes)

    def by_effect(self, slopes: np.ndarray) -> csr_matrix:
        """Return the derivatives by every effect."""
        numbers, lines = slopes.ravel()[self._lines], self._lines % self.rows
        return coo_matrix((numbers, (lines, self._columns)), (self.rows, len(self.names))).tocsr()
