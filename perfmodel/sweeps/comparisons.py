"""Comparisons: choices of model, device, workload and mode side by side, best first; the ladder of modes.

The Pareto front.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, Unpack

import msgspec

from perfmodel._layout import Framed, ShownInNotebooks
from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown
from perfmodel.estimates.answers import Estimate, answer_to
from perfmodel.estimates.conditioning import conditioned
from perfmodel.estimates.known import Known
from perfmodel.estimates.options import AskedGrid
from perfmodel.estimates.progress import Report, watched
from perfmodel.estimates.question import read_question
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.parameters import MODES

_MOST_CHOICES = 100_000
RANKS = ("before", "after")


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One choice with the figures of its mode, after, and those before.

    Times [s], rates [tok/s]; low and high are ends of the rate.

    rank: among the choices of its workload (batch and context). to_best: its rate over that of the best of these [-].
    gain: its rate over that of the mode before it on the ladder
    [-], with the interval; without a ladder over the device's own mode before.
    per_watt [tok/s/W], per_purchase [tok/s/USD], per_rental [tok/USD], and energy [J] and price [USD] of a million
    tokens before and after (see `perfmodel.estimates.costs`): None where the device's file does not know.
    front: no other choice has both a higher rate per user and a higher total rate.
    """

    rank: int
    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    weight_format: str
    kv_format: str
    mode: str
    settings: dict[str, Any]
    tokens_per_second_before: float
    low_before: float
    high_before: float
    tokens_per_second_per_sequence_before: float
    fraction_of_peak_before: float
    time_per_step: float
    tokens_per_second: float
    low: float
    high: float
    tokens_per_second_per_sequence: float
    fraction_of_peak: float
    bound: str
    to_best: float
    against: str
    gain: float
    gain_low: float
    gain_high: float
    per_device: float
    per_watt: float | None
    per_purchase: float | None
    per_rental: float | None
    energy_before: float | None
    energy_after: float | None
    price_before: float | None
    price_after: float | None
    fits: bool
    front: bool


