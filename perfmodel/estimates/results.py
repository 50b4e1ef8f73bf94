"""The parts of an answer: frozen records with the names of the JSON output."""

from typing import Any

import msgspec

from perfmodel.estimates.terms import Terms


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
    """One side of the answer. low is the pessimistic end; bound names the largest of the terms [s].

    time_drafting: part of the step that drafts take [s], None where nothing is drafted; software: kind-year, None where
    the device's own file says all; profile: the overrides over it, None for none.
    """

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
    time_drafting: float | None = None
    software: str | None = None
    profile: str | None = None


class Drafting(msgspec.Struct, frozen=True):
    """What is drafted and accepted.

    tokens: drafts of a step [-]; accepted: of them, on the average [-]; tokens_per_step: that a sequence gets in a step
    [-]. best_before, best_after: the number of drafts with the highest rate on each side,
    if each draft has the same chance [-].
    """

    tokens: int
    drafter: str
    accepted: float
    tokens_per_step: float
    best_before: int
    best_after: int


class PromptFigures(msgspec.Struct, frozen=True):
    """The main figures of a prompt at one end of an interval. time [s], rate [tok/s]."""

    time_to_first_token: float
    tokens_per_second: float


class PromptSide(msgspec.Struct, frozen=True):
    """One side of a prompt. low is the pessimistic end; bound names the largest of the terms [s]."""

    time_to_first_token: float
    tokens_per_second: float
    low: PromptFigures
    high: PromptFigures
    bound: str
    terms: Terms


class Speedup(msgspec.Struct, frozen=True):
    """T_before / T_after [-] with its interval, parameters that both sides share taken alike."""

    value: float
    low: float
    high: float


class Decoding(msgspec.Struct, frozen=True):
    """Sequences that decode beside a prompt's chunks, and the context of each [-].

    before, after: time from one of their tokens to the next, which is that of a chunk [s].
    """

    sequences: int
    context: int
    before: float
    after: float


class Prompt(msgspec.Struct, frozen=True):
    """How long a prompt takes. tokens: of a sequence; chunk: most of them in a step; steps: how many there are [-]."""

    tokens: int
    chunk: int
    steps: int
    before: PromptSide
    after: PromptSide
    speedup: Speedup
    decoding: Decoding | None = None


class Fits(msgspec.Struct, frozen=True):
    """Whether weights and cache fit, per device [B]. devices_needed: None when no number of devices is enough."""

    fits: bool
    bytes_needed: int
    bytes_available: int
    devices_needed: int | None


class ModelPart(msgspec.Struct, frozen=True):
    """One part of a model.

    part: of `attention dense experts shared head embedding kv tower draft other`; format: of its matrices, the one that
    holds most first; parameters [-]; bytes: of the stored tensors, each once (a tied table is the head's), and for kv
    what the cache of the batch holds [B]; bytes_per_step: read in a step [B].
    """

    part: str
    format: str
    parameters: int
    bytes: int
    bytes_per_step: int


class LoopFound(msgspec.Struct, frozen=True):
    """A loop of the after side: the calls of its body, the decoder layers it covers, its iterations."""

    body: tuple[str, ...]
    layers: str
    count: int


class OnChip(msgspec.Struct, frozen=True):
    """What the fused calls of the after side hold on chip, per device [B], against what there is.

    fits: 'whole': activations of the batch and the prefetch window find room; 'tiled': they do not, so the window
    shrinks, and what still does not fit goes through memory; 'split': the activations of one sequence do not fit, so a
    body is several calls.
    bytes_needed: activations, state and weights in flight; prefetch: the window that is left; spilled: through memory,
    a stage at most.
    """

    fits: str
    bytes_needed: int
    bytes_available: int
    prefetch: int
    spilled: int


class Placed(msgspec.Struct, frozen=True):
    """What a slower memory tier holds.

    A share of each routed expert, of each other weight and of the cache [-], and bytes of weights on the fullest device
    [B]. compute: whether the host computes the experts there.
    """

    tier: str
    weights: float
    experts: float
    bytes: int
    kv: float = 0.0
    compute: bool = False


class Assumption(msgspec.Struct, frozen=True):
    """One parameter that went into the answer, in base units, with kind and source."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    kind: str
    source: str


def flattened(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the values inside nested dicts with their dotted names; lists stay whole.

    >>> flattened({"before": {"mode": "graph", "low": {"time": 1}}, "devices": 8})
    [('before.mode', 'graph'), ('before.low.time', 1), ('devices', 8)]
    """
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in flattened(part, f"{prefix}.{key}" if prefix else key)]
    return [(prefix, value)]


class Measured(msgspec.Struct, frozen=True):
    """What was measured of the before side. undetermined: uncertain parameters that it says little of."""

    time_per_step: float
    undetermined: tuple[str, ...]


class Evidence(msgspec.Struct, frozen=True):
    """How right predictions of rows like the side before were, their source left out of the fit; text: both sides."""

    rows: int
    sources: int
    median_error: float
    inside: float
    text: str


class Nearby(msgspec.Struct, frozen=True):
    """A published measurement near a question.

    time_per_step [s]; inside: whether it lies in the interval of its own prediction, None where it cannot be asked.
    """

    id: str
    source: str
    engine: str
    mode: str
    weight_format: str
    batch: int
    context: int
    time_per_step: float
    inside: bool | None


class PerSide(msgspec.Struct, frozen=True):
    """A figure of both sides, None where it is unknown."""

    before: float | None
    after: float | None


# What an answer is as plain values, in the order of the JSON output.
FIELDS = (
    "schema",
    "model",
    "hardware",
    "devices",
    "batch",
    "context",
    "weight_format",
    "kv_format",
    "bytes_per_step",
    "flops_per_step",
    "peak",
    "before",
    "after",
    "speedup",
    "fits",
    "loops",
    "assumptions",
    "notes",
    "parallel",
    "on_chip",
    "placement",
    "parts",
    "draft",
    "prompt",
    "software",
    "measured",
    "evidence",
    "nearby",
    "energy",
    "price",
    "breakeven_batch",
)
