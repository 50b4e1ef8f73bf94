"""(E) Experts that a batch wakes."""

from perfmodel.numbers.choices import Number, smaller


def expected_distinct_experts(experts: Number, chosen: Number, tokens: Number) -> Number:
    """(E1) distinct experts that a batch wakes under uniform routing [-], E (1 - (1 - k/E)^B).

    experts: routed experts, E [-]
    chosen: experts a token uses, k [-]
    tokens: tokens in the step, B [-]

    >>> expected_distinct_experts(8, 2, 1)
    2.0
    """
    return experts * (1 - (1 - chosen / experts) ** tokens)


def fullest_device_experts(experts: Number, chosen: Number, tokens: Number, groups: Number, spread: Number) -> Number:
    """(E2) distinct experts that a batch wakes on the fullest of several groups of devices [-].

    Each group holds E / n experts whole, and the step waits for the one with most to read: the expected maximum, not
    the mean. Mean plus spread standard deviations of the experts woken in a group, corrected for the skewness of few
    hits (Cornish and Fisher, doi 10.2307/1400905), and at most all of them.

    experts: routed experts, E [-]
    chosen: experts a token uses, k [-]
    tokens: tokens in the step, B [-]
    groups: groups of devices, n [-]
    spread: expected maximum of n standard normal numbers [-]

    >>> round(fullest_device_experts(256, 8, 1, 8, 1.434), 2)
    2.44
    """
    held = experts / groups
    woken = expected_distinct_experts(experts, chosen, tokens) / experts
    deviation = (held * woken * (1 - woken) * (1 - 1 / groups)) ** 0.5
    # Where less than one expert more or less is expected, there is no tail to be skewed.
    skew = smaller(1.0, deviation) * (1 - 2 * woken) * (1 - 2 / groups) * (spread**2 - 1) / 6
    return smaller(held, held * woken + spread * deviation + skew)
