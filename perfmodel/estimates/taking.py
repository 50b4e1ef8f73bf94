"""The quantities that one side of a question takes from a device, noted as they are taken."""

from perfmodel.errors import SpecificationError
from perfmodel.specifications.devicetables import FUSED_STYLES
from perfmodel.specifications.hardware import Hardware, Mode
from perfmodel.specifications.quantities import Quantity


class Taking:
    """What one side takes from a device under a launch mode.

    used: group and quantity of each path taken so far. fused: the mode has kernels of its own, which lose nothing that
    an engine's kernels, and its library, lose between calls.
    """

    def __init__(self, hardware: Hardware, mode: Mode) -> None:
        self.used: dict[str, tuple[str, Quantity]] = {}
        self.hardware, self.mode = hardware, mode
        self.fused = mode.kernels in FUSED_STYLES

    def take(self, path: str, group: str) -> str:
        """Return `path`, noted as one of `group`."""
        self.used[path] = (group, self.hardware.values[path])
        return path

    def take_known(self, paths: tuple[str, ...], group: str) -> list[str]:
        """Return `paths` where the device has all of them, else none."""
        known = all(path in self.hardware.values for path in paths)
        return [self.take(path, group) for path in paths] if known else []

    def take_mode(self, key: str, group: str, *, needed: bool = False) -> str | None:
        """Return the path of a key of the mode or of one it is based on, None where none of them gives it.

        Raise SpecificationError where it is needed and missing.
        """
        held = self.hardware.mode_value(self.mode.name, key)
        if held is not None:
            return self.take(held[0], group)
        if needed:
            raise SpecificationError(
                f"{self.hardware.path}: modes.{self.mode.name} has no {key}; give it, or a base mode that has it"
            )
        return None

    def own(self, key: str) -> bool:
        """Return whether the mode itself, not the one it is based on, gives `key`."""
        return f"modes.{self.mode.name}.{key}" in self.hardware.values
