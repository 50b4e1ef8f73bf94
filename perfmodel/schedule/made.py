"""Steps and schedules made once: machines that share a model in the same way have the same kernel calls."""

from functools import lru_cache

import msgspec

from perfmodel.operations import Formats, Step, decode_step, pipeline_stages
from perfmodel.operations.parallel import Parallel
from perfmodel.schedule.calls import Cutting, Schedule
from perfmodel.schedule.cutting import make_pipeline
from perfmodel.specifications.model import Model

# What a choice asks of some machines: the splits of up to 16 devices, a few formats, both sides.
_KEPT = 1024


@lru_cache(maxsize=_KEPT)
def steps_of(model: Model, formats: Formats, parallel: Parallel, replicates: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the operations of each pipeline stage of a decode step, as its fullest device does them.

    replicates: operations left whole on every device.
    """
    step = decode_step(model, formats, parallel, replicates)
    return pipeline_stages(step, model.hidden, formats, parallel.pipeline, parallel.stage_devices)


def schedule_of(
    model: Model, formats: Formats, parallel: Parallel, replicates: tuple[str, ...], cutting: Cutting
) -> Schedule:
    """Return the kernel calls of a decode step; arguments as those of `steps_of` and `make_pipeline`."""
    asked = (model, formats, parallel, replicates)
    roomy, held = _schedule(*asked, msgspec.structs.replace(cutting, room=None))
    # Where all fits, devices with more or less room have the same calls.
    return roomy if cutting.room is None or held <= cutting.room else _schedule(*asked, cutting)[0]


@lru_cache(maxsize=_KEPT)
def _schedule(
    model: Model, formats: Formats, parallel: Parallel, replicates: tuple[str, ...], cutting: Cutting
) -> tuple[Schedule, float]:
    """Return the kernel calls, and what the stage that holds the most on chip does, of one sequence [B]."""
    made = make_pipeline(steps_of(model, formats, parallel, replicates), cutting)
    stages = (stage for _, call in made.calls for segment in call.segments for stage in segment.stages)
    return made, max(stage.held + stage.work.state for stage in stages)
