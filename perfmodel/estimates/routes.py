"""Which parameters of a device set the time of a collective, for each way to do it. Paths only, no numbers."""

import msgspec

from perfmodel.equations.algorithms import Shape, distinct, legs, shape
from perfmodel.errors import SpecificationError
from perfmodel.specifications.hardware import Hardware


class RoutePaths(msgspec.Struct, frozen=True):
    """One way to do a collective, or its part on one kind of link: the parameters, by their paths, and what it does.

    share: bytes on these links for one byte of the payload [-].
    """

    latency: str
    hop: str | None
    doubling: str | None
    bandwidth: str
    per_peer: str | None
    sustained: str | None
    shape: Shape
    devices: int
    share: float

    def paths(self) -> tuple[str, ...]:
        """Return the parameters that matter."""
        hop = self.hop if self.shape.hops != 1 else None
        doubling = self.doubling if self.shape.doublings else None
        return tuple(
            path
            for path in (self.latency, self.bandwidth, hop, doubling, self.per_peer, self.sustained)
            if path is not None
        )


def collective_routes(hardware: Hardware, kind: str, group: int, stride: int = 1) -> tuple[tuple[RoutePaths, ...], ...]:
    """Return the legs of a collective over `group` devices [-], each with the routes of which the quickest is taken.

    stride: devices from one of the group to the next [-]: with eight to a domain, a stride of eight leaves one of the
    group in each.
    Raises SpecificationError for a device whose links or network nothing is known of.
    """
    values = hardware.values
    domain = max(1, int(values["link.domain"].value) // stride) if "link.domain" in values else group
    found: list[tuple[RoutePaths, ...]] = []
    for devices, share, network in legs(kind, group, domain):
        devices = 2 if kind == "send" else devices  # noqa: PLW2901 - however many stages there are
        if network:
            found.append((_over_network(hardware, kind, devices, share, starts=not found),))
            continue
        bandwidth, per_peer = (
            _needed(hardware, "link.bandwidth"),
            ("link.per_peer" if "link.per_peer" in values else None),
        )
        routes = [
            RoutePaths(
                _figure(hardware, "latency", algorithm, kind) or _needed(hardware, "collectives.all_reduce.latency"),
                _figure(hardware, "hop", algorithm, kind),
                _figure(hardware, "doubling", algorithm, kind),
                bandwidth,
                per_peer,
                _figure(hardware, "sustained", algorithm, kind),
                shape(kind, algorithm, devices),
                devices,
                share,
            )
            for algorithm in distinct(kind, hardware.algorithms.names)
        ]
        found.append(
            tuple(
                route
                for i, route in enumerate(routes)
                if not any(_never_slower(other, route, first=j < i) for j, other in enumerate(routes) if j != i)
            )
        )
    return tuple(found)


def _over_network(hardware: Hardware, kind: str, devices: int, share: float, *, starts: bool) -> RoutePaths:
    where = f"more devices than its link.domain of {hardware.values['link.domain'].value:g}"
    hop, bandwidth = (_needed(hardware, path, where) for path in ("network.latency", "network.bandwidth"))
    way = shape(kind, "tree", devices)
    if not starts:
        return RoutePaths(hop, hop, None, bandwidth, None, None, way, devices, share)
    # A kernel has to start before the first hop, as it has within the domain.
    start = _figure(hardware, "latency", "", kind) or _needed(hardware, "collectives.all_reduce.latency")
    return RoutePaths(start, hop, None, bandwidth, None, None, way._replace(hops=way.hops + 1), devices, share)


def _figure(hardware: Hardware, key: str, algorithm: str, kind: str) -> str | None:
    """The path of a figure of a collective.

    That of the algorithm, else of the kind, else of the all-reduce, which is what is measured.
    """
    return next(
        (
            path
            for path in (f"collectives.{name}.{key}" for name in (algorithm, kind, "all_reduce"))
            if path in hardware.values
        ),
        None,
    )


def _needed(hardware: Hardware, path: str, what: str = "several devices") -> str:
    if path not in hardware.values:
        raise SpecificationError(
            f"{hardware.path}: has no {path}, so {what} cannot be predicted; set it, or ask for fewer devices"
        )
    return path


def _never_slower(one: RoutePaths, other: RoutePaths, *, first: bool) -> bool:
    """Whether `one` is at least as fast as `other` whatever the parameters and the payload; of equals the first."""
    if msgspec.structs.replace(one, shape=other.shape) != other:
        return False
    return all(a <= b for a, b in zip(one.shape, other.shape, strict=True)) and (first or one.shape != other.shape)
