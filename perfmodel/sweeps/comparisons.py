"""Comparisons: choices of model, device, workload and mode side by side, best first; the ladder of modes.

The Pareto front.
"""

from collections.abc import Sequence
from itertools import groupby, product
from typing import Any, Unpack

import msgspec

from perfmodel._layout import ShownInNotebooks
from perfmodel.errors import ValueRangeError
from perfmodel.estimates.answers import Estimate, estimate
from perfmodel.estimates.costs import cost_per_million_tokens
from perfmodel.estimates.options import AskedGrid
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.parameters import MODES

_MOST_CHOICES = 100_000


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One choice with the figures of its mode. Times [s], rates [tok/s]; low and high are the ends of the rate.

    to_best: its rate over that of the best choice [-]. gain: its rate over that of the mode before it on the ladder
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


class Comparison(msgspec.Struct, ShownInNotebooks, frozen=True, eq=False):
    """Choices side by side, best first, or up the ladder of modes for each choice.

    ladder: whether the choices are modes, each against the one before.
    """

    choices: tuple[Choice, ...]
    ladder: bool

    def front(self) -> "Comparison":
        """Return only the choices that no other beats in both rate per user and total rate."""
        return Comparison(tuple(choice for choice in self.choices if choice.front), self.ladder)

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

    def to_pandas(self) -> Any:
        """Return `rows` as a pandas DataFrame (pandas is not a dependency of this package)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def to_polars(self) -> Any:
        """Return `rows` as a polars DataFrame (polars is not a dependency of this package)."""
        import polars

        return polars.DataFrame(self.rows())


def compare(
    models: Any, hardware: Any, *, modes: str | Sequence[str] | None = None, **asked: Unpack[AskedGrid]
) -> Comparison:
    """Compare choices; every key takes what the same key of `perfmodel.sweep` takes.

    modes: "all" or names for the ladder of launch modes, from eager to megakernel, each against the one before it.
    Choices that do not fit in memory come last. Raises PerfModelError, with one line that says what can.

    >>> [choice.hardware for choice in compare("llama-3.1-8b", "a100-sxm-80gb,h100-sxm").choices]
    ['h100-sxm', 'a100-sxm-80gb']
    """
    from perfmodel.sweeps.sweeps import make_grid

    ladder = modes is not None
    if ladder:
        asked |= {"before": None, "after": "looped"}
    grid = make_grid(models, hardware, **asked)
    if grid.size > _MOST_CHOICES:
        raise ValueRangeError(
            f"compare: {grid.size:,} choices are more than {_MOST_CHOICES:,}; perfmodel sweep is for grids"
        )
    found: list[tuple[Estimate, dict[str, Any], int]] = []
    for group, values in enumerate(product(*(axis.part(0, axis.count) for axis in grid.axes))):
        point = dict(zip((axis.name for axis in grid.axes), values, strict=True))
        settings = {path: point.pop(path) for path in grid.parameters}
        device: Any = point["hardware"]
        steps = _ladder(device, modes) if modes is not None else [(point["before"], point["after"] or "looped")]
        for one, two in steps:
            chosen: Any = point | grid.same | {"before": one, "after": two, "parameters": settings}
            found.append((estimate(**chosen), settings, group))
    if not ladder:
        found.sort(key=lambda each: (not each[0].fits.fits, -each[0].after.tokens_per_second))
    return Comparison(_choices(found, grid.hardware, ladder=ladder), ladder)


def _ladder(device: Hardware, modes: str | Sequence[str]) -> list[tuple[str, str]]:
    """Return the modes to climb as pairs of the mode below and the mode."""
    if modes == "all":
        names = [mode for mode in MODES if mode in device.modes]
    else:
        asked = [name.strip() for name in modes.split(",")] if isinstance(modes, str) else list(modes)
        names = [device.mode(name, "--modes").name for name in asked]
        names.sort(key=MODES.index)
    return list(zip([names[0], *names], names, strict=False))


def _choices(
    found: list[tuple[Estimate, dict[str, Any], int]], hardware: Sequence[Hardware], *, ladder: bool
) -> tuple[Choice, ...]:
    known = {device.name: device.values for device in hardware}
    front = pareto_front(
        [(answer.after.tokens_per_second_per_sequence, answer.after.tokens_per_second) for answer, _, _ in found]
    )
    best = (
        {
            group: max(answer.after.tokens_per_second for answer, _, _ in answers)
            for group, answers in groupby(found, key=lambda each: each[2])
        }
        if ladder
        else {}
    )
    overall = max((answer.after.tokens_per_second for answer, _, _ in found), default=0.0)
    choices = []
    for rank, (answer, settings, group) in enumerate(found, 1):
        side, values, rate = answer.after, known[answer.hardware], answer.after.tokens_per_second

        def over(path: str, values: Any = values, rate: float = rate, devices: int = answer.devices) -> float | None:
            quantity = values.get(path)
            return rate / (quantity.value * devices) if quantity is not None and quantity.value else None

        rental, cost = over("price.rental"), cost_per_million_tokens(answer)
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
                time_per_step=side.time_per_step,
                tokens_per_second=rate,
                low=side.low.tokens_per_second,
                high=side.high.tokens_per_second,
                tokens_per_second_per_sequence=side.tokens_per_second_per_sequence,
                fraction_of_peak=side.fraction_of_peak,
                bound=side.bound,
                to_best=rate / (best[group] if ladder else overall),
                against=answer.before.mode,
                gain=answer.speedup.value,
                gain_low=answer.speedup.low,
                gain_high=answer.speedup.high,
                per_device=rate / answer.devices,
                per_watt=over("power.tdp"),
                per_purchase=over("price.purchase"),
                per_rental=rental * 3600 if rental is not None else None,
                energy_before=cost.energy_before,
                energy_after=cost.energy_after,
                price_before=cost.price_before,
                price_after=cost.price_after,
                fits=answer.fits.fits,
                front=front[rank - 1],
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
