"""Primitives: the operations of a network that is no transformer, by kind and shape; and blocks of them.

Shapes only; nothing here knows bytes, devices or time. `positions` are what one input of the batch has of
pixels, frames or tokens, all of which an operation treats alike.
"""

import msgspec


class Linear(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix applied at each position. biases: bias vectors."""

    name: str
    inputs: int
    outputs: int
    positions: int = 1
    biases: int = 0
    shares_input: bool = False


class Convolution(msgspec.Struct, frozen=True, kw_only=True):
    """A convolution from `inputs` to `outputs` channels.

    taps: of its kernel, all dimensions together; read: input positions.
    """

    name: str
    inputs: int
    outputs: int
    taps: int
    positions: int
    read: int
    groups: int = 1
    biases: int = 0
    shares_input: bool = False


class Recurrent(msgspec.Struct, frozen=True, kw_only=True):
    """A recurrent cell for one time step. gates: matrices of its kind; states: vectors of `hidden` kept between steps.

    projection: width of what is handed on where a matrix narrows it, 0 for none.
    """

    name: str
    gates: int
    states: int
    inputs: int
    hidden: int
    biases: int = 2
    projection: int = 0


class Normalisation(msgspec.Struct, frozen=True, kw_only=True):
    """A norm over `width` channels at each position. weights: elements a channel, 2 with a bias."""

    name: str
    width: int
    positions: int = 1
    weights: int = 1
    shares_input: bool = False


class Elementwise(msgspec.Struct, frozen=True, kw_only=True):
    """Elementwise work. flops: per element [FLOP]; inputs: tensors it reads; weights: elements a channel."""

    name: str
    width: int
    positions: int = 1
    flops: int = 1
    inputs: int = 1
    weights: int = 0
    shares_input: bool = False


class DotProduct(msgspec.Struct, frozen=True, kw_only=True):
    """Attention of `positions` queries, its projections apart.

    tokens: keys made in this step, None for a cache of the context.
    """

    name: str
    heads: int
    kv_heads: int
    head_dim: int
    positions: int = 1
    tokens: int | None = None
    window: int | None = None


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """Rows taken from a table that is not read as a whole. tied: the table is that of another operation."""

    name: str
    rows: int
    width: int
    positions: int = 1
    tied: bool = False


class Custom(msgspec.Struct, frozen=True, kw_only=True):
    """Work given by its counts.

    weights: elements read every step; the others are per input: FLOPs, and bytes of activations and state.
    """

    name: str
    weights: int = 0
    flops: int = 0
    reads: int = 0
    writes: int = 0
    state: int = 0


Primitive = Linear | Convolution | Recurrent | Normalisation | Elementwise | DotProduct | Lookup | Custom


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Operations that one fused kernel runs, as a decoder layer is one.

    on_chip: its matrices stay on chip from step to step.
    """

    name: str
    operations: tuple[Primitive, ...]
    on_chip: bool = False
