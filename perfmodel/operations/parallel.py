"""How devices share the work of a step: tensor, expert, pipeline and data parallelism."""

from typing import Any

import msgspec

from perfmodel.numbers.choices import ceil_div, smaller


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
