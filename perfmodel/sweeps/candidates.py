"""Candidates: every way to serve a model that can be built and fits, with the times of all its batches at once."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import msgspec
import numpy

from perfmodel.errors import ValueRangeError
from perfmodel.estimates.costs import power_and_rental
from perfmodel.estimates.figures import terms_at
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.progress import Report, watched
from perfmodel.estimates.prompts import prompt_of
from perfmodel.estimates.question import read_question
from perfmodel.estimates.results import Prompt
from perfmodel.estimates.splits import obstacle, splits
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Experts, Layer, Model
from perfmodel.sweeps.grids import Axis, points

_MOST_SETTINGS, _MOST_BATCHES = 100_000, 1_000_000  # of one choice: all but its batches, and these


class Way(NamedTuple):
    """One way to serve at all batches that fit: the question at the first of them, and time a token of both sides [s].

    prompt: how long a prompt takes that is processed alone, None where none is asked.
    """

    question: dict[str, Any]
    prepared: Prepared
    batches: Any
    before: Any
    after: Any
    prompt: Prompt | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What a choice is the best of: the same in all but batch and split."""
        p = self.prepared
        same = ("model", "hardware", "devices", "parallel", "batch")
        rest = tuple(str(value) for name, value in self.question.items() if name not in same)
        return (p.model.name, p.hardware.name, *rest, p.devices)


def ways_to_serve(
    models: Sequence[Model],
    machines: Sequence[Hardware],
    axes: Sequence[Axis],
    given: dict[str, Any],
    report: Report | None = None,
) -> Iterator[Way]:
    """Yield every way to share that can be built, with the batches at which it fits into memory.

    report: is told after each how many are done, and of how many.
    Raises ValueRangeError for more than can be looked at.
    """
    batches_asked = next(axis.count for axis in axes if axis.name == "batch")
    settings = len(models) * len(machines) * points(axes) // batches_asked
    for many, most, what in ((settings, _MOST_SETTINGS, "settings"), (batches_asked, _MOST_BATCHES, "batches")):
        if many > most:
            raise ValueRangeError(f"choose: {many:,} {what} are more than {most:,}; make an axis coarser")
    named = {axis.name: axis.part(0, axis.count) for axis in axes}
    batches = numpy.array(sorted(named.pop("batch")), dtype=float)
    numbers = named.pop("devices")
    rest = [dict(zip(named, values, strict=True)) for values in product(*named.values())]
    every = [
        {name: value for name, value in (given | same).items() if value is not None}
        | {"model": model, "hardware": device, "devices": None, "parallel": parallel, "batch": int(batches[0])}
        for model, device in product(models, machines)
        for same in rest
        for parallel in _sharings(model, device, numbers, given["parallel"], int(batches[-1]))
    ]
    for question in watched(every, report):
        way = _way(question, batches)
        if way is not None:
            yield way


def _sharings(
    model: Model, device: Hardware, numbers: Iterable[Any], parallel: Any, most_data: int
) -> Iterator[Parallel | Any]:
    if parallel is not None:
        yield parallel
        return
    for number in numbers:
        devices = number or device.devices
        if devices == 1 or "link.bandwidth" in device.values:
            for split in splits(model, int(devices), most_data=most_data):
                yield split
                yield from _spread_wider(model, split)


def _spread_wider(model: Model, split: Parallel) -> Iterator[Parallel]:
    """Yield `split` with routed experts spread over more groups, as far as that can be built."""
    mixtures = any(isinstance(layer, Layer) and isinstance(layer.feed_forward, Experts) for layer in model.layers)
    for groups in range(split.expert + 1, split.stage_devices + 1 if mixtures else 0):
        wider = msgspec.structs.replace(split, expert=groups)
        if not obstacle(model, wider):
            yield wider


def _way(question: dict[str, Any], batches: Any) -> Way | None:
    """Return the times of one way to share at the batches that fit, None where none does."""
    read = read_question(**question)
    prompt = None
    if read.prompt is not None:
        prompt = prompt_of(prepare_question(read), 1, read.context, *read.prompt, read.decoding)
        # Tokens are generated after the prompt, which is in the cache then.
        question = question | {"context": read.context + prompt.tokens, "prompt": None, "chunk": None}
        read = read_question(**question)
    prepared = prepare_question(read)
    needed = numpy.asarray(prepared.resident.bytes_resident(batches, read.context), dtype=float)
    fits = numpy.broadcast_to(needed <= prepared.hardware.values["memory.capacity"].value, batches.shape)
    if not fits.any():
        return None
    some = batches[fits]
    times = [
        numpy.broadcast_to(terms_at(side, some, float(read.context), {}).total() / prepared.tokens_per_step, some.shape)
        for side in (prepared.before, prepared.after)
    ]
    before, after = times
    return Way(question, prepared, some, before, after, prompt)


class Limits(NamedTuple):
    """The longest time per token and the longest time to the first one [s], None for no limit."""

    token: float | None = None
    first: float | None = None


def within_limits(way: Way, side: str, limits: Limits) -> Any:
    """Return at which batches one side of a way keeps the limits."""
    times = getattr(way, side)
    keeps = numpy.ones(times.shape, bool) if limits.token is None else times <= limits.token
    if limits.first is not None and way.prompt is not None:
        keeps &= getattr(way.prompt, side).time_to_first_token <= limits.first
    return keeps


def measures(way: Way, by: str, times: Any) -> Any:
    """Return what candidates are ranked by, more is better: tokens a dollar or a second."""
    if by == "user":
        return 1 / times
    each = way.batches / times / way.prepared.devices
    if by == "device":
        return each
    _, rental = power_and_rental(way.prepared.hardware)
    assert rental is not None  # noqa: S101 - checked before
    return each / rental.value
