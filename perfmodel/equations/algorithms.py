"""How each algorithm does each collective: transfers in a row, bytes on the links, who waits for whom.

No time, no machine.

A payload is the whole tensor of an all-reduce, all-gather or reduce-scatter, what one device holds for all the others
in an all-to-all, and what goes from a device to one of the next pipeline stage in a send.
"""

from collections.abc import Sequence
from typing import NamedTuple

from perfmodel import equations
from perfmodel.numbers.choices import log2

# Algorithms in which every device sends to every other one: their halves are the same all-gather, reduce-scatter and
# all-to-all.
_DIRECT = ("one-shot", "two-shot", "in-network")


class Shape(NamedTuple):
    """A collective by one algorithm.

    Hops [-], traffic factor g(n) [-], doublings of devices that all wait for all [-] (C1, C2).
    """

    hops: float
    traffic_factor: float
    doublings: float


class Leg(NamedTuple):
    """The part of a collective on one kind of link: devices in it [-], bytes in it for one byte of the whole [-]."""

    devices: int
    share: float
    network: bool


def shape(kind: str, algorithm: str, devices: int) -> Shape:
    """Return how `algorithm` does `kind` over `devices` [-]."""
    if kind == "send":
        return Shape(1, 1.0, 0.0)
    passes = 2 if kind == "all_reduce" else 1
    parts = equations.ring_traffic_factor(devices, passes)
    if algorithm == "ring":
        return Shape(equations.ring_hops(devices, passes), parts, 0.0)
    if algorithm == "torus":
        return Shape(
            equations.torus_hops(devices, passes),
            equations.torus_traffic_factor(devices) if kind == "all_to_all" else parts,
            0.0,
        )
    if algorithm == "tree":
        if kind == "all_to_all":  # half of what is held at each level
            return Shape(equations.tree_hops(devices, 1), equations.tree_hops(devices, 1) / 2, 0.0)
        traffic = 2.0 if kind == "all_reduce" else parts  # the whole tensor up and down
        return Shape(equations.tree_hops(devices, passes), traffic, 0.0)
    doublings = log2(devices) - 1
    if kind != "all_reduce":
        return Shape(1, parts, doublings)
    if algorithm == "one-shot":
        return Shape(1, equations.one_shot_traffic_factor(devices), doublings)
    return Shape(2, equations.in_network_traffic_factor(devices) if algorithm == "in-network" else parts, doublings)


def distinct(kind: str, algorithms: Sequence[str]) -> tuple[str, ...]:
    """Return those of `algorithms` that differ for `kind`."""
    if kind == "all_reduce":
        return tuple(algorithms)
    direct = [name for name in algorithms if name in _DIRECT]
    return tuple(name for name in algorithms if name not in direct[1:])[: 1 if kind == "send" else None]


def legs(kind: str, devices: int, domain: int) -> tuple[Leg, ...]:
    """Return the parts of a collective over `devices`.

    Of these, `domain` reach each other over their links, the rest over a network.

    First inside each domain as if it were alone; then each device does its part of the tensor with those of the other
    domains.
    """
    if devices <= domain:
        return (Leg(devices, 1.0, network=False),)
    domains = -(-devices // domain)
    if kind == "send" or domain == 1:
        return (Leg(domains, 1.0, network=True),)
    inside, outside = (1 / domains, 1.0) if kind == "all_to_all" else (1.0, 1 / domain)
    return Leg(domain, inside, network=False), Leg(domains, outside, network=True)
