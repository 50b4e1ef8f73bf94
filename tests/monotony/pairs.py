"""Random pairs of questions that differ in one parameter: the step of either side must follow the parameter's
direction.

The direction of each parameter stands in the table of parameters (`Parameter.slower` in
perfmodel/specifications/parameters.py): a larger value makes a step slower, faster, or has none (capacities that only
say what fits, counts, clocks, prices, widths of an interval).
"""

import math
import random
from collections import Counter
from typing import Any, NamedTuple

import numpy

from perfmodel import estimate
from perfmodel.errors import PerfModelError
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.recording import BESIDE
from perfmodel.numbers.arrays import CHOICES
from perfmodel.numbers.python import function_of
from perfmodel.specifications.catalogue import find_hardware, names
from perfmodel.specifications.parameters import PARAMETERS, Parameter, lookup
from perfmodel.specifications.software import software_names
from perfmodel.units import BOUNDS

# A step goes against a direction where it does so by more than this share of it, which is rounding.
ROUNDING = 1e-12
# Keys on which more rests than the recorded equations, the cutting into calls and the chunks of a prompt: the question
# is asked anew for each value.
ANEW = ("on_chip.capacity", "on_chip.shared_per_unit", "units.count", "prompts.overlap")
# Keys that few files give, or none: some questions set them.
_SETTINGS: tuple[dict[str, float], ...] = (
    {"memory.latency": 600e-9, "memory.bytes_in_flight": 40e3},
    {"modes.{after}.tasks": 2000.0, "units.block_bandwidth": 9e9},
    {"modes.{before}.hidden": 0.5, "modes.{before}.covered": 0.5, "modes.{before}.tail": 1e-6},
    {"modes.{after}.stage_matrix": 1e-6, "modes.{after}.overlap": 0.5, "modes.{before}.kv": 0.5},
    {"modes.{before}.boundary": 3e-6},
    {"modes.{before}.calls": 400.0, "modes.{before}.factor": 0.9},
)
_CORES = {"tiers.host.cores": 32.0, "tiers.host.core_stream": 3e9}
_ON_CHIP = "lstm-ptb-medium-on-chip"  # the one model that keeps weights on chip
# What no step of `estimate` reads: conditional layers have equations of their own (test_conditions.py).
ELSEWHERE = ("conditions.predicate", "conditions.device", "conditions.host", "conditions.switch")
# Why the others have no direction.
_FITS, _PARTS = "says what fits, not how long it takes", "its product with others is a rate that has a direction"
_COUNT, _SHOWN = "a count of another question, not a cost", "no step rests on it"
UNDIRECTED = {
    "memory.capacity": _FITS,
    "tiers.*.capacity": _FITS,
    "memory.clock": _PARTS,
    "memory.bus_width": _PARTS,
    "units.clock": _PARTS,
    "units.operations_per_clock.*": _PARTS,
    "link.domain": "a count: which links join the devices",
    "power.tdp": "energy is reckoned with it; prompts.power_rate says what it lets through",
    "price.purchase": _SHOWN,
    "price.rental": _SHOWN,
    "software.spread": "widens an interval",
    "software.noise": "widens an interval",
    "modes.*.spread": "widens an interval",
    "drafts.most_tokens": "which of two kernels takes a step, for better or worse",
    "kernels.most_columns": "which of two kernels takes a step, for better or worse",
    "kernels.experts_apart": "which of two kernels takes a step, for better or worse",
    "drafts.layers": _COUNT,
    "drafts.vocabulary": _COUNT,
}
_WEIGHTS = (None, None, None, "bf16", "fp8", "int4", "q4_k_m", "mxfp4", "mlx-q5-g32")
_SPLITS = (None, None, None, "tp=2", "tp=8", "tp=4,pp=2", "tp=2,dp=4,ep=8", "pp=4", "tp=16", "tp=4,dp=4,ep=16")
_OFFLOADS = ("host", "host", "weights=host:0.5", "kv=host:0.5", "experts=host", "experts=host:compute")
_DRAFTERS = ("eagle", "mtp", "ngram", "llama-3.2-1b", "qwen3-0.6b")


