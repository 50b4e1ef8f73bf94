"""How devices share the work of a step: tensor, expert, pipeline and data parallelism."""

from collections.abc import Mapping
from typing import Any

import msgspec

from perfmodel.errors import UnknownNameError, ValueRangeError, shown
from perfmodel.numbers.choices import ceil_div, smaller
from perfmodel.specifications.model import Layer, Model
from perfmodel.units import MOST_DEVICES, read_count, whole_number


class Parallel(msgspec.Struct, frozen=True, kw_only=True):
    """A way to share the work.

    tensor: devices that split each matrix and the heads; data: groups of that many devices which each hold all of
    attention, for their part of the batch; expert: groups that the routed experts are spread over, among the devices of
    a stage;
    pipeline: stages that the layers are cut into.
    """

    tensor: int = 1
    expert: int = 1
    pipeline: int = 1
    data: int = 1

    @property
    def stage_devices(self) -> int:
        """Devices of one pipeline stage [-]."""
        return self.tensor * self.data

    @property
    def devices(self) -> int:
        """All devices [-]."""
        return self.tensor * self.data * self.pipeline

    @property
    def routed(self) -> bool:
        """Whether tokens travel to their experts.

        They are spread, and attention has left each token in one group only.
        """
        return self.expert > 1 and self.data > 1

    def microbatches(self, batch: Any) -> Any:
        """Return how many parts of the batch are in the pipeline at once [-].

        One a stage, as far as there are sequences.
        """
        return 1 if self.pipeline == 1 else smaller(self.pipeline, batch)

    def tokens(self, batch: Any) -> Any:
        """Return the tokens of one microbatch [-], the fullest."""
        return batch if self.pipeline == 1 else ceil_div(batch, self.pipeline)

    def sequences(self, batch: Any) -> Any:
        """Return the sequences of one microbatch for which a device does attention [-], on the fullest device."""
        return self.tokens(batch) if self.data == 1 else ceil_div(batch, self.pipeline * self.data)

    def resident_sequences(self, batch: Any) -> Any:
        """Return the sequences whose cache a device holds [-], on the fullest device."""
        return batch if self.data == 1 else ceil_div(batch, self.data)

    def __str__(self) -> str:
        parts = (("tp", self.tensor), ("ep", self.expert), ("pp", self.pipeline), ("dp", self.data))
        return ",".join(f"{key}={number}" for key, number in parts if number > 1 or key == "tp")


def over(devices: "int | Parallel") -> Parallel:
    """Return the way to share that a number of devices stands for: tensor parallelism."""
    return devices if isinstance(devices, Parallel) else Parallel(tensor=devices)


_SHARES = ("tp", "ep", "pp", "dp")


def read_parallel(
    given: str | Mapping[str, Any] | Parallel | None, model: Model, devices: int | None = None
) -> Parallel | None:
    """Return the way to share the work that `tp=4,ep=8,pp=2,dp=2` says, or a mapping with these keys; None for None.

    tp: devices that split each matrix; dp: groups of them that each do attention for their part of the batch; pp:
    stages that the layers are cut into; ep: groups, among the tp x dp devices of a stage, that routed experts are
    spread over. Without tp it is what ep needs. devices: what the product of tp, dp and pp must be, None where nothing
    is asked.
    Raises UnknownNameError for another key, ValueRangeError for a number that does not fit.
    """
    if given is None or isinstance(given, Parallel):
        return given
    found: dict[str, int] = {}
    for part in (
        given.items() if isinstance(given, Mapping) else [part.partition("=")[::2] for part in str(given).split(",")]
    ):
        key, value = str(part[0]).strip(), part[1]
        if key not in _SHARES or key in found:
            reason = "is given twice" if key in found else "is not understood"
            raise UnknownNameError(
                f"--parallel: {shown(key)} {reason}; tp=N splits matrices, dp=N the batch of attention, pp=N the"
                " layers, ep=N spreads experts"
            )
        where = f"--parallel {key}"
        found[key] = (
            read_count(value, where, 1, MOST_DEVICES)
            if isinstance(value, str)
            else whole_number(value, where, 1, MOST_DEVICES)
        )
    groups, data, stages = found.get("ep", 1), found.get("dp", 1), found.get("pp", 1)
    tensor = found.get("tp", ceil_div(groups, data))
    parallel = Parallel(tensor=tensor, expert=groups, pipeline=stages, data=data)
    if parallel.stage_devices % groups:
        raise ValueRangeError(
            f"--parallel: ep={groups} does not divide the {parallel.stage_devices} devices of tp={tensor} x dp={data}"
        )
    counts = [block.count for layer in model.layers if isinstance(layer, Layer) for block in layer.mixtures]
    if groups > 1 and (not counts or groups > min(counts)):
        raise ValueRangeError(
            f"--parallel: ep={groups}: {model.name} has {min(counts) if counts else 'no'} experts to spread"
        )
    if stages > 1 and model.step:
        raise ValueRangeError(
            f"--parallel: pp={stages}: {model.name} is no decoder, whose layers all hand on the same activations; tp"
            " and dp are for it"
        )
    if stages > len(model.layers):
        raise ValueRangeError(
            f"--parallel: pp={stages}: {model.name} has {len(model.layers)} layers to cut into stages"
        )
    if parallel.devices > MOST_DEVICES:
        raise ValueRangeError(f"--parallel: {parallel.devices:,} devices are more than {MOST_DEVICES:,}")
    if devices is not None and devices != parallel.devices:
        each = data * stages
        hint = (
            f"; tp={devices // each} would make as many"
            if isinstance(devices, int) and devices > 0 and devices % each == 0
            else ""
        )
        raise ValueRangeError(f"--parallel: {parallel} is for {parallel.devices} devices, not {shown(devices)}{hint}")
    return parallel
