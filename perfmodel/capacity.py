"""Does it fit: bytes that weights, embedding and cache need on each device, and how many devices that takes."""

from collections.abc import Callable
from functools import lru_cache

from perfmodel.formats import STORAGE_FORMATS
from perfmodel.model import Model
from perfmodel.operations import Formats, decode_step, embedding_elements, total_work
from perfmodel.work import Work

MOST_DEVICES = 65_536


@lru_cache(maxsize=1024)
def resident_work(model: Model, formats: Formats, devices: int, replicates: tuple[str, ...] = (), expert_groups: int = 1) -> Work:
    """Return what must stay in memory on the fullest device: weights, cache, and the embedding where it is not the head."""
    step = decode_step(model, formats, devices, replicates, expert_groups)
    table = embedding_elements(model) * STORAGE_FORMATS[formats.head].bits / 8
    # Each device looks its rows up in a whole table; a tied table is that table and the head in one.
    shard = sum(op.elements for op in step.after if op.kind == "head") * STORAGE_FORMATS[formats.head].bits / 8
    return total_work(step) + Work(weights=((formats.head, table - shard if model.tied else table),))


def bytes_needed(work: Work, batch: float, context: float) -> float:
    """Return the bytes [B] of resident `work` (see `resident_work`) for a batch and context."""
    return float(work.bytes_resident(batch, context))


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