class Against(NamedTuple):
    """A pair that goes against the direction: what was asked, the side, the values of the parameter, the times [s]."""

    question: str
    side: str
    path: str
    values: tuple[float, float]
    times: tuple[float, float]
    others: dict[str, float]


class Tried(NamedTuple):
    """What a number of pairs gave: how many for each key of the table, how many moved the step, those against.

    recut: pairs that were set aside since the room on chip changes what is fused, which is another mode of its stages:
    one that is split is faster where its stages cost more than boundaries.
    """

    keys: Counter[str]
    moved: int
    against: list[Against]
    recut: int = 0


def directed() -> set[str]:
    """Return the keys of the table that have a direction."""
    return {parameter.key for parameter in PARAMETERS if parameter.slower}


def draw(random_: random.Random) -> tuple[tuple[str, str, dict[str, Any]], Prepared]:
    """Return a random question of the catalogue that is answered, and what is prepared of it."""
    models, devices, kinds = names("models"), names("hardware"), software_names()
    while True:
        model, device = random_.choice((*models, *(_ON_CHIP,) * 5)), random_.choice(devices)
        modes = list(find_hardware(device).modes)
        asked: dict[str, Any] = {"after": random_.choice(modes)}
        asked["before"] = random_.choice([None, *modes])
        asked["parallel"] = random_.choice(_SPLITS)
        asked["weights"], asked["kv"] = random_.choice(_WEIGHTS), random_.choice((None, None, "fp8"))
        asked["software"] = random_.choice((None, None, *kinds))
        asked["loop_at_most"] = random_.choice((None, None, 1, 7))
        asked["offload"] = random_.choice(_OFFLOADS) if random_.random() < 0.2 else None
        places = {"before": asked["before"] or modes[0], "after": asked["after"]}
        settings = random_.choice(_SETTINGS) if random_.random() < 0.3 else {}
        settings = {path.format(**places): value for path, value in settings.items()}
        asked["parameters"] = settings | _given(asked["offload"], model)
        further = random_.random()
        if further < 0.15:
            asked |= {"draft": random_.choice((1, 3, 8)), "drafter": random_.choice(_DRAFTERS), "acceptance": 0.7}
        elif further < 0.3:
            asked |= {"prompt": random_.choice((10, 1000, 20_000))}
        try:
            prepared = ask(model, device, **asked)
        except PerfModelError:
            continue
        return (model, device, asked), prepared


def _given(offload: str | None, model: str) -> dict[str, float]:
    """Return what a device must be given for experts on the host, and for weights on chip."""
    return (_CORES if offload == "experts=host:compute" else {}) | (
        {"on_chip.bandwidth": 5e12} if model == _ON_CHIP else {}
    )


def ends_of(parameter: Parameter) -> tuple[float, float]:
    """Return the least and the largest value that the key may hold [base unit]."""
    least, most = BOUNDS[parameter.unit]
    low = max(parameter.least, least) if parameter.positive or parameter.least else 0.0
    return low, min(parameter.most, most)


def _value(parameter: Parameter, usual: float, random_: random.Random) -> float:
    """Return a value of a parameter: usual, near it, far from it, or an end of what it may hold."""
    low, high = ends_of(parameter)
    how = random_.random()
    if how < 0.1:
        return random_.choice((low, high))
    width = random_.choice((0.1, 1.0, 3.0, 8.0))
    return min(max((usual or 1e-6) * 10 ** random_.uniform(-width, width), low), high)


