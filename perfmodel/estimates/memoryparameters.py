"""What one side takes from a device's memories: which parameters limit each kind of bytes, and the rates they make."""

from collections.abc import Mapping

from perfmodel import equations
from perfmodel.errors import SpecificationError
from perfmodel.estimates.plan import Plan
from perfmodel.estimates.taking import Taking
from perfmodel.numbers.choices import Number, larger, smaller
from perfmodel.operations.work import ACTIVATIONS, CACHE, ON_CHIP, computed_by, split_kind
from perfmodel.specifications.formats import STORAGE_FORMATS

# What ends the name of a tier whose machine computes with what it holds.
COMPUTED = computed_by("")
# Together they cap what reads in flight sustain.
_IN_FLIGHT = ("units.count", "memory.bytes_in_flight", "memory.latency")


class MemoryParameters:
    """The parameters of each kind of bytes of a plan, by path.

    crossing: the path of handing activations to a host that computes, None where none does.
    """

    def __init__(self, taking: Taking, plan: Plan) -> None:
        self._taking, self._plan = taking, plan
        self._kinds = [self._paths(kind) for kind in plan.kinds]
        self._limit = taking.take_known(_IN_FLIGHT, "memory")
        self._kv = (
            [taking.take(f"tiers.{plan.kv_tier}.{key}", "memory") for key in ("bandwidth", "sustained")]
            if plan.kv_share
            else []
        )
        self.crossing = taking.take("tiers.host.crossing", "host") if plan.host_layers and not plan.prompted else None
        self._tasks = self._task_paths()
        self._stream = [] if taking.fused else taking.take_known(("units.count", "units.stream"), "memory")

    def bandwidths(self, numbers: Mapping[str, Number], stages: Number = None) -> tuple[Number, ...]:
        """Return what the memories sustain of each kind of bytes [B/s], each path at its number [base units].

        stages: dependent ones of a step [-], None for those of the plan.
        """
        limit = self._most(numbers, self._plan.stages if stages is None else stages)
        bandwidths = tuple(
            equations.host_bandwidth(*(numbers[path] for path in (beta, eta, *reach)))
            if beta.endswith(".memory")
            else equations.sustained_bandwidth(
                numbers[beta],
                numbers[eta],
                limit if beta == "memory.bandwidth" else None,
                *(self._reached(numbers[path]) for path in reach),
            )
            for beta, eta, *reach in self._kinds
        )
        if not self._kv:
            return bandwidths
        *weights, cache, activations = bandwidths
        link = equations.sustained_bandwidth(*(numbers[path] for path in self._kv))
        return (*weights, equations.divided_bandwidth(cache, link, self._plan.kv_share), activations)

    def _reached(self, reach: Number) -> Number:
        """Return the share of the sustained rate that kernels reach [-], from that of the software's plain ones.

        Fused kernels are written to stream, and plain ones of the same software show what can be reached at least.
        """
        return larger(reach, 1.0) if self._taking.fused else reach

    def _most(self, numbers: Mapping[str, Number], stages: Number) -> Number:
        """Return the most that the device's units stream from its own memory [B/s], None for no limit."""
        limit = equations.in_flight_limit(*(numbers[path] for path in self._limit)) if self._limit else None
        if self._stream:
            units, stream = (numbers[path] for path in self._stream)
            limit = units * stream if limit is None else smaller(limit, units * stream)
        if self._tasks:
            tasks, block = (numbers[path] for path in self._tasks)
            few = equations.few_tasks_limit(tasks, stages, block)
            limit = few if limit is None else smaller(limit, few)
        return limit

    def _paths(self, kind: str) -> tuple[str, ...]:
        """Return the paths of the rate of one kind of bytes, of its share, and of what the software reaches of it."""
        taking, values = self._taking, self._taking.hardware.values
        tier, storage = split_kind(kind)
        if tier.endswith(COMPUTED):
            return self._host_paths(tier.removesuffix(COMPUTED))
        if tier:
            share = f"tiers.{tier}.sustained"
            return (
                taking.take(f"tiers.{tier}.bandwidth", "memory"),
                taking.take(share if share in values else "memory.sustained.weights", "memory"),
            )
        reach = None if kind in (ACTIVATIONS, ON_CHIP) else self._reach_path(storage)
        sustained = self._sustained_path(kind, storage)
        # Cache and weights may pull the speed-up apart: a loop hides the cache's reads, a plain call does not.
        group = "cache" if kind == CACHE and sustained.endswith(f".{CACHE}") else "memory"
        if kind == ON_CHIP and "on_chip.bandwidth" not in values:
            raise SpecificationError(
                f"{taking.hardware.path}: has no on_chip.bandwidth, from which weights that stay on chip are read;"
                " set it: --set on_chip.bandwidth=5TB/s"
            )
        return (
            taking.take("on_chip.bandwidth" if kind == ON_CHIP else "memory.bandwidth", "memory"),
            taking.take(sustained, group),
            *((taking.take(reach, "cache" if kind == CACHE else "memory"),) if reach else ()),
        )

    def _sustained_path(self, kind: str, storage: str) -> str:
        hardware, mode = self._taking.hardware, self._taking.mode
        own = hardware.mode_value(mode.name, "kv") if kind == CACHE else None
        if own is not None:
            return own[0]
        for name in sustained_names(storage):
            if f"memory.sustained.{name}" in hardware.values:
                return f"memory.sustained.{name}"
        raise SpecificationError(
            f"{hardware.path}: has no memory.sustained.weights, the share of the bandwidth that reads sustain"
        )

    def _host_paths(self, tier: str) -> tuple[str, ...]:
        """Return what experts that the host computes depend on; with a prompt's tokens they stream to the device."""
        take = self._taking.take
        if self._plan.prompted:
            return tuple(take(f"tiers.{tier}.{key}", "memory") for key in ("bandwidth", "sustained"))
        cores = ("cores", "core_stream") if f"tiers.{tier}.cores" in self._taking.hardware.values else ()
        return tuple(take(f"tiers.{tier}.{key}", "memory") for key in ("memory", "computed", *cores))

    def _reach_path(self, storage: str) -> str | None:
        """Return the share of the memory's sustained rate that the software's kernels reach with one kind of bytes.

        None where nothing is known of it, or where the whole share of the kind itself is given.
        """
        names = ("kv",) if storage == CACHE else sustained_names(storage)
        return next((path for name in names if (path := f"reach.{name}") in self._taking.hardware.values), None)

    def _task_paths(self) -> tuple[str, str] | None:
        taking = self._taking
        tasks = taking.hardware.mode_value(taking.mode.name, "tasks")
        if tasks is None:
            return None
        if "units.block_bandwidth" not in taking.hardware.values:
            raise SpecificationError(
                f"{taking.hardware.path}: has no units.block_bandwidth, which {tasks[0]} needs; set it: --set"
                " units.block_bandwidth=12GB/s"
            )
        return taking.take(tasks[0], "memory"), taking.take("units.block_bandwidth", "memory")


def sustained_names(kind: str) -> tuple[str, ...]:
    """Return the keys under memory.sustained that may hold the share of `kind`, nearest first."""
    if kind in (CACHE, ACTIVATIONS, ON_CHIP):
        return kind, "weights"
    return (kind, "quantised", "weights") if STORAGE_FORMATS[kind].bits < 16 else (kind, "weights")
