"""(P) Peak, fraction of peak and speed-up."""

from perfmodel.numbers.choices import Number


def peak_time(bytes_per_step: Number, devices: Number, bandwidth: Number) -> Number:
    """(P1) time if all bytes of the step streamed at the datasheet bandwidth of all devices [s]. After [1].

    bytes_per_step: weights, KV and state read in a step, each byte once [B]
    devices: n [-]
    bandwidth: datasheet bandwidth of one device, beta [B/s]

    >>> peak_time(15_546_720_256, 8, 1.8e12)
    0.00107963335
    """
    return bytes_per_step / (devices * bandwidth)


def fraction_of_peak(peak: Number, time: Number) -> Number:
    """(P2) share of the peak rate that a step reaches [-], T_peak / T. After [1].

    peak: T_peak, from (P1) [s]
    time: T, from (S2) or (L3) [s]

    >>> fraction_of_peak(1e-3, 2e-3)
    0.5
    """
    return peak / time


def speedup(before: Number, after: Number) -> Number:
    """(P3) how many times faster the step after looping is [-], T_before / T_after. After [1].

    before: T_before [s]
    after: T_after [s]

    >>> speedup(3e-3, 1.5e-3)
    2.0
    """
    return before / after