def tried(seed: str, pairs: int) -> Tried:
    """Try `pairs` pairs of one random question on its recorded equations."""
    random_ = random.Random(seed)
    question, prepared = draw(random_)
    prompted = "prompt" in question[2]
    recording = prepared.prompting if prompted else prepared.recording
    known = {name: lookup(each.path) for name, each in recording.inputs.items()}
    moving = [name for name, parameter in known.items() if parameter is not None and parameter.slower]
    arguments = ["batch", "context", "tokens", *BESIDE, *recording.inputs]
    points: dict[str, list[float]] = {name: [] for name in arguments}
    chosen, values = [], []
    for _ in range(pairs):
        quiet = random_.random()  # the share of parameters that stay as they are
        points["batch"].append(float(random_.choice((1, 1, 2, 7, 64, 513, 100_000))))
        points["context"].append(float(random_.choice((0, 1, 100, 4096, 65_537, 10_000_000))))
        points["beside"].append(float(random_.choice((0, 0, 1, 7, 200))))
        points["cached"].append(float(random_.choice((0, 1, 4096, 1_000_000))))
        points["tokens"].append(float(random_.choice((1, 10, 512, 100_000))))
        for name, parameter in known.items():
            usual = recording.values[name]
            still = parameter is None or random_.random() < quiet
            points[name].append(usual if still else _value(parameter, usual, random_))
        name = random_.choice(moving)
        ends = [_value(known[name], recording.values[name], random_) for _ in range(2)]
        chosen.append(name)
        values.append((min(ends), max(ends)))
    function = function_of(recording.time_lines, arguments, recording.time_results, CHOICES)
    sides = []
    for end in (0, 1):
        here = {name: numpy.array(column) for name, column in points.items()}
        for i, name in enumerate(chosen):
            here[name][i] = values[i][end]
        with numpy.errstate(all="ignore"):
            sides.append([numpy.broadcast_to(time, pairs) for time in function(*(here[name] for name in arguments))])
    return _judged(question, recording.inputs, known, points, chosen, values, sides)


def _judged(question, inputs, known, points, chosen, values, sides) -> Tried:
    found = Tried(Counter(known[name].key for name in chosen), 0, [])
    moved = 0
    for i, name in enumerate(chosen):
        times = [(float(sides[0][side][i]), float(sides[1][side][i])) for side in (0, 1)]
        moved += any(low != high for low, high in times)
        for side, (low, high) in zip(("before", "after"), times, strict=True):
            if not follows(low, high, known[name].slower):
                others = {inputs[key].key if key in inputs else key: column[i] for key, column in points.items()}
                told = f"{question[0]} {question[1]} {question[2]}"
                found.against.append(Against(told, side, inputs[name].key, values[i], (low, high), others))
    return found._replace(moved=moved)


def follows(low: float, high: float, slower: int) -> bool:
    """Whether the time at the larger value [s], `high`, follows the direction from that at the smaller, `low`."""
    numbers = math.isfinite(low) and math.isfinite(high) and low > 0 and high > 0
    return numbers and (high - low) * slower >= -ROUNDING * max(low, high)


def tried_anew(seed: str) -> Tried:
    """Try one pair of a parameter on which more rests than the recorded equations:
    the question is asked at both values."""
    random_, recut = random.Random(seed), 0
    while True:
        (model, device, asked), prepared = draw(random_)
        path = random_.choice([path for path in ANEW if path in prepared.hardware.values] or [""])
        workload = {"batch": random_.choice((1, 7, 513)), "context": random_.choice((0, 4096, 65_537))}
        if path == "prompts.overlap":
            workload |= {"prompt": 10_000, "chunk": random_.choice((100, 4096))}
        if not path:
            continue
        parameter = lookup(path)
        values = sorted(_value(parameter, prepared.hardware.values[path].value, random_) for _ in range(2))
        try:
            low, high = (
                estimate(model, device, **asked | workload | {"parameters": asked["parameters"] | {path: value}})
                for value in values
            )
        except PerfModelError:
            continue
        if _cut(low) == _cut(high):
            break
        recut += 1
    found = Tried(Counter([parameter.key]), 0, [], recut)
    for side in ("before", "after"):
        times = _time(low, side), _time(high, side)
        if not follows(*times, parameter.slower):
            told = f"{model} {device} {asked} {workload}"
            found.against.append(Against(told, side, path, (values[0], values[1]), times, {}))
    return found._replace(moved=int(_time(low, "before") != _time(high, "before")))


def _cut(answer: Any) -> Any:
    """Return which bodies of either side do not fit on chip."""
    return [[body for body, _ in side.schedule.split] for side in (answer.prepared.before, answer.prepared.after)]


def _time(answer: Any, side: str) -> float:
    """Return the time of a step, or where a prompt is asked, to the first token [s]."""
    asked = answer.prompt
    return getattr(answer, side).time_per_step if asked is None else getattr(asked, side).time_to_first_token
