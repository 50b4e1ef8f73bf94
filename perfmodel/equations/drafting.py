"""(D) Several tokens a step: drafts that a target verifies, and what its kernels pay for more than one token."""

from perfmodel.numbers.choices import Number, larger, smaller


def accepted_drafts(acceptance: Number, drafts: Number) -> Number:
    """(D1) drafts accepted of K, each with the same chance given the one before [-], A = P (1 - P^K) / (1 - P).

    Leviathan, Kalman, Matias, "Fast Inference from Transformers via Speculative Decoding", arXiv 2211.17192, equation
    1, less the bonus token. A chance of one is taken as just below it.

    acceptance: chance that a draft is accepted when those before it are, P [-]
    drafts: drafts of a step, K [-]

    >>> round(accepted_drafts(0.5, 2), 6)
    0.75
    """
    chance = smaller(acceptance, 1 - 1e-9)
    return smaller(chance * (1 - chance**drafts) / (1 - chance), drafts)


def tokens_a_step(accepted: Number) -> Number:
    """(D2) tokens that a sequence gets in a verified step [-], A + 1: the accepted drafts and the target's own.

    accepted: drafts accepted of K on the average, without the target's own token, A [-]

    >>> tokens_a_step(1.5)
    2.5
    """
    return accepted + 1


def further_tokens(most: Number, sequences: Number, tokens: Number) -> Number:
    """(D3) tokens beyond one a sequence that kernels for few do one by one [-], n = smaller(B t, T) - smaller(B, T).

    From T tokens on a kernel for matrices takes over, which (R2) describes.

    most: tokens from which kernels for matrices take over, T [-]
    sequences: sequences of the step, B [-]
    tokens: tokens a sequence, t [-]

    >>> further_tokens(8, 1, 4), further_tokens(8, 4, 4)
    (3, 4)
    """
    return smaller(sequences * tokens, most) - smaller(sequences, most)


def taken_over(tokens: Number, most: Number) -> Number:
    """(D3, kernels) 1 where kernels for many rows have taken over from those for few, else 0 [-], g.

    g = smaller(1, larger(0, b - b_max)), of whole numbers of tokens.

    tokens: of a step, b [-]
    most: the most that kernels for few take, b_max [-]

    >>> taken_over(8, 8), taken_over(9, 8)
    (0, 1)
    """
    return smaller(1, larger(0, tokens - most))


def further_tokens_time(
    further: Number, streaming: Number, token: Number, flops: Number, operations: Number, rate: Number
) -> Number:
    """(D6) time by which kernels for few tokens exceed those for one a sequence [s], n (f m + o F / pi_v).

    A kernel that multiplies a vector by a quantised matrix does a token's products in vector units, after unpacking the
    weights for it: o operations there for each of the matrix. A kernel that is run once a token reads the weights each
    time, f = 1; one for matrices that are filled badly adds little.

    further: tokens done one by one, from (D3), n [-]
    streaming: time to stream the weights of the matrix, m [s]
    token: share of it that each adds, f [-]
    flops: operations of the matrix for one token, F [FLOP]
    operations: operations in vector units for each of them, o [-]
    rate: datasheet rate of the vector units, pi_v [FLOP/s]

    >>> further_tokens_time(3, 1e-3, 0.1, 1e9, 2, 1e13)
    0.0009
    """
    return further * (token * streaming + operations * flops / rate)


def independent_tokens(sequences: Number, tokens: Number, independence: Number) -> Number:
    """(D4) tokens with independent experts that wake as many as the step's [-], B (1 + i (t - 1)).

    Tokens in a row ask for the same experts more often than tokens of different sequences do.

    sequences: sequences of the step, B [-]
    tokens: tokens a sequence, t [-]
    independence: what a further token of a sequence counts, i [-]

    >>> independent_tokens(4, 3, 0.5)
    8.0
    """
    return sequences * (1 + independence * (tokens - 1))


def drafting_host_time(step: Number, draft: Number, drafts: Number) -> Number:
    """(D5) host time of a step that drafting adds [s], smaller(K, 1) h_v + K h_d.

    step: to prepare, verify and accept, of a step with drafts, h_v [s]
    draft: to sample and hand on one draft, h_d [s]
    drafts: drafts of a step, K [-]

    >>> drafting_host_time(1e-4, 2e-4, 3)
    0.0007000000000000001
    """
    return smaller(drafts, 1) * step + drafts * draft
