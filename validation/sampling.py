"""Compares the ends of intervals with the 5th and the 95th percentile of what drawn parameters give.

Random questions of the whole catalogue. Each group of uncertain parameters is drawn from a normal distribution with
another spread on each side, on a logarithmic scale where the low end is not zero, such that low and high are its 5th
and 95th percentile; the recorded equations give both times and the speed-up of every draw. An end is right if it is
within 5 % of the percentile. Goal: each figure's ends right in 95 % of 2,000 questions of 10,000 draws.

    python validation/sampling.py [--questions 2000] [--draws 10000] [--seed 1]
"""

import argparse
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.errors import PerfModelError
from perfmodel.estimates.columns import columns_of
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.prepared import Prepared
from perfmodel.numbers.arrays import CHOICES
from perfmodel.numbers.python import function_of
from perfmodel.specifications.catalogue import names
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity

WITHIN = 0.05
ENDS = [f"{figure} {end}" for figure in ("before", "after", "speed-up") for end in ("low", "high")]


class Sampled(NamedTuple):
    """A question with its workload, and how far each of ENDS is from the sampled percentile, as a factor less one."""

    question: str
    misses: tuple[float, ...]


def random_questions(count: int, seed: int) -> Iterator[tuple[str, Prepared, int, int]]:
    """Yield questions that can be asked, with a batch and a context."""
    choose = random.Random(seed)  # noqa: S311 - no secret
    models, devices = names("models"), names("hardware")
    found = 0
    while found < count:
        options: dict[str, Any] = {
            "devices": choose.choice([1, 1, 2, 4, 8]),
            "after": choose.choice(["looped", "looped", "megakernel", "layer-fused", "graph"]),
        }
        if choose.random() < 0.5:
            options["before"] = choose.choice(["eager", "stream", "graph", "pdl"])
        if choose.random() < 0.4:
            options["weights"] = choose.choice(["int4", "fp8", "q4_k_m", "bf16"])
        model, device = choose.choice(models), choose.choice(devices)
        batch, context = int(2 ** choose.uniform(0, 10)), int(2 ** choose.uniform(7, 17))
        try:
            prepared = ask(model, device, **options)
        except PerfModelError:
            continue
        found += 1
        yield f"{model} {device} {options} batch {batch} context {context}", prepared, batch, context


def drawn(path: str, quantity: Quantity, positions: Any) -> Any:
    """Return a parameter at positions [95th percentiles, fast above 0], on a logarithmic scale where it can be."""
    parameter = lookup(path)
    slower = parameter is not None and parameter.slower > 0
    low, value, high = quantity.low, quantity.value, quantity.high
    ends = numpy.where(positions < 0, high if slower else low, low if slower else high)
    away = numpy.abs(positions)
    numbers = value * (ends / value) ** away if low > 0 else value + away * (ends - value)
    return numpy.clip(numbers, 0.0, parameter.most if parameter else numpy.inf)


def sample(name: str, prepared: Prepared, batch: int, context: int, draws: int, seed: int) -> Sampled:
    """Return how far the ends of a question's intervals are from the percentiles of `draws` draws."""
    recording, numbers = prepared.recording, numpy.random.default_rng(seed)
    inputs: dict[str, Any] = dict(recording.values)
    for group in recording.groups(()):
        positions = numbers.standard_normal(draws) / NORMAL_PERCENTILE
        inputs |= {
            each: drawn(recording.inputs[each].path, recording.inputs[each].quantity, positions) for each in group.slow
        }
    keys = list(inputs)
    function = function_of(recording.time_lines, ["batch", "context", *keys], recording.time_results, CHOICES)
    before, after = (
        numpy.broadcast_to(time, (draws,)) for time in function(batch, context, *(inputs[each] for each in keys))
    )
    columns = columns_of(prepared, batch, context)
    # What sources and rows differ by beyond the parameters takes no step below its peak.
    sides = [before, after, before / after]
    beyond = prepared.beyond
    for side, parts in enumerate((beyond.before, beyond.after, beyond.speedup)):
        for part in parts:
            sides[side] = sides[side] * numpy.exp(part / NORMAL_PERCENTILE * numbers.standard_normal(draws))
        if parts and side < 2:
            sides[side] = numpy.maximum(sides[side], columns["peak.time_per_step"])
    percentiles = [x for figures in sides for x in numpy.percentile(figures, [5, 95])]
    if beyond.after:
        percentiles[5] = min(percentiles[5], percentiles[1] / columns["peak.time_per_step"])
    ends = [
        *(columns[f"{side}.{end}.time_per_step"] for side in ("before", "after") for end in ("high", "low")),
        columns["speedup.low"],
        columns["speedup.high"],
    ]
    return Sampled(name, tuple(float(end / right - 1) for end, right in zip(ends, percentiles, strict=True)))


def main() -> None:
    """Sample and print how many ends are right, and the questions that are not."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--questions", type=int, default=2000)
    words.add_argument("--draws", type=int, default=10_000)
    words.add_argument("--seed", type=int, default=1)
    asked = words.parse_args()
    sampled = [
        sample(*question, asked.draws, asked.seed + number)
        for number, question in enumerate(random_questions(asked.questions, asked.seed))
    ]
    misses = numpy.abs([each.misses for each in sampled])
    right = misses < WITHIN
    for end, share in zip(ENDS, right.mean(axis=0), strict=True):
        print(f"{end:14s} within {WITHIN:.0%} in {share:.1%}")
    for figure, first in (("before", 0), ("after", 2), ("speed-up", 4)):
        both = right[:, first : first + 2].all(axis=1).mean()
        print(f"{f'{figure}, both':14s} within {WITHIN:.0%} in {both:.1%}")
    print(f"{'all six ends':14s} within {WITHIN:.0%} in {right.all(axis=1).mean():.1%} of {len(sampled):,} questions")
    for at in numpy.argsort(-misses.max(axis=1))[:10]:
        print(f"  {misses[at].max():6.1%} {sampled[at].question}")


if __name__ == "__main__":
    main()
