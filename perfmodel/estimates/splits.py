"""Which ways of sharing a model between devices can be built, and the fewest devices that hold it.

Tensor parallelism divides heads, groups and widths; key and value heads divide it or are divided by it. Pipelines hold
whole layers. Experts are spread in equal numbers. That is what serving engines ask before they load a model
(vllm/model_executor/layers/linear.py and vllm/config/model.py, sglang/srt/layers/linear.py).
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate
from math import isqrt
from typing import Any, NamedTuple

import msgspec

from perfmodel.estimates.capacity import Resident
from perfmodel.numbers.choices import ceil_div, larger, smaller
from perfmodel.operations import stage_layers
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.model import (
    Attention,
    CompressedAttention,
    Experts,
    FeedForward,
    KeyedDeltaAttention,
    LatentAttention,
    Layer,
    LightningAttention,
    Mixer,
    Model,
    ShortConvolution,
    StateSpace,
)
from perfmodel.specifications.primitives import Block, Convolution, DotProduct, Linear, Recurrent
from perfmodel.units import MOST_DEVICES

Holding = Callable[[Parallel], Resident]

_NARROW = 64  # outputs of a matrix below which a network leaves it whole on each device
_NEAREST = 2  # numbers that can be built, named on either side of one that cannot


class _Whole(NamedTuple):
    """What must be divided without a rest. either: or may divide the devices, each copy then being kept whole."""

    what: str
    number: int
    either: bool = False

    def allows(self, devices: int) -> bool:
        """Return whether `devices` divide it."""
        return self.number % devices == 0 or (self.either and devices % self.number == 0)


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
    attention, dense, mixtures = _needs(model)
    for need in attention:
        if not need.allows(parallel.tensor):
            return f"tp={parallel.tensor} does not divide {need.number:,} {need.what}"
    shared = f"tp={parallel.tensor}" + (f" x dp={parallel.data}" if parallel.data > 1 else "")
    for need in dense:
        if not need.allows(parallel.stage_devices):
            return f"{shared} does not divide {need.what} of {need.number:,}"
    for mixture in mixtures:
        if why := _mixture_obstacle(mixture, parallel, shared):
            return why
    return ""


def splits(model: Model, devices: int, *, most_data: int = 1) -> Iterator[Parallel]:
    """Yield each way to share `model` between exactly `devices` that can be built, widest tensor parallelism first.

    most_data: data-parallel groups at most [-], which is no more than there are sequences. Only mixtures of experts are
    shared so: of a dense model engines load whole copies, which are systems of their own. Ways to spread the experts that
    keep as many bytes on a device are yielded once.

    >>> from perfmodel.specifications.catalogue import find_model
    >>> [str(split) for split in splits(find_model("mixtral-8x7b"), 6)]
    ['tp=2,pp=3', 'tp=1,pp=6']
    """
    deepest = _deepest(model)
    most_data = most_data if _needs(model)[2] else 1
    for tensor in _divisors(devices):
        if not all(need.allows(tensor) for need in _needs(model)[0]):
            continue
        each = devices // tensor
        # Few groups before many: a group holds all of attention once more.
        for data in reversed(_divisors(each)):
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
    return [n for n in range(1, min(most, _most_tensor(model)) + 1) if not obstacle(model, Parallel(tensor=n))]


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
        self._layers, self._resident = _deepest(model), resident
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
    finest = resident(Parallel(tensor=MOST_DEVICES, data=MOST_DEVICES, pipeline=_deepest(model)))
    works = tuple(msgspec.structs.replace(work, experts=()) for work in finest.works)
    never = msgspec.structs.replace(finest, works=works).bytes_resident(batch, context) > available
    first = ceil_div(resident(Parallel()).bytes_resident(batch, context), available)
    first = larger(first, 1)
    groups = smaller(batch, _widest(model)) if _needs(model)[2] else 1
    most = smaller(groups * (_most_tensor(model) * _deepest(model)), MOST_DEVICES)
    return first, (1 - never) * (most + 1)


# --- what a model asks of a split


@lru_cache(maxsize=256)
def _needs(model: Model) -> tuple[tuple[_Whole, ...], tuple[_Whole, ...], tuple[Experts, ...]]:
    """Return what tensor parallelism must divide, what all devices of a stage must, and the mixtures of experts."""
    attention: dict[_Whole, None] = {}
    dense: dict[_Whole, None] = {}
    mixtures: dict[Experts, None] = {}
    for layer in dict.fromkeys(model.layers):
        if isinstance(layer, Block):
            attention |= dict.fromkeys(_block_needs(layer))
            continue
        assert isinstance(layer, Layer)  # noqa: S101 - the only other kind
        if layer.mixer is not None:
            attention |= dict.fromkeys(_mixer_needs(layer.mixer))
        if layer.beside is not None:
            attention |= dict.fromkeys(_mixer_needs(layer.beside))
        if layer.mixture is not None:
            mixtures[layer.mixture] = None
        if isinstance(layer.feed_forward, FeedForward):
            dense[_Whole("the feed-forward width", layer.feed_forward.intermediate)] = None
        elif layer.feed_forward is not None:
            mixtures[layer.feed_forward] = None
    return tuple(attention), tuple(dense), tuple(mixtures)


def _mixer_needs(mixer: Mixer) -> Iterator[_Whole]:
    if isinstance(mixer, Attention):
        yield _Whole("heads", mixer.heads)
        yield _Whole("key and value heads", mixer.kv_heads, either=True)
    elif isinstance(mixer, LatentAttention | CompressedAttention | KeyedDeltaAttention | LightningAttention):
        yield _Whole("heads", mixer.heads)
    elif isinstance(mixer, ShortConvolution):
        yield _Whole("channels of the convolution", mixer.width)
    elif isinstance(mixer, StateSpace):
        yield _Whole("channels of the state space", mixer.inner)
        if mixer.version != 1:
            yield _Whole("heads of the state space", mixer.heads)
            # Groups beyond their number are copied, as key and value heads are.
            yield _Whole("groups of the state space", mixer.groups, either=True)
    else:
        yield _Whole("key heads of linear attention", mixer.key_heads)
        yield _Whole("value heads of linear attention", mixer.value_heads)


def _block_needs(block: Block) -> Iterator[_Whole]:
    for primitive in block.operations:
        if isinstance(primitive, Linear | Convolution) and primitive.outputs >= _NARROW:
            yield _Whole("outputs of its matrices", primitive.outputs)
        elif isinstance(primitive, DotProduct):
            yield _Whole("heads", primitive.heads)
            yield _Whole("key and value heads", primitive.kv_heads, either=True)
        elif isinstance(primitive, Recurrent):
            yield _Whole("states of a recurrent cell", primitive.hidden)


def _mixture_obstacle(mixture: Experts, parallel: Parallel, shared: str) -> str:
    if mixture.count % parallel.expert:
        return f"ep={parallel.expert} does not divide {mixture.count} experts"
    if parallel.stage_devices % parallel.expert:
        return f"ep={parallel.expert} does not divide the {parallel.stage_devices} devices of {shared}"
    within = parallel.stage_devices // parallel.expert
    if mixture.intermediate % within:
        return f"{within} devices of an expert do not divide its width of {mixture.intermediate:,}"
    beside = parallel.tensor if parallel.routed else parallel.stage_devices
    if mixture.shared % beside:
        return f"{beside} devices do not divide the shared expert's width of {mixture.shared:,}"
    return ""


def _deepest(model: Model) -> int:
    """Return the most stages that the layers can be cut into."""
    return 1 if model.step else len(model.layers)


def _most_tensor(model: Model) -> int:
    """Return the widest tensor parallelism that attention allows."""
    return min([need.number for need in _needs(model)[0] if not need.either] + [MOST_DEVICES])


def _widest(model: Model) -> int:
    """Return how many devices share a stage at most: they divide each width."""
    _, dense, mixtures = _needs(model)
    widths = [need.number for need in dense] + [mixture.count * mixture.intermediate for mixture in mixtures]
    return min([*widths, MOST_DEVICES])


@lru_cache(maxsize=4096)
def _divisors(number: int) -> tuple[int, ...]:
    """Return what divides `number`, largest first."""
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return tuple(sorted({*small, *(number // n for n in small)}, reverse=True))


@lru_cache(maxsize=65_536)
def _spreads(model: Model, tensor: int, data: int) -> tuple[int, ...]:
    """Return over how many groups experts may be spread where `tensor` x `data` devices share a stage.

    Of those that keep as many bytes on a device one is enough: tokens that travel to their experts, over as many devices
    as can be, or all tokens everywhere.
    """
    stage = tensor * data
    counts = [mixture.count for mixture in _needs(model)[2]]
    groups = [n for n in range(1, min([stage, *counts]) + 1) if stage % n == 0] if counts else [1]
    possible = [n for n in groups if not obstacle(model, Parallel(tensor=tensor, data=data, expert=n))]
    if data == 1:
        return tuple(possible[:1])
    return tuple(dict.fromkeys([*possible[-1:], *(n for n in possible if n == 1)]))
