"""A recorded step priced against its model, as one frozen record."""

from typing import Any

import msgspec

from perfmodel.specifications.profiles import Profile
from perfmodel.specifications.quantities import Interval


class Share(msgspec.Struct, frozen=True):
    """The sustained share of one kind of bytes [-]: as the device's file has it, and as the recording tells it."""

    path: str
    device: Interval
    recorded: Interval


class Prediction(msgspec.Struct, frozen=True):
    """A step in another launch mode.

    time [s]; speedup [-] against the mode `against`, parameters that both share taken alike.
    """

    mode: str
    what: str
    kernel_calls: int
    time: Interval
    speedup: Interval
    against: str


class TracePricing(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded step priced against its model. Times [s].

    mode: the launch mode of the recording; style: the kernel style nearest to it, which calls `modelled_calls` kernels
    where the recording has `recorded_kernels`. step = host + active: unprofiled if that was given, else as recorded.
    streaming: bytes over sustained bandwidth. floors: the least time of each kernel, and the gaps between kernels in a
    graph. boundary: of one recorded kernel; call_boundary: of one modelled call. recorded_as: what `estimate` says of
    the recorded mode with the profile. plausible: whether the boundary is one that a kernel call can have.
    """

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    weight_format: str
    kv_format: str
    bytes_per_step: int
    mode: str
    style: str
    model_layers: int
    recorded_kernels: int
    modelled_calls: int
    modelled_calls_per_layer: float
    step: float
    active: float
    host: Interval
    collectives: float
    floors: float
    streaming: Interval
    boundary: Interval
    call_boundary: Interval
    shares: tuple[Share, ...]
    recorded_as: Interval
    predictions: tuple[Prediction, ...]
    plausible: bool
    notes: tuple[str, ...]
    profile: Profile

    def prediction(self, mode: str) -> Prediction | None:
        """Return the prediction for a launch mode, None when the device has no such mode."""
        return next((one for one in self.predictions if one.mode == mode), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values in base units, without the profile."""
        return {name: msgspec.to_builtins(getattr(self, name)) for name in self.__struct_fields__ if name != "profile"}
