"""What an estimate returns: frozen records with the names of the JSON output."""

from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.terms import Terms

if TYPE_CHECKING:
    import pandas
    import polars


class Figures(msgspec.Struct, frozen=True):
    """The main figures at one end of an interval. time [s], rates [tok/s], fraction [-]."""

    time_per_step: float
    tokens_per_second: float
    tokens_per_second_per_sequence: float
    fraction_of_peak: float


class Peak(msgspec.Struct, frozen=True):
    """The step if memory bandwidth were the only limit. time [s], rate [tok/s]."""

    time_per_step: float
    tokens_per_second: float


class Side(msgspec.Struct, frozen=True):
    """One side of the answer. low is the pessimistic end; bound names the largest of the terms [s]."""

    mode: str
    kernel_calls: int
    time_per_step: float
    tokens_per_second: float
    tokens_per_second_per_sequence: float
    fraction_of_peak: float
    bound: str
    low: Figures
    high: Figures
    terms: Terms


class Speedup(msgspec.Struct, frozen=True):
    """T_before / T_after [-] with its interval, parameters that both sides share taken alike."""

    value: float
    low: float
    high: float


class Fits(msgspec.Struct, frozen=True):
    """Whether weights and cache fit, per device [B]. devices_needed: None when no number of devices is enough."""

    fits: bool
    bytes_needed: int
    bytes_available: int
    devices_needed: int | None


class LoopFound(msgspec.Struct, frozen=True):
    """A loop of the after side: the calls of its body, the decoder layers it covers, its iterations."""

    body: tuple[str, ...]
    layers: str
    count: int


class OnChip(msgspec.Struct, frozen=True):
    """What the fused calls of the after side hold on chip, per device [B], against what there is.

    fits: 'whole': activations of the batch and the prefetch window find room; 'tiled': they do not, so the window shrinks, and
    what still does not fit goes through memory; 'split': the activations of one sequence do not fit, so a body is several calls.
    bytes_needed: activations, state and weights in flight; prefetch: the window that is left; spilled: through memory, a stage at most.
    """

    fits: str
    bytes_needed: int
    bytes_available: int
    prefetch: int
    spilled: int


class Placed(msgspec.Struct, frozen=True):
    """What a slower memory tier holds: a share of each routed expert and of each other weight [-], and bytes on the fullest device [B]."""

    tier: str
    weights: float
    experts: float
    bytes: int


class Assumption(msgspec.Struct, frozen=True):
    """One parameter that went into the answer, in base units, with kind and source."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    kind: str
    source: str


class Asked(msgspec.Struct, frozen=True):
    """The question, complete enough to ask it again. step: what one step is, '' for a decode step, in which each sequence gets a token."""

    arguments: dict[str, Any]
    step: str = ""


class Estimate(msgspec.Struct, frozen=True, eq=False):
    """How fast the model decodes on the machine before and after looping, why, and how sure that is.

    parallel: how the devices share the work, as `--parallel` takes it; on_chip: None where nothing is fused or the device does not
    say what it has; placement: None where nothing streams from a slower tier. Base units: s, B, FLOP, tok/s. `to_dict` gives exactly what `perfmodel estimate --json` prints.
    """

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    weight_format: str
    kv_format: str
    bytes_per_step: int
    flops_per_step: int
    peak: Peak
    before: Side
    after: Side
    speedup: Speedup
    fits: Fits
    loops: tuple[LoopFound, ...]
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]
    parallel: str
    on_chip: OnChip | None
    placement: Placed | None
    asked: Asked

    def replace(self, **changes: Any) -> "Estimate":
        """Return the estimate of the same question with some arguments of `estimate` changed."""
        from perfmodel.estimator import estimate

        return estimate(**(self.asked.arguments | changes))

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain dicts, lists, numbers and texts, in base units."""
        answer: dict[str, Any] = msgspec.to_builtins(self)
        del answer["asked"]
        for side in ("before", "after"):
            answer[side]["terms"] = getattr(self, side).terms._asdict()
        return answer

    def rows(self) -> list[dict[str, Any]]:
        """Return the answer as one flat row with dotted names; loops, assumptions, notes and what is on chip are left out."""
        return [dict(_flat("", {k: v for k, v in self.to_dict().items() if k not in ("loops", "assumptions", "notes", "on_chip", "placement")}))]

    def to_pandas(self) -> "pandas.DataFrame":
        """Return `rows` as a pandas DataFrame (pandas is not a dependency of this package)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def to_polars(self) -> "polars.DataFrame":
        """Return `rows` as a polars DataFrame (polars is not a dependency of this package)."""
        import polars

        return polars.DataFrame(self.rows())

    def _repr_html_(self) -> str:
        from perfmodel.report.fragments import estimate_fragment

        return estimate_fragment(self)


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else key, part)]
    return [(prefix, value)]