class Comparison(msgspec.Struct, ShownInNotebooks, Framed, frozen=True, eq=False):
    """Choices side by side, one workload after another, best first, or up the ladder of modes for each choice.

    ladder: whether the choices are modes, each against the one before.
    ranked_by: the side whose rate ranks them.
    notes: without which some of the figures mislead.
    """

    choices: tuple[Choice, ...]
    ladder: bool
    ranked_by: str = "before"
    notes: tuple[str, ...] = ()

    def front(self) -> "Comparison":
        """Return only the choices that no other beats in both rate per user and total rate."""
        return Comparison(
            tuple(choice for choice in self.choices if choice.front), self.ladder, self.ranked_by, self.notes
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat dict for each choice; parameters that were set are columns of their own."""
        found = []
        for choice in self.choices:
            row = msgspec.structs.asdict(choice)
            found.append(
                {
                    key: value
                    for name, held in row.items()
                    for key, value in (held.items() if name == "settings" else ((name, held),))
                }
            )
        return found

    def to_dict(self) -> list[dict[str, Any]]:
        """Return what `perfmodel compare --json` prints."""
        return self.rows()


def compare(
    models: Any,
    hardware: Any,
    *,
    modes: str | Sequence[str] | None = None,
    rank: str = "before",
    report: Report | None = None,
    **asked: Unpack[AskedGrid],
) -> Comparison:
    """Compare choices; every key takes what the same key of `perfmodel.sweep` takes.

    modes: "all" or names for the ladder of launch modes, from eager to megakernel, each against the one before it.
    rank: before for the rate of today's software, after for that of the mode after. Each batch and context is ranked by
    itself, choices that do not fit in memory last. measured: the step before of the first choice, and of a ladder in
    its first mode; what it tells of machine and software holds for the others too.
    report: is told how many choices are done, and of how many. Raises PerfModelError, with one line that says what can.

    >>> [choice.hardware for choice in compare("llama-3.1-8b", "a100-sxm-80gb,h100-sxm").choices]
    ['h100-sxm', 'a100-sxm-80gb']
    """
    from perfmodel.sweeps.sweeps import make_grid

    if rank not in RANKS:
        raise UnknownNameError(f"--rank: {shown(rank)} is not one of {' and '.join(RANKS)}{nearest(rank, RANKS)}")
    ladder = modes is not None
    if ladder:
        asked |= {"before": None, "after": "looped"}
    grid = make_grid(models, hardware, **asked)
    if grid.size > _MOST_CHOICES:
        raise ValueRangeError(
            f"compare: {grid.size:,} choices are more than {_MOST_CHOICES:,}; perfmodel sweep is for grids"
        )
    found: list[tuple[Estimate, dict[str, Any], int]] = []
    known: Known | None = None
    points = list(product(*(axis.part(0, axis.count) for axis in grid.axes)))
    for group, values in enumerate(watched(points, report)):
        point = dict(zip((axis.name for axis in grid.axes), values, strict=True))
        settings = {path: point.pop(path) for path in grid.parameters}
        device: Any = point["hardware"]
        steps = _ladder(device, modes) if modes is not None else [(point["before"], point["after"] or "looped")]
        for one, two in steps:
            chosen: Any = point | grid.same | {"before": one, "after": two, "parameters": settings}
            question = read_question(**chosen)
            known = known or conditioned(question)
            found.append((answer_to(question, known), settings, group))
    if not ladder:
        found.sort(
            key=lambda each: (*workload_of(each[0]), not each[0].fits.fits, -getattr(each[0], rank).tokens_per_second)
        )
    notes = dict.fromkeys(
        f"{answer.model} on {answer.devices} x {answer.hardware}: {note}"
        for answer, _, _ in found
        for note in answer.warnings
        if note.kind in ("split", "context")
    )
    return Comparison(_choices(found, ladder=ladder), ladder, rank, tuple(notes))


def workload_of(choice: Estimate | Choice) -> tuple[int, int]:
    """Return what only choices of one table share: batch and context."""
    return choice.batch, choice.context


def _ladder(device: Hardware, modes: str | Sequence[str]) -> list[tuple[str, str]]:
    """Return the modes to climb as pairs of the mode below and the mode."""
    if modes == "all":
        names = [mode for mode in MODES if mode in device.modes]
    else:
        asked = [name.strip() for name in modes.split(",")] if isinstance(modes, str) else list(modes)
        names = [device.mode(name, "--modes").name for name in asked]
        names.sort(key=MODES.index)
    return list(zip([names[0], *names], names, strict=False))


def _choices(found: list[tuple[Estimate, dict[str, Any], int]], *, ladder: bool) -> tuple[Choice, ...]:
    front = pareto_front(
        [(answer.after.tokens_per_second_per_sequence, answer.after.tokens_per_second) for answer, _, _ in found]
    )
    # A ladder is compared with its own top, other choices with the best of their workload.
    table = [group if ladder else workload_of(answer) for answer, _, group in found]
    best: dict[Any, float] = {}
    for key, (answer, _, _) in zip(table, found, strict=True):
        best[key] = max(best.get(key, 0.0), answer.after.tokens_per_second)
    choices = []
    for place, (answer, settings, _) in enumerate(found):
        rank = place + 1 if ladder else place + 1 - table.index(table[place])
        side, values, rate = answer.after, answer.prepared.hardware.values, answer.after.tokens_per_second

        def over(path: str, values: Any = values, rate: float = rate, devices: int = answer.devices) -> float | None:
            quantity = values.get(path)
            return rate / (quantity.value * devices) if quantity is not None and quantity.value else None

        rental = over("price.rental")
        choices.append(
            Choice(
                rank=rank,
                model=answer.model,
                hardware=answer.hardware,
                devices=answer.devices,
                batch=answer.batch,
                context=answer.context,
                weight_format=answer.weight_format,
                kv_format=answer.kv_format,
                mode=side.mode,
                settings={path: getattr(value, "value", value) for path, value in settings.items()},
                tokens_per_second_before=answer.before.tokens_per_second,
                low_before=answer.before.low.tokens_per_second,
                high_before=answer.before.high.tokens_per_second,
                tokens_per_second_per_sequence_before=answer.before.tokens_per_second_per_sequence,
                fraction_of_peak_before=answer.before.fraction_of_peak,
                time_per_step=side.time_per_step,
                tokens_per_second=rate,
                low=side.low.tokens_per_second,
                high=side.high.tokens_per_second,
                tokens_per_second_per_sequence=side.tokens_per_second_per_sequence,
                fraction_of_peak=side.fraction_of_peak,
                bound=side.bound,
                to_best=rate / best[table[place]],
                against=answer.before.mode,
                gain=answer.speedup.value,
                gain_low=answer.speedup.low,
                gain_high=answer.speedup.high,
                per_device=rate / answer.devices,
                per_watt=over("power.tdp"),
                per_purchase=over("price.purchase"),
                per_rental=rental * 3600 if rental is not None else None,
                energy_before=answer.energy.before,
                energy_after=answer.energy.after,
                price_before=answer.price.before,
                price_after=answer.price.after,
                fits=answer.fits.fits,
                front=front[place],
            )
        )
    return tuple(choices)


def pareto_front(pairs: Sequence[tuple[float, float]]) -> list[bool]:
    """Return for each pair whether no other is at least as high in both and higher in one.

    >>> pareto_front([(1, 4), (2, 3), (1, 3), (3, 1)])
    [True, True, False, True]
    """
    order = sorted(range(len(pairs)), key=lambda i: pairs[i], reverse=True)
    on_front = [False] * len(pairs)
    highest = (float("-inf"), float("-inf"))  # largest second so far, and the first it came with
    for i in order:
        first, second = pairs[i]
        if second > highest[0] or (first, second) == (highest[1], highest[0]):
            on_front[i], highest = True, (second, first)
    return on_front
