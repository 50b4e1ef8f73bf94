"""Does it fit: bytes that weights, embedding and cache need on each device."""

from collections import Counter
from functools import lru_cache
from typing import Any

import msgspec

from perfmodel.numbers.choices import larger
from perfmodel.operations import Formats, Step, decode_step, embedding_elements, pipeline_stages, total_work
from perfmodel.operations.formats import stored
from perfmodel.operations.parallel import Parallel, over
from perfmodel.operations.work import Work
from perfmodel.specifications.model import Model


class Resident(msgspec.Struct, frozen=True):
    """What must stay in memory on the fullest device.

    works: of each different pipeline stage, per sequence that it holds, the first stage's first; parallel: how many
    those are; stages: which of the works each stage is.
    """

    works: tuple[Work, ...]
    parallel: Parallel
    stages: tuple[int, ...] = (0,)

    def bytes_resident(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] for a step of `batch` sequences of `context` tokens."""
        sequences = self.parallel.resident_sequences(batch)
        first, *others = (work.bytes_resident(sequences, context) for work in self.works)
        for other in others:
            first = larger(first, other)
        return first

    def cache_bytes(self, batch: Any, context: Any) -> Any:
        """Return the bytes [B] of what `batch` sequences of `context` tokens hold, without the weights."""
        return self.bytes_resident(batch, context) - self.bytes_resident(0, context)


@lru_cache(maxsize=1024)
def resident_work(
    model: Model, formats: Formats, devices: int | Parallel, replicates: tuple[str, ...] = ()
) -> Resident:
    """Return what must stay in memory on the fullest device.

    Weights, cache, and tables that no step reads whole, but for one with the head.
    """
    step = decode_step(model, formats, devices, replicates)
    table = _tables(model, formats)
    # Each device looks its rows up in a whole table; a tied table is that table and the head in one.
    shard = Work(weights=tuple((k, -s) for op in step.after if op.kind == "head" for k, s in op.work.weights))
    # Many stages hold the same layers as another, in whatever order: their bytes are added up once.
    different: dict[object, tuple[int, Step]] = {}
    stages = []
    for stage in pipeline_stages(step, model.hidden, formats, over(devices).pipeline):
        held = frozenset(Counter(map(id, stage.layers)).items())
        key = (held, bool(stage.before), len(stage.after) > 1)
        stages.append(different.setdefault(key, (len(different), stage))[0])
    works = [total_work(stage) for _, stage in different.values()]
    # The first stage of a pipeline has no head to share a tied table with.
    works[0] = works[0] + (table + shard if model.tied and len(works) == 1 else table)
    return Resident(tuple(works), over(devices), tuple(stages))


def _tables(model: Model, formats: Formats) -> Work:
    """Return what no step reads as a whole: the embedding, and other tables in its format."""
    mix = formats.mix("embedding", "embedding")
    return Work(weights=stored(embedding_elements(model) + model.other_parameters, mix))
