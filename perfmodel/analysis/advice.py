"""Advice: the single changes that could be made to one setting, each with what it brings, best first.

A change is told by the options that make it. Its gain is the rate after it over the rate today, tokens a second of all
sequences, with the parameters that both settings share taken alike.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Unpack

import msgspec

from perfmodel import equations
from perfmodel._layout import Framed
from perfmodel.equations.uncertainty import Effect, combined_spread, moments
from perfmodel.errors import PerfModelError
from perfmodel.estimates.conditioning import conditioned, prepared_with
from perfmodel.estimates.figures import terms_at
from perfmodel.estimates.known import Known
from perfmodel.estimates.options import OPTION, Asked
from perfmodel.estimates.positions import moves_with, standing_at
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.question import Question, read_question
from perfmodel.estimates.splits import splits
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import MODES
from perfmodel.specifications.quantities import Interval, Quantity
from perfmodel.specifications.storage import nominal_bits

# What each launch mode is, as a change to make.
_MODE_CHANGES = {
    "stream": "launch kernels one after the other, without waiting for each",
    "graph": "record the step as a graph",
    "pdl": "launch dependent kernels early",
    "layer-fused": "fuse each layer into one kernel",
    "looped": "loop the layers in one kernel",
    "megakernel-generated": "generate one kernel for the whole step",
    "megakernel": "write one kernel for the whole step by hand",
}
_WEIGHTS = ("fp8", "mxfp4", "int4")
_CACHES = ("fp8",)
_PROFILES = {"custom-all-reduce": "exchange by one-shot kernels"}
_PAIRS = 3  # pairs of the best single changes that are listed too
# Changes whose options exclude each other.
_KINDS = ("mode", "weights", "cache", "split", "batch", "exchange", "draft")
# Drafts that are looked at, and the chance of each where nobody says it, chats to code: low, value, high.
_DRAFTS, _ACCEPTANCE = 3, (0.5, 0.7, 0.85)


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One change.

    change: in words; options: what to add to the command, so that today's side is the changed one.
    gain: rate after the change over the rate today [-]; time_per_step: after the change [s].
    alone: whether it is a single change, not a pair; fits: whether it fits into memory.
    """

    rank: int
    change: str
    options: str
    gain: Interval
    time_per_step: float
    alone: bool
    fits: bool


class AdviceList(msgspec.Struct, Framed, frozen=True, eq=False):
    """The changes to one setting, best first. today: its launch mode; time_per_step [s], tokens_per_second [tok/s]."""

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    today: str
    time_per_step: float
    tokens_per_second: float
    advice: tuple[Advice, ...]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return what `perfmodel advise --json` prints."""
        return [msgspec.to_builtins(one) for one in self.advice]

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat dict with dotted names for each change."""
        return [
            {
                **{name: row[name] for name in ("rank", "change", "options")},
                **{f"gain.{end}": row["gain"][end] for end in ("value", "low", "high")},
                **{name: row[name] for name in ("time_per_step", "alone", "fits")},
            }
            for row in self.to_dict()
        ]


class _Change(NamedTuple):
    kind: str
    words: str
    options: dict[str, Any]


class _Setting(NamedTuple):
    """A question at its workload, and the time of its step today [s]."""

    question: Question
    prepared: Prepared
    time: float


def advise(model: str | Model, hardware: str | Hardware, **asked: Unpack[Asked]) -> AdviceList:
    """Return the single changes that could be made to a setting, each with its gain, best first.

    The arguments are those of `perfmodel.estimate`; the side before is today's setting.
    Raises PerfModelError for what `estimate` refuses.

    >>> best = advise("llama-3.1-8b", "h100-sxm").advice[0]
    >>> best.alone, best.gain.value > 1
    (False, True)
    """
    first = read_question(model, hardware, **asked)
    if first.loop_only is not None:
        prepare_question(first)  # says what is wrong with it, which no side that loops nothing would
    today = _setting(first, conditioned(first))
    found: list[tuple[_Change, _Setting]] = []
    for change in _changes(today):
        changed = _changed(today, change)
        if changed is not None:
            found.append((change, changed))
    singles = [_advice(today, change.words, change.options, setting) for change, setting in found]
    order = sorted(range(len(found)), key=lambda i: -singles[i].gain.value)
    pairs = list(_pairs(today, [found[i][0] for i in order if singles[i].gain.value > 1 and singles[i].fits]))
    ranked = sorted([*singles, *pairs], key=lambda advice: (not advice.fits, -advice.gain.value))
    question = today.question
    return AdviceList(
        question.model.name,
        question.hardware.name,
        question.parallel.devices,
        question.batch,
        question.context,
        question.before,
        today.time,
        question.batch * float(today.prepared.tokens_per_step) / today.time,
        tuple(msgspec.structs.replace(advice, rank=i) for i, advice in enumerate(ranked, 1)),
    )


# --- the changes


