"""What lies in a slower memory tier: which share of weights, experts and cache, and the counts that follow."""

from collections.abc import Iterable
from math import ceil

import msgspec

from perfmodel.errors import UnknownNameError, UsageError, ValueRangeError, nearest, shown
from perfmodel.numbers.choices import added, ceil_div
from perfmodel.operations.work import ON_CHIP, Work, computed_by, in_tier, tiered
from perfmodel.schedule.calls import Call, Schedule, Segment, Stage
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Experts, Layer, Model
from perfmodel.specifications.quantities import Quantity

PARTS = ("weights", "experts", "kv")
# Experts in the memory of a host that computes them there.
COMPUTE = "compute"
# Shares that are found, not given, are rounded up to as many steps.
_STEPS = 1000
_SOURCE = "fitted on validation/cpu_experts.csv by validation/cpu_experts.py"


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What a slower tier holds: a share of each routed expert, of each other weight, and of the cache [-].

    compute: whether the experts there are computed by the host, not streamed to the device.
    """

    tier: str
    weights: float = 0.0
    experts: float = 0.0
    kv: float = 0.0
    compute: bool = False

    @property
    def experts_tier(self) -> str:
        """The tier of the experts, as kinds of bytes name it."""
        return computed_by(self.tier) if self.compute else self.tier

    def resident(self, work: Work) -> Work:
        """Return what of `work` is kept, where it is: `work`, with the part of the cache that stays."""
        placed = self.work(work)
        stays = 1 - self.kv
        caches = tuple(msgspec.structs.replace(cache, bytes=cache.bytes * stays) for cache in placed.caches)
        return msgspec.structs.replace(placed, caches=caches)

    def work(self, work: Work) -> Work:
        """Return `work` with its weights where they are."""
        weights: dict[str, float] = {}
        for kind, size in work.weights:
            share = self.weights if kind != ON_CHIP else 0.0
            for name, part in ((kind, size * (1 - share)), (tiered(self.tier, kind), size * share)):
                if part:
                    weights[name] = weights.get(name, 0.0) + part
        banks = [
            msgspec.structs.replace(bank, kind=kind, bytes=bank.bytes * share)
            for bank in work.experts
            for kind, share in ((bank.kind, 1 - self.experts), (tiered(self.experts_tier, bank.kind), self.experts))
            if share
        ]
        return msgspec.structs.replace(work, weights=tuple(weights.items()), experts=tuple(banks))

    def schedule(self, schedule: Schedule) -> Schedule:
        """Return `schedule` with the weights of each stage where they are."""

        def stage(one: Stage) -> Stage:
            return msgspec.structs.replace(one, work=self.work(one.work))

        def call(one: Call) -> Call:
            return msgspec.structs.replace(
                one, segments=tuple(Segment(s.iterations, tuple(stage(x) for x in s.stages)) for s in one.segments)
            )

        return msgspec.structs.replace(schedule, calls=tuple((count, call(one)) for count, one in schedule.calls))


def read_offload(given: str, hardware: Hardware) -> Placement | None:
    """Return what `experts=host`, `weights=host:0.5`, `kv=host:0.5`, `experts=host:compute` or several of them say.

    None where a tier alone is named, which is for what does not fit.

    Raises UnknownNameError for another part or tier, ValueRangeError for a share that is none.
    """
    tiers = sorted(
        {path.split(".")[1] for path in hardware.values if path.startswith("tiers.") and path.endswith(".bandwidth")}
    )
    found: dict[str, float] = {}
    chosen: set[str] = set()
    computing = False
    for text in str(given).split(","):
        part, equals, rest = text.strip().partition("=")
        tier, colon, said = (rest if equals else part).partition(":")
        words = said.split(":") if colon else []
        compute = words[-1:] == [COMPUTE]
        share = ":".join(words[:-1] if compute else words)
        if not equals and part in PARTS:
            raise UsageError(f"--offload: {part} goes where? write {part}=host, or host alone for what does not fit")
        if tier in ("cpu", "ram", "dram", "memory") and "host" in tiers:
            raise UnknownNameError(f"--offload: the memory of the {tier} is called host: --offload host")
        if tier not in tiers:
            raise UnknownNameError(
                f"--offload: {hardware.name} has no memory tier {shown(tier)}{nearest(tier, tiers)}; it has "
                + (", ".join(tiers) or "one memory, the host's too, so nothing can leave it ([tiers.host] gives one)")
            )
        chosen.add(tier)
        if not equals and not colon and "," not in str(given):
            return None
        if part not in PARTS or part in found:
            raise UnknownNameError(
                f"--offload: {shown(text.strip())} is not understood{nearest(part, PARTS)}; write host for what does"
                " not fit, or experts=host, weights=host:0.5, kv=host:0.5, experts=host:compute"
            )
        if compute and (part != "experts" or tier != "host"):
            raise ValueRangeError(f"--offload: {shown(text.strip())}: experts=host:compute is what a host can compute")
        computing = computing or compute
        found[part] = _share(share, text) if share or (colon and not compute) else 1.0
    if len(chosen) > 1:
        raise ValueRangeError(f"--offload: {shown(given)} names several tiers; one is understood")
    return Placement(tier=chosen.pop(), compute=computing, **found)


def _share(text: str, where: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueRangeError(f"--offload: {shown(where.strip())}: {shown(text)} is not a share from 0 to 1")
    return share


def what_does_not_fit(tier: str, works: Iterable[Work], sequences: int, context: int, available: float) -> Placement:
    """Return the smallest share of weights that must leave so that `available` bytes [B] hold the rest of any work."""
    share = 0.0
    for work in works:
        excess = work.bytes_resident(sequences, context) - available
        movable = work.bytes_resident(0, 0)
        if excess > 0:
            share = max(share, min(ceil(_STEPS * excess / movable) / _STEPS, 1.0) if movable else 0.0)
    return Placement(tier=tier, weights=share, experts=share)


def bytes_in_tier(tier: str, work: Work) -> float:
    """Return the bytes [B] of `work` that a tier holds."""
    banks = (bank for bank in work.experts if in_tier(tier, bank.kind) or in_tier(computed_by(tier), bank.kind))
    return float(
        added(size for kind, size in work.weights if in_tier(tier, kind))
        + added(ceil_div(bank.count, bank.groups) * bank.bytes for bank in banks)
    )


def host_layers(placement: Placement | None, model: Model) -> int:
    """Return the layers whose experts, or a part of each, the host computes [-]."""
    if placement is None or not placement.compute or not placement.experts:
        return 0
    return expert_layers(model)


def expert_layers(model: Model) -> int:
    """Return the layers with routed experts [-]."""
    return sum(isinstance(layer, Layer) and isinstance(layer.feed_forward, Experts) for layer in model.layers)


def host_defaults(hardware: Hardware, placement: Placement | None) -> Hardware:
    """Return `hardware` with what is not given of a host that computes experts."""
    if placement is None or not placement.compute:
        return hardware
    known = {
        "tiers.host.memory": (60e9, 90e9, 300e9, "B/s", "two channels of DDR5 to eight; set the rating of yours"),
        "tiers.host.computed": (0.25, 0.37, 0.5, "1", _SOURCE),
        "tiers.host.crossing": (80e-6, 100e-6, 120e-6, "s", _SOURCE),
        "tiers.host.core_stream": (
            1.5e9,
            2.5e9,
            8e9,
            "B/s",
            "twelve cores of a Xeon W5-3425 in two bits; wider formats cost a core less",
        ),
    }
    return hardware.replace_values(
        {
            path: Quantity(low=low, value=value, high=high, unit=unit, kind="assumed", source=source)
            for path, (low, value, high, unit, source) in known.items()
            if path not in hardware.values
        }
    )
