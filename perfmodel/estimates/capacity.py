"""Does it fit: bytes that weights, embedding and cache need on each device, and how many devices that takes."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from perfmodel.numbers.choices import larger
from perfmodel.operations import Formats, decode_step, embedding_elements, pipeline_stages, total_work
from perfmodel.operations.parallel import Parallel, over
from perfmodel.operations.work import Work
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.model import Model

MOST_DEVICES = 65_536


class Resident(msgspec.Struct, frozen=True):
    """What must stay in memory on the fullest device.

    works: of each pipeline stage, per sequence that it holds; parallel: how many those are.
    """

    works: tuple[Work, ...]
    parallel: Parallel

    def bytes_resident(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] for a step of `batch` sequences of `context` tokens."""
        sequences = self.parallel.resident_sequences(batch)
        first, *others = (work.bytes_resident(sequences, context) for work in self.works)
        for other in others:
            first = larger(first, other)
        return first


@lru_cache(maxsize=1024)
def resident_work(
    model: Model, formats: Formats, devices: int | Parallel, replicates: tuple[str, ...] = ()
) -> Resident:
    """Return what must stay in memory on the fullest device.

    Weights, cache, and tables that no step reads whole, but for one with the head.
    """
    step = decode_step(model, formats, devices, replicates)
    table = (embedding_elements(model) + model.other_parameters) * STORAGE_FORMATS[formats.head].bits / 8
    # Each device looks its rows up in a whole table; a tied table is that table and the head in one.
    shard = sum(op.elements for op in step.after if op.kind == "head") * STORAGE_FORMATS[formats.head].bits / 8
    works = [total_work(stage) for stage in pipeline_stages(step, model.hidden, formats, over(devices).pipeline)]
    # The first stage of a pipeline has no head to share a tied table with.
    works[0] = works[0] + Work(weights=((formats.head, table - shard if model.tied and len(works) == 1 else table),))
    return Resident(tuple(dict.fromkeys(works)), over(devices))


def fewest_devices(needed: Callable[[int], float], available: float, most: int = MOST_DEVICES) -> int | None:
    """Return the smallest number of devices for which `needed(devices)` [B] is at most `available` [B], or None.

    The need falls with the number of devices, but for what is replicated, so a bisection finds it.
    """
    high = 1
    while needed(high) > available:
        high *= 2
        if high > most:
            return None
    low = high // 2 + 1 if high > 1 else 1
    while low < high:
        middle = (low + high) // 2
        if needed(middle) <= available:
            high = middle
        else:
            low = middle + 1
    return high