def _changes(today: _Setting) -> Iterator[_Change]:
    question = today.question
    for mode in MODES[MODES.index(question.before) + 1 :]:
        if mode in question.hardware.modes and mode in _MODE_CHANGES:
            yield _Change("mode", _MODE_CHANGES[mode], {"before": mode})
    bits = nominal_bits(question.formats.weights)
    for name in _WEIGHTS:
        if STORAGE_FORMATS[name].bits < bits:
            yield _Change("weights", f"store weights in {name}", {"weights": name})
    for name in _CACHES:
        if STORAGE_FORMATS[name].bits < STORAGE_FORMATS[question.formats.kv].bits:
            yield _Change("cache", f"store the cache in {name}", {"kv": name})
    for split in splits(question.model, question.parallel.devices, most_data=question.batch):
        if split != question.parallel:
            yield _Change("split", f"share the work as {split}", {"devices": None, "parallel": str(split)})
    yield _Change("batch", f"twice the batch, {question.batch * 2:,}", {"batch": question.batch * 2})
    if question.draft is None and not question.step:
        drafter = "mtp" if question.model.draft_layers else "eagle"
        words = f"draft {_DRAFTS} tokens a step by {drafter}, each accepted at {_ACCEPTANCE[1]:.0%}".replace("%", " %")
        yield _Change("draft", words, {"draft": _DRAFTS, "drafter": drafter, "acceptance": _ACCEPTANCE[1]})
    if question.parallel.tensor > 1:
        for profile, words in _PROFILES.items():
            yield _Change("exchange", words, {"profile": profile})


def _pairs(today: _Setting, changes: list[_Change]) -> Iterator[Advice]:
    """Yield the best pairs of changes of different kinds, of the best of each kind."""
    best: dict[str, _Change] = {}
    for change in changes:
        best.setdefault(change.kind, change)
    kinds = list(best)
    pairs = []
    for i, one in enumerate(kinds):
        for other in kinds[i + 1 :]:
            both = _Change("", f"{best[one].words}, and {best[other].words}", best[one].options | best[other].options)
            changed = _changed(today, both)
            if changed is not None:
                pairs.append(_advice(today, both.words, both.options, changed, alone=False))
    pairs.sort(key=lambda advice: (not advice.fits, -advice.gain.value))
    yield from pairs[:_PAIRS]


def _changed(today: _Setting, change: _Change) -> _Setting | None:
    """Return the setting after a change, None where it cannot be asked: the device lacks what it needs."""
    arguments = today.question.arguments
    if change.options.get("profile") and arguments["profile"]:
        return None
    try:
        return _setting(read_question(**(arguments | change.options)), today.prepared.known)
    except PerfModelError:
        return None


def _setting(question: Question, known: Known | None) -> _Setting:
    # Only today's side is asked, so the other is the same and costs nothing more.
    mode = question.hardware.mode(question.before, "--before")
    only = question.loop_only if mode.loops and mode.kernels == "layer" else None
    same = msgspec.structs.replace(question, after=question.before, loop_only=only)
    prepared = prepared_with(same, known)
    return _Setting(question, prepared, _time(prepared, question, {}))


def _time(prepared: Prepared, question: Question, values: dict[str, float]) -> float:
    return float(terms_at(prepared.before, question.batch, question.context, values).total())


# --- what they bring


def _advice(today: _Setting, words: str, options: dict[str, Any], changed: _Setting, *, alone: bool = True) -> Advice:
    needed = float(changed.prepared.resident.bytes_resident(changed.question.batch, changed.question.context))
    return Advice(
        rank=0,
        change=words,
        options=_spelled(options),
        gain=_gain(today, changed),
        time_per_step=changed.time,
        alone=alone,
        fits=needed <= changed.prepared.hardware.values["memory.capacity"].value,
    )


def _spelled(options: dict[str, Any]) -> str:
    return " ".join(f"{OPTION[name].flag} {value}" for name, value in options.items() if value is not None)


def _tokens(setting: _Setting) -> float:
    """Return the tokens of a step of all sequences [-]."""
    return setting.question.batch * float(setting.prepared.tokens_per_step)


def _gain(today: _Setting, changed: _Setting) -> Interval:
    """Return the ratio of the rates with its interval: what independent parts make together (U2).

    Each group of parameters is moved to its ends in both settings alike, the chance of a draft in the changed one.
    """
    tokens = _tokens(changed) / _tokens(today)

    def ratio(values: dict[str, float]) -> float:
        before = _time(today.prepared, today.question, values)
        return tokens * float(equations.speedup(before, _time(changed.prepared, changed.question, values)))

    value = ratio({})
    groups: dict[str, dict[str, Quantity]] = {}
    for setting in (changed, today):
        for path, (_, quantity) in setting.prepared.before.parameters.used.items():
            if quantity.low < quantity.high:
                groups.setdefault(moves_with(path), {})[path] = quantity
    effects = []
    for group in groups.values():
        slow, fast = (
            math.log(ratio({path: standing_at(path, one, end) for path, one in group.items()}) / value)
            for end in (-1.0, 1.0)
        )
        effects.append(Effect(slow, fast))
    if changed.question.draft is not None and today.question.draft is None:
        expected = float(changed.prepared.tokens_per_step)
        low, _, high = (float(equations.accepted_drafts(chance, _DRAFTS)) + 1 for chance in _ACCEPTANCE)
        effects.append(Effect(math.log(low / expected), math.log(high / expected)))
    spread = combined_spread(moments(effects))
    return Interval(value * math.exp(spread.below), value, value * math.exp(spread.above))
