"""RWKV: token shifts, a state a head in place of a cache, and channel mixing in place of a feed-forward block.

Versions 4 (arXiv 2305.13048), 5 and 6 (2404.05892) and 7 (2503.14456), whose reports give the parameters by formula.
"""

import math

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import layer_count
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import TimeMixing
from perfmodel.specifications.model import FeedForward, Layer

_KNOWN = """context_length rescale_every model_version head_size_divisor layer_norm_epsilon attn_mode attn
fuse_norm fuse_cross_entropy norm_first norm_bias norm_eps hidden_act bos_token_id num_attention_heads hidden_ratio
fuse_linear_cross_entropy use_l2warp value_dim""".split()


def _usual_rank(hidden: int, factor: float, power: float) -> int:
    """Return the rank that version 7's own code takes: a factor of a power of the width, in whole 32s."""
    return max(32, round(factor * math.pow(hidden, power) / 32) * 32)


def _layers(fields: ConfigFields, mixer: TimeMixing, inner: int) -> Shape:
    hidden, layers = fields.integer("hidden_size", most=1_000_000), layer_count(fields)
    gated = mixer.version < 7
    block = FeedForward(
        intermediate=fields.integer("intermediate_size", default=inner, most=10_000_000),
        gated=False, receptance=gated, shifts=2 if gated else 1,
    )  # fmt: skip
    stack = [Layer(mixer=mixer, feed_forward=block)] * layers
    if mixer.version == 7:
        # The first layer makes the value that the others mix with their own.
        stack[0] = Layer(mixer=msgspec.structs.replace(mixer, value_rank=0), feed_forward=block)
    # A norm of two numbers a channel behind the embedding too.
    return {"layers": tuple(stack), "norm_elements": 2, "other_parameters": 2 * hidden}


def read_rwkv(fields: ConfigFields) -> Shape:
    """RWKV 4."""
    fields.known(*_KNOWN)
    hidden = fields.integer("hidden_size", most=1_000_000)
    width = fields.integer("attention_hidden_size", default=hidden, most=1_000_000)
    return _layers(fields, TimeMixing(version=4, heads=width, head_dim=1), 4 * hidden)


def _read_with_heads(fields: ConfigFields, version: int, mix_rank: int, decay_rank: int) -> Shape:
    fields.known(*_KNOWN)
    hidden = fields.integer("hidden_size", most=1_000_000)
    width = fields.integer("attention_hidden_size", default=hidden, most=1_000_000)
    head_dim = fields.integer("head_size", default=64, most=100_000)
    if width % head_dim:
        raise SpecificationError(f"{fields.where}: head_size: {head_dim} does not divide {width}")
    mixer = TimeMixing(
        version=version, heads=width // head_dim, head_dim=head_dim, mix_rank=mix_rank, decay_rank=decay_rank
    )
    return _layers(fields, mixer, math.floor(hidden * 3.5) // 32 * 32)


def read_rwkv5(fields: ConfigFields) -> Shape:
    """RWKV 5 (Eagle): a matrix of state a head, and a gate."""
    return _read_with_heads(fields, 5, 0, 0)


def read_rwkv6(fields: ConfigFields) -> Shape:
    """RWKV 6 (Finch): shifts and decay that depend on the token, through projections of low rank."""
    wide = fields.integer("hidden_size", most=1_000_000) >= 4096
    return _read_with_heads(fields, 6, 64 if wide else 32, 128 if wide else 64)


def read_rwkv7(fields: ConfigFields) -> Shape:
    """RWKV 7 (Goose): a generalised delta rule; decay, rate, value and gate come through projections of low rank."""
    fields.known(*_KNOWN)
    hidden = fields.integer("hidden_size", most=1_000_000)
    head_dim = fields.integer("head_dim", default=64, most=100_000)
    heads = fields.integer("num_heads", default=hidden // head_dim, most=100_000)
    if heads * head_dim != hidden:
        heads = hidden // head_dim  # some files state a number of heads that their code does not use

    def rank(key: str, factor: float, power: float = 0.5) -> int:
        return int(fields.integer(key, default=_usual_rank(hidden, factor, power), most=100_000))

    mixer = TimeMixing(
        version=7,
        heads=heads,
        head_dim=head_dim,
        decay_rank=rank("decay_low_rank_dim", 1.8),
        rate_rank=rank("a_low_rank_dim", 1.8),
        value_rank=rank("v_low_rank_dim", 1.3),
        gate_rank=rank("gate_low_rank_dim", 0.6, 0.8),
    )
    return _layers(fields, mixer, 4 * hidden)
