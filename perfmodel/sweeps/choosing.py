"""Choosing: every way to serve a model that can be built, which of them keep the limits, and which is best.

A candidate is a machine, a number of devices, a way to share the model between them, storage formats and a batch. All
batches of one way are worked out together, on arrays; what is shown is then asked of `estimate`.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import msgspec
import numpy

from perfmodel._layout import Framed, ShownInNotebooks
from perfmodel.errors import UnknownNameError, UsageError, ValueRangeError, nearest, shown
from perfmodel.estimates.answers import Estimate, answer_to
from perfmodel.estimates.options import AskedGrid, complete
from perfmodel.estimates.progress import Report
from perfmodel.estimates.question import read_question
from perfmodel.estimates.results import Side, flattened
from perfmodel.sweeps.axes import axes_of
from perfmodel.sweeps.candidates import Limits, Way, measures, ways_to_serve, within_limits
from perfmodel.sweeps.comparisons import pareto_front

RANKS = ("price", "device", "user")
CONFIDENCES = (0.5, 0.95)
# What is tried where nothing is said.
_DEVICES, _BATCHES = "1:16:+1", "1:1024:x2"


class ChosenSide(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a choice. Times [s]; rates [tok/s]; energy [J] and price [USD] of a million tokens, None if unknown.

    low, high: time and rates at the pessimistic and the optimistic end.
    """

    mode: str
    time_per_token: float
    time_to_first_token: float | None
    tokens_per_second: float
    tokens_per_second_per_sequence: float
    tokens_per_second_per_device: float
    energy: float | None
    price: float | None
    low: dict[str, float]
    high: dict[str, float]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """One choice: what to run where, today (before) and with its layers looped (after).

    parallel: how the devices share the model, '' for one device.
    meets: which sides keep the limits: 'both', 'before' or 'after'.
    devices_after: the fewest devices of this machine that give as many tokens a second within the limits after looping.
    front: whether no candidate has both a higher rate a user and a higher rate a device (or a dollar) today.
    """

    rank: int
    model: str
    hardware: str
    devices: int
    parallel: str
    batch: int
    context: int
    weight_format: str
    kv_format: str
    draft: int
    before: ChosenSide
    after: ChosenSide
    speedup: float
    meets: str
    devices_after: int | None
    front: bool


