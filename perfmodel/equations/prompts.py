"""(T) Many new tokens a sequence: what a prompt's tokens see, read and compute, and the requests they begin."""

import math

from perfmodel.numbers.choices import Number, larger, smaller


def tokens_seen(context: Number, tokens: Number, window: Number | None = None) -> Number:
    """(T1) cached tokens that `tokens` new ones of a sequence attend to, in all [-]; each sees those before it.

    t C + t (t - 1) / 2; with a window W the first u = smaller(larger(W - C, 0), t) see all before them, the others W.

    context: tokens in the cache before them, C [-]
    tokens: new tokens, t [-]
    window: most that one sees, W, None for all [-]

    >>> tokens_seen(10, 3), tokens_seen(10, 3, 11)
    (33.0, 32.0)
    """
    if window is None:
        return tokens * context + tokens * (tokens - 1) / 2
    open_ones = smaller(larger(window - context, 0), tokens)
    return open_ones * context + open_ones * (open_ones - 1) / 2 + (tokens - open_ones) * window


def tokens_read(context: Number, tokens: Number, window: Number | None = None) -> Number:
    """(T2) cached tokens that are read once for `tokens` new ones of a sequence [-], smaller(C, W) + t - 1.

    A kernel holds the queries of all new tokens on chip while the cache passes once.

    context: tokens in the cache before them, C [-]
    tokens: new tokens, t [-]
    window: most that one sees, W, None for all [-]

    >>> tokens_read(10, 3), tokens_read(10, 1, 8)
    (12, 8)
    """
    return (context if window is None else smaller(context, window)) + (tokens - 1)


def prompt_arithmetic_time(
    plain: Number,
    flops: Number,
    rate: Number,
    sustained: Number,
    rows: Number,
    half: Number,
    tokens: Number,
    power_rate: Number = math.inf,
) -> Number:
    """(T3) time of the arithmetic of a call that does several tokens a sequence [s].

    a / t + (1 - 1 / t) F ((1 + m_h / m) / (eta_p pi_p) + 1 / pi_W): a matrix kernel for m rows reaches the share
    eta_p m / (m + m_h) of the rate of the units that it really uses, for it fills tiles, splits and joins sums;
    operations take energy, and the clock falls until the power limit holds. With one token a sequence it is the kernel
    of a decode step.

    plain: arithmetic time with the kernels of a decode step, from (R2), a [s]
    flops: floating-point operations, F [FLOP]
    rate: datasheet rate in the format that the kernels multiply in, pi [FLOP/s]
    sustained: share of it that many rows reach, eta_p [-]
    rows: tokens that one matrix sees, m [-]
    half: rows at which half of that share is reached, m_h [-]
    tokens: new tokens of a sequence, t [-]
    power_rate: rate at which the operations alone take all the power there is, pi_W [FLOP/s]

    >>> round(prompt_arithmetic_time(1e-3, 1e12, 1e15, 0.5, 512, 128, 512), 6)
    0.002497
    """
    many = flops * ((1 + half / rows) / (sustained * rate) + 1 / power_rate)
    return plain / tokens + (1 - 1 / tokens) * many


def rows_of_an_expert(tokens: Number, experts: Number, chosen: Number) -> Number:
    """(T3, experts) tokens that the matrix of one routed expert sees on the average [-], larger(1, m k / E).

    tokens: tokens of the step, m [-]
    experts: routed experts, E [-]
    chosen: experts a token uses, k [-]

    >>> rows_of_an_expert(512, 128, 8)
    32.0
    """
    return larger(tokens * chosen / experts, 1)


def unpacked_streaming(streaming: Number, written: Number, unpacked: Number, tokens: Number) -> Number:
    """(T6) streaming of a product whose blocks were written out in 16 bits before [s], m + u (1 - 1 / t) (m_w - m).

    A decode step, t = 1, multiplies blocks as they are.

    streaming: of the blocks as stored, m [s]
    written: of the same weights in 16 bits, m_w [s]
    unpacked: share of the blocks that is unpacked before, u [-]
    tokens: new tokens of a sequence, t [-]

    >>> unpacked_streaming(1e-3, 4e-3, 1, 1), unpacked_streaming(1e-3, 4e-3, 1, 2)
    (0.001, 0.0025)
    """
    return streaming + unpacked * (1 - 1 / tokens) * (written - streaming)


def unpacking_time(streaming: Number, written: Number, unpacked: Number, tokens: Number) -> Number:
    """(T6, before) time of the kernel that unpacks [s], u (1 - 1 / t) (m + m_w).

    It reads the blocks and writes them out.

    streaming: of the blocks as stored, m [s]
    written: of the same weights in 16 bits, m_w [s]
    unpacked: share of the blocks that is unpacked before, u [-]
    tokens: new tokens of a sequence, t [-]

    >>> unpacking_time(1e-3, 4e-3, 1, 1), unpacking_time(1e-3, 4e-3, 1, 2)
    (0.0, 0.0025)
    """
    return unpacked * (1 - 1 / tokens) * (streaming + written)


def prompt_added(added: Number, tokens: Number) -> Number:
    """(T7) share of the shorter of streaming and arithmetic that a call adds [-], w / t.

    A kernel for many rows fetches its next tile while it computes one; that of a decode step, t = 1, adds w.

    added: share in a decode step, w [-]
    tokens: new tokens of a sequence, t [-]

    >>> prompt_added(0.5, 1), prompt_added(0.5, 512)
    (0.5, 0.0009765625)
    """
    return added / tokens


def chunked_time(traverse: Number, slowest: Number, chunks: Number, overlap: Number) -> Number:
    """(T4) time of the chunks of a prompt over a pipeline [s], n c - o (n - 1) (c - c_s).

    While one stage does a chunk the next could do the one before it; of what that would save a share is saved.

    traverse: of one chunk through all stages, c [s]
    slowest: of one chunk in the slowest stage, c_s [s]
    chunks: n [-]
    overlap: share of the saving that the software reaches, o [-]

    >>> chunked_time(4e-3, 1e-3, 3, 0.5)
    0.009
    """
    return chunks * traverse - overlap * (chunks - 1) * (traverse - slowest)


def request_time(first: Number, token: Number, generated: Number) -> Number:
    """(T5) time of a request end to end [s], first token + (g - 1) t_g.

    first: time to the first token [s]
    token: mean time of each further token [s]
    generated: tokens generated, g [-]

    >>> request_time(0.2, 0.01, 101)
    1.2
    """
    return first + (generated - 1) * token
