"""(E) Experts that a batch wakes."""

from perfmodel.numbers.choices import Number, larger, smaller


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


def experts_read_again(each: Number, distinct: Number, tokens: Number, taken_over: Number = 0) -> Number:
    """(E3) bytes of routed experts that kernels read more than once [B], (1 - g) larger(0, b Q_1 - Q_e).

    A kernel that multiplies a matrix by a vector takes the tokens of a step one after the other, so that two of them
    that chose the same expert read it twice. One for many rows groups the tokens by expert.

    each: experts of one token, Q_1 [B]
    distinct: those of all tokens, each once, Q_e [B]
    tokens: of a step, b [-]
    taken_over: 1 where the kernel is one for many rows, 0 where it is not, g, from (D3) [-]

    >>> experts_read_again(4e6, 14e6, 4)
    2000000.0
    """
    return (1 - taken_over) * larger(0, tokens * each - distinct)
