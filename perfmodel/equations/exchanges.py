"""(C) Collectives: a latency by hops and devices, and bytes over links."""

from perfmodel.numbers.choices import Number, log2, smaller


def collective_time(latency: Number, payload: Number, traffic_factor: Number, link_bandwidth: Number) -> Number:
    """(C1) time of a collective without any launch [s], x = alpha + M g(n) / link. After [3].

    Each algorithm has its alpha (C2) and its g(n); of those a stack has, the quickest for the payload is taken.

    latency: alpha(n), without a launch; a published latency that includes one is x + bare boundary [s]
    payload: bytes of the reduced or gathered tensor, M [B]
    traffic_factor: bytes each device sends for one byte of payload, g(n) [-]
    link_bandwidth: what a device sends in one direction [B/s]

    >>> collective_time(5e-6, 8192, 1.75, 450e9)
    5.03186e-06
    """
    return latency + payload * traffic_factor / link_bandwidth


def collective_latency(latency: Number, hops: Number, hop: Number, doublings: Number, doubling: Number) -> Number:
    """(C2) latency of a collective without any launch [s], alpha = latency + (hops - 1) hop + doublings x doubling.

    After [4].

    latency: of the smallest collective: two devices, one hop [s]
    hops: transfers that follow each other [-]
    hop: what each hop after the first adds [s]
    doublings: doublings of the devices beyond two where each waits for all others, 0 for a neighbour alone [-]
    doubling: what waiting for twice as many devices adds [s]

    >>> collective_latency(2.2e-6, 2, 0.6e-6, 2, 1e-6)
    4.8e-06
    """
    return latency + (hops - 1) * hop + doublings * doubling


def library_time(latency: Number, extra: Number, doublings: Number, rise: Number) -> Number:
    """(C4) latency of a collective as a library runs it [s], alpha + extra + doublings x rise.

    A general library starts more threads, waits for more flags and takes its time to choose; the latency alpha of a
    device is that of the quickest kernel for the algorithm.

    latency: alpha, from (C2) [s]
    extra: what the library adds to each collective [s]
    doublings: doublings of the devices beyond two [-]
    rise: what it adds for each of them [s]

    >>> library_time(4e-6, 1e-5, 2, 1e-6)
    1.6e-05
    """
    return latency + extra + doublings * rise


def exposed_collective(collective: Number, overlap: Number) -> Number:
    """(C3) time of a collective that its neighbours wait for [s], (1 - overlap) x.

    Separate calls in a row hide nothing of it; a kernel that sends tiles as they are done, or a stack that works on
    other sequences meanwhile, hides a share.

    collective: x, from (C1) [s]
    overlap: share that the mode hides behind other work [-]

    >>> exposed_collective(4e-6, 0.25)
    3e-06
    """
    return (1 - overlap) * collective


def group_bandwidth(link_bandwidth: Number, per_peer: Number, devices: Number) -> Number:
    """(C1, link) what a device sends to the others of its group [B/s], smaller(link, (n - 1) per peer).

    Without a switch a group smaller than the domain leaves the links to other devices idle.

    link_bandwidth: all links of a device, one direction [B/s]
    per_peer: what it can send to one other device [B/s]
    devices: devices in the group, n [-]

    >>> group_bandwidth(448e9, 64e9, 4)
    192000000000.0
    """
    return smaller(link_bandwidth, (devices - 1) * per_peer)


def one_shot_traffic_factor(devices: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of an all-reduce in one shot [-], g = n - 1.

    All of the tensor to every other device.

    devices: devices in the group, n [-]

    >>> one_shot_traffic_factor(8)
    7
    """
    return devices - 1


def ring_traffic_factor(devices: Number, passes: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of payload, each part once per pass [-], g = passes (n - 1) / n.

    After [3].

    So does a ring, and so does a device that sends each other one its part (two shots for an all-reduce).

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce (reduce-scatter, then all-gather), 1 for the others [-]

    >>> ring_traffic_factor(8, 2)
    1.75
    """
    return passes * (devices - 1) / devices


def in_network_traffic_factor(devices: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of an all-reduce in the switch [-], g = 1 + 1 / n.

    The switch reads every device's copy once and adds; the sum of its own part each device sends out once,
    and the switch multiplies it (NVLS, SHARP).

    devices: devices in the group, n [-]

    >>> in_network_traffic_factor(8)
    1.125
    """
    return 1 + 1 / devices


def torus_traffic_factor(devices: Number) -> Number:
    """(C1, g) bytes each device sends for one byte of an all-to-all on a square torus [-], g = sqrt(n) / 2.

    Neighbours pass on what is for others: the mean distance is a quarter of each of two rings of sqrt(n).

    devices: devices in the group, n [-]

    >>> torus_traffic_factor(16)
    2.0
    """
    return devices**0.5 / 2


def ring_hops(devices: Number, passes: Number) -> Number:
    """(C2, hops) transfers that follow each other around a ring [-], passes (n - 1). After [3].

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce, 1 for the other collectives [-]

    >>> ring_hops(8, 2)
    14
    """
    return passes * (devices - 1)


def tree_hops(devices: Number, passes: Number) -> Number:
    """(C2, hops) transfers that follow each other up or down a tree [-], passes log2(n). After [3].

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce, 1 for the other collectives [-]

    >>> tree_hops(8, 2)
    6.0
    """
    return passes * log2(devices)


def torus_hops(devices: Number, passes: Number) -> Number:
    """(C2, hops) transfers that follow each other across a square torus [-], passes sqrt(n): half of each of two rings.

    devices: devices in the group, n [-]
    passes: 2 for an all-reduce, 1 for the other collectives [-]

    >>> torus_hops(16, 2)
    8.0
    """
    return passes * devices**0.5
