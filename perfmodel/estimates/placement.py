"""Weights that stream from a slower memory tier: which share of them is where, and the counts that follow."""

from collections.abc import Iterable
from math import ceil

import msgspec

from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown
from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.work import ON_CHIP, Work, in_tier, tiered
from perfmodel.schedule.cutting import Call, Schedule, Segment, Stage
from perfmodel.specifications.hardware import Hardware

PARTS = ("weights", "experts")
# Shares that are found, not given, are rounded up to as many steps.
_STEPS = 1000


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What a slower tier holds: a share of each routed expert and of each other weight [-]; the cache stays."""

    tier: str
    weights: float = 0.0
    experts: float = 0.0

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
            for kind, share in ((bank.kind, 1 - self.experts), (tiered(self.tier, bank.kind), self.experts))
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
    """Return what `experts=host`, `weights=host:0.5` or both say.

    None where a tier alone is named, which is for what does not fit.

    Raises UnknownNameError for another part or tier, ValueRangeError for a share that is none.
    """
    tiers = sorted(
        {path.split(".")[1] for path in hardware.values if path.startswith("tiers.") and path.endswith(".bandwidth")}
    )
    found: dict[str, float] = {}
    chosen: set[str] = set()
    for text in str(given).split(","):
        part, equals, rest = text.strip().partition("=")
        tier, colon, share = (rest if equals else part).partition(":")
        if tier not in tiers:
            raise UnknownNameError(
                f"--offload: {hardware.name} has no memory tier {shown(tier)}{nearest(tier, tiers)}; "
                + (f"it has {', '.join(tiers)}" if tiers else "a hardware file gives one as [tiers.host]")
            )
        chosen.add(tier)
        if not equals and not colon and "," not in str(given):
            return None
        if part not in PARTS or part in found:
            raise UnknownNameError(
                f"--offload: {shown(text.strip())} is not understood{nearest(part, PARTS)}; write host for what does"
                " not fit, or experts=host, weights=host:0.5"
            )
        found[part] = _share(share, text) if colon else 1.0
    if len(chosen) > 1:
        raise ValueRangeError(f"--offload: {shown(given)} names several tiers; one is understood")
    return Placement(tier=chosen.pop(), **found)


def _share(text: str, where: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueRangeError(f"--offload: {shown(where.strip())}: {shown(text)} is not a share from 0 to 1")
    return share


def what_does_not_fit(tier: str, works: Iterable[Work], sequences: int, context: int, available: float) -> Placement:
    """Return the smallest share of all weights that must leave so that no more than `available` bytes [B] of any of `works` stay."""
    share = 0.0
    for work in works:
        excess = work.bytes_resident(sequences, context) - available
        movable = work.bytes_resident(0, 0)
        if excess > 0:
            share = max(share, min(ceil(_STEPS * excess / movable) / _STEPS, 1.0) if movable else 0.0)
    return Placement(tier=tier, weights=share, experts=share)


def bytes_in_tier(tier: str, work: Work) -> float:
    """Return the bytes [B] of `work` that a tier holds."""
    banks = (bank for bank in work.experts if in_tier(tier, bank.kind))
    return float(
        sum(size for kind, size in work.weights if in_tier(tier, kind))
        + sum(ceil_div(bank.count, bank.groups) * bank.bytes for bank in banks)
    )
