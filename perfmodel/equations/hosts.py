"""(H) What lies in host memory: a cache of which a part crosses the link, and experts that the host's cores compute."""

from perfmodel.numbers.choices import Number, smaller


def divided_bandwidth(own: Number, tier: Number, share: Number) -> Number:
    """(H1) bandwidth at which bytes are read of which a share lies in a slower tier [B/s], 1 / ((1 - s) / b + s / b_t).

    own: bandwidth of the device's own memory for them, b [B/s]
    tier: bandwidth of the tier, b_t [B/s]
    share: of them in the tier, s [-]

    >>> divided_bandwidth(1e12, 1e11, 0.5)
    181818181818.18182
    """
    return 1 / ((1 - share) / own + share / tier)


def host_bandwidth(memory: Number, computed: Number, cores: Number = None, core_stream: Number = None) -> Number:
    """(H2) bandwidth at which the host's cores multiply by experts in its memory [B/s], smaller(eta_h b_h, cores b_c).

    Kernels on processors reach a fifth to a half of the memory's rating, less across two sockets; few cores bind
    sooner.

    memory: rated bandwidth of the host's memory, b_h [B/s]
    computed: share of it that the kernels reach, eta_h [-]
    cores: cores at work, or None where the memory binds [-]
    core_stream: what one core streams and multiplies, b_c [B/s]

    >>> host_bandwidth(307.2e9, 0.35)
    107520000000.0
    """
    reached = computed * memory
    return reached if cores is None else smaller(reached, cores * core_stream)


def crossings_time(layers: Number, crossing: Number) -> Number:
    """(H3) time for handing activations to the host and waiting for it in a step [s], L c.

    layers: layers whose experts the host computes, L [-]
    crossing: there and back, and waiting, for one layer, c [s]

    >>> crossings_time(58, 1e-4)
    0.0058000000000000005
    """
    return layers * crossing