class Selection(msgspec.Struct, ShownInNotebooks, Framed, frozen=True, eq=False):
    """The best choices, first the best on today's software.

    ranked_by: price, device or user; candidates: how many were worked out; kept: how many of them fit and keep the
    limits today; looped: how many do after looping.
    """

    choices: tuple[Chosen, ...]
    ranked_by: str
    time_per_token: float | None
    time_to_first_token: float | None
    confidence: float
    candidates: int
    kept: int
    looped: int

    def to_dict(self) -> list[dict[str, Any]]:
        """Return what `perfmodel choose --json` prints."""
        return [msgspec.to_builtins(choice) for choice in self.choices]

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat dict with dotted names for each choice."""
        return [dict(flattened(row)) for row in self.to_dict()]


def choose(
    models: Any,
    hardware: Any,
    *,
    tpot: float | None = None,
    ttft: float | None = None,
    confidence: float = 0.5,
    rank: str | None = None,
    most: int = 20,
    report: Report | None = None,
    **asked: Unpack[AskedGrid],
) -> Selection:
    """Choose machine, devices, split, formats and batch for a model under limits; return the best `most` choices.

    tpot: the longest time per output token of a user [s]; ttft: the longest time to the first token [s] of a prompt
    that is processed alone; None for no limit.
    confidence: 0.5 holds the limits at the value, 0.95 at the pessimistic end.
    rank: "price" (USD a token), "device" (rate a device) or "user" (rate a user); None takes the price where every
    machine has one, else the device.
    Every other key takes what the same key of `perfmodel.sweep` takes; devices: 1 to 16 where not given; batch: 1 to
    1,024 in powers of two. parallel: one way to share, in place of all that can be built.
    report: is told how many ways to serve are worked out, and of how many.
    Raises PerfModelError, with one line that says what can.

    >>> best = choose("llama-3.1-8b", "h100-sxm", tpot=0.01, devices="1,2", rank="user").choices[0]
    >>> best.devices, best.batch
    (2, 1)
    """
    _check(tpot, ttft, confidence, rank, most)
    if ttft is not None and asked.get("prompt") is None:
        raise UsageError("--ttft: needs --prompt, the tokens before the first one")
    if asked.get("measured") is not None:
        raise UsageError(
            "--measured: choose tries many settings, of which one step was measured; ask compare or estimate"
        )
    limits = Limits(tpot, ttft)
    given = complete({"devices": _DEVICES, "batch": _BATCHES} | asked)
    found_models, found_hardware, axes = axes_of(models, hardware, given)
    by = rank or ("price" if all("price.rental" in d.values for d in found_hardware) else "device")
    if by == "price" and (lacking := [d.name for d in found_hardware if "price.rental" not in d.values]):
        raise ValueRangeError(
            f"--rank: {', '.join(lacking)} has no price; give --set price.rental=2USD/h, or another rank"
        )
    ways = list(ways_to_serve(found_models, found_hardware, axes, given, report))
    best = _best(ways, by, limits)
    kept = sum(int(numpy.count_nonzero(within_limits(way, "before", limits))) for way in ways)
    looped = sum(int(numpy.count_nonzero(within_limits(way, "after", limits))) for way in ways)
    front = _front(ways, by, limits)
    chosen: list[Chosen] = []
    for way, order, side in best:
        found = _first_that_holds(way, order, side, limits, confidence)
        if found is not None:
            batch, answer, meets = found
            chosen.append(_chosen(answer, meets, ways, way, limits, (id(way), batch) in front))
        if len(chosen) == most:
            break
    chosen.sort(key=lambda c: (c.meets == "after", _worth(c, by)))
    ranked = tuple(msgspec.structs.replace(c, rank=i) for i, c in enumerate(chosen, 1))
    points = sum(len(way.batches) for way in ways)
    return Selection(ranked, by, tpot, ttft, confidence, points, kept, looped)


def _check(tpot: float | None, ttft: float | None, confidence: float, rank: str | None, most: int) -> None:
    for name, limit in (("--tpot", tpot), ("--ttft", ttft)):
        if limit is not None and not 0 < limit < float("inf"):
            raise ValueRangeError(f"{name}: {shown(limit)} is not a positive time")
    if confidence not in CONFIDENCES:
        raise ValueRangeError(
            f"--confidence: {shown(confidence)} is neither 0.5 (the value) nor 0.95 (the pessimistic end)"
        )
    if rank is not None and rank not in RANKS:
        raise UnknownNameError(f"--rank: {shown(rank)} is not one of {', '.join(RANKS)}{nearest(rank, RANKS)}")
    if most < 1:
        raise ValueRangeError(f"--most: {shown(most)} is not a positive number")


def _best(ways: Sequence[Way], by: str, limits: Limits) -> list[tuple[Way, Any, str]]:
    """Return ways with the order in which their batches are to be tried, the best of each key first.

    A way that keeps the limits today stands before one that does only after looping.
    """
    ranked = []
    for way in ways:
        for side, times in (("before", way.before), ("after", way.after)):
            keeps = within_limits(way, side, limits)
            if keeps.any():
                measure = numpy.where(keeps, measures(way, by, times), -numpy.inf)
                # Of equals the one that serves a user faster, then the smaller batch.
                order = numpy.lexsort((way.batches, times, -measure))[: int(keeps.sum())]
                ranked.append((side == "after", -float(measure[order[0]]), way, order, side))
                break
    ranked.sort(key=lambda each: each[:2])
    seen: dict[tuple[Any, ...], None] = {}
    best = []
    for _, _, way, order, side in ranked:
        if way.key not in seen:
            seen[way.key] = None
            best.append((way, order, side))
    return best


def _first_that_holds(
    way: Way, order: Any, side: str, limits: Limits, confidence: float
) -> tuple[int, Estimate, str] | None:
    """Return the first batch in `order` whose answer keeps the limit at the confidence, with the sides that do."""
    for i in order:
        batch = int(way.batches[i])
        answer = answer_to(read_question(**(way.question | {"batch": batch})))
        meets = [name for name in ("before", "after") if _holds(way, getattr(answer, name), name, limits, confidence)]
        if side in meets:
            return batch, answer, "both" if len(meets) == 2 else meets[0]
    return None


def _holds(way: Way, side: Side, name: str, limits: Limits, confidence: float) -> bool:
    """Return whether one side of an answer keeps the limits, at the value or at the pessimistic end."""
    prompt = None if way.prompt is None else getattr(way.prompt, name)
    figures, first = (side, prompt) if confidence < CONFIDENCES[1] else (side.low, prompt and prompt.low)
    kept = [(figures.time_per_step / way.prepared.tokens_per_step, limits.token)]
    if first is not None:
        kept.append((first.time_to_first_token, limits.first))
    return all(limit is None or time <= limit * (1 + 1e-12) for time, limit in kept)


def _front(ways: Sequence[Way], by: str, limits: Limits) -> set[tuple[int, int]]:
    """Return the candidates, as way and batch, that no other beats in both rate a user and rate a device or dollar."""
    points, names = [], []
    for way in ways:
        keeps = within_limits(way, "before", limits)
        worth = measures(way, "device" if by == "user" else by, way.before)
        for i in numpy.flatnonzero(keeps):
            points.append((float(1 / way.before[i]), float(worth[i])))
            names.append((id(way), int(way.batches[i])))
    return {name for name, on in zip(names, pareto_front(points), strict=True) if on}


def _devices_after(ways: Sequence[Way], way: Way, rate: float, limits: Limits) -> int | None:
    """Return the fewest devices, all else the same but split and batch, that reach `rate` [tok/s] after looping."""
    enough = [
        other.prepared.devices
        for other in ways
        if other.key[:-1] == way.key[:-1]
        and bool(numpy.any(within_limits(other, "after", limits) & (other.batches / other.after >= rate * (1 - 1e-12))))
    ]
    return min(enough, default=None)


def _chosen(answer: Estimate, meets: str, ways: Sequence[Way], way: Way, limits: Limits, front: bool) -> Chosen:
    def side(name: str) -> ChosenSide:
        figures = getattr(answer, name)
        prompt = None if way.prompt is None else getattr(way.prompt, name)

        def end(which: Any) -> dict[str, float]:
            return {
                "time_per_token": which.time_per_step / way.prepared.tokens_per_step,
                "tokens_per_second": which.tokens_per_second,
                "tokens_per_second_per_sequence": which.tokens_per_second_per_sequence,
                "tokens_per_second_per_device": which.tokens_per_second / answer.devices,
            }

        return ChosenSide(
            mode=figures.mode,
            time_to_first_token=None if prompt is None else prompt.time_to_first_token,
            energy=getattr(answer.energy, name),
            price=getattr(answer.price, name),
            low=end(figures.low),
            high=end(figures.high),
            **end(figures),
        )

    before = side("before")
    return Chosen(
        rank=0,
        model=answer.model,
        hardware=answer.hardware,
        devices=answer.devices,
        parallel=answer.parallel if answer.devices > 1 else "",
        batch=answer.batch,
        context=answer.context,
        weight_format=answer.weight_format,
        kv_format=answer.kv_format,
        draft=answer.draft.tokens if answer.draft is not None else 0,
        before=before,
        after=side("after"),
        speedup=answer.speedup.value,
        meets=meets,
        devices_after=_devices_after(ways, way, before.tokens_per_second, limits),
        front=front,
    )


def _worth(choice: Chosen, by: str) -> float:
    """Return what choices are sorted by, least first."""
    side = choice.after if choice.meets == "after" else choice.before
    if by == "user":
        return side.time_per_token
    if by == "device":
        return -side.tokens_per_second_per_device
    assert side.price is not None  # noqa: S101 - checked before
    return side.price
