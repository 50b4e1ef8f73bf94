"""Which ways of sharing a model between devices can be built, and the fewest devices that hold it.

Tensor parallelism divides heads, groups and widths; key and value heads divide it or are divided by it. Pipelines hold
whole layers. Experts are spread in equal numbers. That is what serving engines ask before they load a model
(vllm/model_executor/layers/linear.py and vllm/config/model.py, sglang/srt/layers/linear.py).
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Any

import msgspec

from perfmodel.estimates.capacity import Resident
from perfmodel.estimates.divisions import divisors, mixture_obstacle, most_stages, most_tensor, needs_of, widest
from perfmodel.numbers.choices import ceil_div, larger, smaller
from perfmodel.operations import stage_layers
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.model import Model
from perfmodel.units import MOST_DEVICES

Holding = Callable[[Parallel], Resident]

_NEAREST = 2  # numbers that can be built, named on either side of one that cannot


def obstacle(model: Model, parallel: Parallel) -> str:
    """Return why `parallel` cannot be built for `model`, in a few words; '' where it can.

    >>> from perfmodel.specifications.catalogue import find_model
    >>> obstacle(find_model("llama-3.1-8b"), Parallel(tensor=3))
    'tp=3 does not divide 32 heads'
    """
    if parallel.pipeline > len(model.layers):
        return f"pp={parallel.pipeline} is more than {len(model.layers)} layers"
    if parallel.pipeline > 1 and model.step:
        return f"pp={parallel.pipeline}: {model.name} is no decoder, whose layers all hand on the same activations"
    attention, dense, mixtures = needs_of(model)
    for need in attention:
        if not need.allows(parallel.tensor):
            return f"tp={parallel.tensor} does not divide {need.number:,} {need.what}"
    shared = f"tp={parallel.tensor}" + (f" x dp={parallel.data}" if parallel.data > 1 else "")
    for need in dense:
        if not need.allows(parallel.stage_devices):
            return f"{shared} does not divide {need.what} of {need.number:,}"
    for mixture in mixtures:
        if why := mixture_obstacle(mixture, parallel, shared):
            return why
    return ""


def splits(model: Model, devices: int, *, most_data: int = 1) -> Iterator[Parallel]:
    """Yield each way to share `model` between exactly `devices` that can be built, widest tensor parallelism first.

    most_data: data-parallel groups at most [-], which is no more than there are sequences. Only mixtures of experts are
    shared so: of a dense model engines load whole copies, which are systems of their own. Ways to spread the experts
    that keep as many bytes on a device are yielded once.

    >>> from perfmodel.specifications.catalogue import find_model
    >>> [str(split) for split in splits(find_model("mixtral-8x7b"), 6)]
    ['tp=2,pp=3', 'tp=1,pp=6']
    """
    deepest = most_stages(model)
    most_data = most_data if needs_of(model)[2] else 1
    for tensor in divisors(devices):
        if not all(need.allows(tensor) for need in needs_of(model)[0]):
            continue
        each = devices // tensor
        # Few groups before many: a group holds all of attention once more.
        for data in reversed(divisors(each)):
            pipeline = each // data
            if pipeline > deepest or data > most_data:
                continue
            for expert in _spreads(model, tensor, data):
                yield Parallel(tensor=tensor, expert=expert, pipeline=pipeline, data=data)


def tensor_splits(model: Model, most: int = MOST_DEVICES) -> list[int]:
    """Return the numbers of devices that can share `model` by tensor parallelism alone, ascending.

    >>> from perfmodel.specifications.catalogue import find_model
    >>> tensor_splits(find_model("llama-3.1-8b"))
    [1, 2, 4, 8, 16, 32]
    """
    return [n for n in range(1, min(most, most_tensor(model)) + 1) if not obstacle(model, Parallel(tensor=n))]


def fewest(model: Model, resident: Holding, batch: int, context: int, available: float) -> Parallel | None:
    """Return the way to share between the fewest devices that can be built and fits, or None.

    resident: what a way of sharing keeps on its fullest device; available: bytes of a device [B].
    Every number of devices is tried from the first that could hold each byte once: need does not fall steadily.
    """
    stages = _Stages(model, resident, batch, context, available)
    first, end = _tried(model, resident, batch, context, available)
    for devices in range(int(first), int(end)):
        for split in splits(model, devices, most_data=batch):
            if stages.may_fit(split) and resident(split).bytes_resident(batch, context) <= available:
                return split
    return None


def fewest_at(model: Model, resident: Holding, batch: Any, context: Any, available: Any) -> Any:
    """Return the `devices` of `fewest` at each point of equally long arrays, -1 for None."""
    import numpy

    found = numpy.full(len(batch), -1, numpy.int64)
    first, end = (
        numpy.broadcast_to(bound, found.shape) for bound in _tried(model, resident, batch, context, available)
    )
    stages = _Stages(model, resident, batch.min(), context.min(), available.max())
    left = numpy.flatnonzero(first < end)
    devices = 0
    while len(left):
        devices = max(devices + 1, int(first[left].min()))
        trying = left[first[left] <= devices]
        for split in splits(model, devices, most_data=int(batch[trying].max())):
            who = trying[batch[trying] >= split.data] if split.data > 1 else trying
            if len(who) and stages.may_fit(split):
                fits = resident(split).bytes_resident(batch[who], context[who]) <= available[who]
                found[who[fits]] = devices
                trying = trying[found[trying] < 0]
        left = left[(found[left] < 0) & (end[left] > devices + 1)]
    return found


def nearest_splits(model: Model, parallel: Parallel) -> list[Parallel]:
    """Return ways to share that can be built, near `parallel`, which cannot.

    As many devices shared in another way if there is one, and else the numbers of tensor parallelism on either side.
    """
    same = next(splits(model, parallel.devices), None)
    if same is not None:
        return [same]
    numbers = tensor_splits(model)
    below = [n for n in numbers if n < parallel.tensor][-1:]
    above = [n for n in numbers if n > parallel.tensor][:1]
    return [Parallel(tensor=n) for n in (below + above)[:_NEAREST]]


class _Stages:
    """The bytes of each layer under each way to share a stage, from which those of any number of stages follow."""

    def __init__(self, model: Model, resident: Holding, batch: int, context: int, available: float) -> None:
        self._layers, self._resident = most_stages(model), resident
        self._batch, self._context, self._room = batch, context, available * (1 + 1e-9)
        self._sums: dict[tuple[int, int, int], list[float]] = {}

    def may_fit(self, split: Parallel) -> bool:
        """Return whether no stage of `split` is too large, to within rounding; many splits are ruled out so."""
        if split.pipeline == 1:
            return True
        key = (split.tensor, split.data, split.expert)
        sums = self._sums.get(key)
        if sums is None:
            alone = self._resident(msgspec.structs.replace(split, pipeline=self._layers))
            sequences = split.resident_sequences(self._batch)
            sizes = [float(work.bytes_resident(sequences, self._context)) for work in alone.works]
            sums = self._sums[key] = [0.0, *accumulate(sizes[stage] for stage in alone.stages)]
        return all(sums[stop] - sums[start] <= self._room for start, stop in stage_layers(self._layers, split.pipeline))


def _tried(model: Model, resident: Holding, batch: Any, context: Any, available: Any) -> tuple[Any, Any]:
    """Return the first number of devices that is tried, and the one after the last; of equally long arrays too."""
    # No device holds less than its part of the finest cut there could be, its experts left out.
    finest = resident(Parallel(tensor=MOST_DEVICES, data=MOST_DEVICES, pipeline=most_stages(model)))
    works = tuple(msgspec.structs.replace(work, experts=()) for work in finest.works)
    never = msgspec.structs.replace(finest, works=works).bytes_resident(batch, context) > available
    first = ceil_div(resident(Parallel()).bytes_resident(batch, context), available)
    first = larger(first, 1)
    groups = smaller(batch, widest(model)) if needs_of(model)[2] else 1
    most = smaller(groups * (most_tensor(model) * most_stages(model)), MOST_DEVICES)
    return first, (1 - never) * (most + 1)


# --- what a model asks of a split


@lru_cache(maxsize=65_536)
def _spreads(model: Model, tensor: int, data: int) -> tuple[int, ...]:
    """Return over how many groups experts may be spread where `tensor` x `data` devices share a stage.

    Of those that keep as many bytes on a device one is enough: tokens that travel to their experts, over as many
    devices as can be, or all tokens everywhere.
    """
    stage = tensor * data
    counts = [mixture.count for mixture in needs_of(model)[2]]
    groups = [n for n in range(1, min([stage, *counts]) + 1) if stage % n == 0] if counts else [1]
    possible = [n for n in groups if not obstacle(model, Parallel(tensor=tensor, data=data, expert=n))]
    if data == 1:
        return tuple(possible[:1])
    return tuple(dict.fromkeys([*possible[-1:], *(n for n in possible if n == 1)]))
