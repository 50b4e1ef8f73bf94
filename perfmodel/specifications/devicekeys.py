"""The keys of a hardware file that say what the device is: memories, arithmetic, units, links, power and price."""

from perfmodel.specifications.keys import Parameter, share

DEVICE_KEYS: tuple[Parameter, ...] = (
    Parameter("memory.bandwidth", "B/s", -1, "datasheet bandwidth of the device's own memory, beta", positive=True),
    Parameter("memory.capacity", "B", 0, "size of the device's own memory", positive=True),
    Parameter(
        "memory.clock", "Hz", 0, "memory transfer clock; clock x bus width x 2 transfers / 8 = bandwidth", positive=True
    ),
    Parameter("memory.bus_width", "1", 0, "memory bus width in bits", positive=True),
    Parameter("memory.latency", "s", 1, "time to the first byte of an unloaded read", least=1e-18, positive=True),
    Parameter(
        "memory.bytes_in_flight",
        "B",
        -1,
        "bytes one unit keeps in flight; with units and latency it caps the bandwidth (R1)",
        positive=True,
    ),
    share(
        "memory.sustained.*",
        -1,
        "sustained share of the datasheet bandwidth, eta, for one kind of bytes: weights, quantised (below 16 bits),"
        " kv, activations, or one storage format",
    ),
    Parameter("tiers.*.bandwidth", "B/s", -1, "bandwidth of a slower memory tier, per device", positive=True),
    share("tiers.*.sustained", -1, "share of that bandwidth that streaming weights from the tier sustains"),
    Parameter(
        "tiers.*.memory",
        "B/s",
        -1,
        "rated bandwidth of the memory behind a tier, from which its own cores compute (H2)",
        positive=True,
    ),
    share("tiers.*.computed", -1, "share of that rating that the cores reach with experts (H2)"),
    Parameter("tiers.*.cores", "1", -1, "cores that compute behind a tier, where they bind", positive=True),
    Parameter("tiers.*.core_stream", "B/s", -1, "what one of them streams and multiplies (H2)", positive=True),
    Parameter("tiers.*.crossing", "s", 1, "handing a layer's activations to those cores and waiting for them (H3)"),
    Parameter("tiers.*.capacity", "B", 0, "size of a slower memory tier, per device", positive=True),
    Parameter(
        "arithmetic.*",
        "FLOP/s",
        -1,
        "dense datasheet rate in one arithmetic format with sums in 32 bits, pi; sparse rates have keys of their own"
        " that end in -sparse, rates with sums in 16 bits such that end in -accumulate-fp16",
        positive=True,
    ),
    share("arithmetic.sustained", -1, "sustained share of the arithmetic rate, eta_a"),
    Parameter("units.count", "1", -1, "parallel units: SMs, CUs, cores", positive=True),
    Parameter(
        "units.stream",
        "B/s",
        -1,
        "most that one unit streams with the software's kernels while all others stream too (R1)",
        positive=True,
    ),
    Parameter(
        "units.block_bandwidth",
        "B/s",
        -1,
        "bandwidth that one block of threads reaches alone; it limits stages that are cut into few tasks (R1)",
        positive=True,
    ),
    Parameter("units.clock", "Hz", 0, "boost clock of a unit", positive=True),
    Parameter(
        "units.operations_per_clock.*", "1", 0, "dense operations a unit does in one clock, by format", positive=True
    ),
    Parameter(
        "on_chip.capacity",
        "B",
        -1,
        "on-chip memory that holds data across calls: last-level cache or distributed SRAM",
        positive=True,
    ),
    Parameter("on_chip.bandwidth", "B/s", -1, "bandwidth of that on-chip memory", positive=True),
    Parameter("on_chip.shared_per_unit", "B", -1, "scratchpad of one unit: shared memory, LDS", positive=True),
    Parameter("link.bandwidth", "B/s", -1, "link bandwidth of a device, per direction, all its links", positive=True),
    Parameter(
        "link.per_peer",
        "B/s",
        -1,
        "what a device can send to one other device, where no switch joins its links (C1)",
        positive=True,
    ),
    Parameter(
        "link.domain",
        "1",
        0,
        "devices that reach each other over this link; more are joined by the network",
        positive=True,
    ),
    Parameter(
        "network.bandwidth", "B/s", -1, "bandwidth of a device beyond its link's domain, per direction", positive=True
    ),
    Parameter("network.latency", "s", 1, "one hop beyond the link's domain (C2)"),
    Parameter(
        "collectives.*.latency",
        "s",
        1,
        "latency of the smallest collective without any launch: two devices, one hop (C2)",
    ),
    Parameter(
        "collectives.*.hop",
        "s",
        1,
        "what each transfer that follows the first adds to the latency of a collective (C2)",
    ),
    Parameter(
        "collectives.*.doubling",
        "s",
        1,
        "what each doubling of the devices beyond two adds where all wait for all (C2)",
    ),
    share("collectives.*.sustained", -1, "share of the link bandwidth that a large collective reaches"),
    Parameter("power.tdp", "W", 0, "board or package power limit", positive=True),
    Parameter("price.purchase", "USD", 0, "price of one device"),
    Parameter("price.rental", "USD/h", 0, "price of one device for an hour"),
)
