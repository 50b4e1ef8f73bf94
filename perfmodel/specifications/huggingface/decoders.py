"""One reader for the many decoders that differ from Llama in a few places: biases, norms, windows, gates, experts."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    SLIDING,
    attention,
    check_activation,
    experts,
    feed_forward,
    latent_attention,
    layer_count,
    layer_types,
    sparse_layers,
)
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import LatentAttention
from perfmodel.specifications.model import Experts, FeedForward, Layer, Mixer

Shape = dict[str, Any]
Switch = bool | str


class Mixture(msgspec.Struct, frozen=True, kw_only=True):
    """Under which keys a family describes its experts.

    count, chosen, width: number of experts, of those a token uses, and width of one.
    shared: key of the number of shared experts, each `shared_unit` wide; shared_width: key of their width together.
    shared_gate, shared_bias: the shared experts have a gate of one number, and biases; router_bias: the router has a
    number an expert besides its matrix.
    sparse: which layers have experts where no list says: 'all', 'but-first' (all but the first), 'first' (after
    first_k_dense_replace), 'step' (Qwen's decoder_sparse_step and mlp_only_layers), 'range' (Ernie's start, end and
    interval), 'dense' (after num_dense_layers), 'after-three'; or 'none'.
    """

    count: str = "num_experts"
    chosen: str = "num_experts_per_tok"
    width: str = "moe_intermediate_size"
    shared: str = ""
    shared_unit: str = "moe_intermediate_size"
    shared_width: str = ""
    shared_gate: bool = False
    shared_bias: Switch = False
    router_bias: Switch = False
    bias: Switch = False
    sparse: str = "all"


class Decoder(msgspec.Struct, frozen=True, kw_only=True):
    """Where a family differs from Llama.

    bias, output_bias, mlp_bias: whether, or the key that says whether, the projections of queries, keys and values, of
    the output (None: as the others), and of the feed-forward block have biases.
    norm: '' for no norms on queries and keys, 'head', 'full'; norm_key, norm_default: the key that switches them.
    gate: of the attention's output: '' for none, 'element', 'head' for one number a head.
    gated: the feed-forward block has a gate; activation_weights: learned numbers of its activation.
    norms, norm_elements, parallel: as in Layer and Model; after_key: the key that switches the norms behind the blocks;
    width: key of the width of the dense block.
    window: 'none', 'all' (every layer where a window is given), 'types' (as listed, else by `period`), 'late'
    (from max_window_layers on), 'qwen' (the same where use_sliding_window is set), 'qwen-all' (all layers then).
    period: without a list every period-th layer sees all, 0 for all of them, -1 for none; first_full: counted from the
    first layer. last_full: and so does the last layer.
    rotary: 'all', 'none', or 'sliding' for layers with a window only.
    latent: attention is latent. mixture: its experts. head_bias: of the LM head.
    square: the heads together must be as wide as the model. inner_norms: a norm in front of the last matrix of either
    block. known: keys that do not change the count.
    """

    bias: Switch = False
    output_bias: Switch | None = None
    mlp_bias: Switch = False
    norm: str = ""
    norm_key: str = ""
    norm_default: bool = False
    gate: str = ""
    gated: bool = True
    activation_weights: int = 0
    norms: str = "before"
    after_key: str = ""
    norm_elements: int = 1
    parallel: str = ""
    width: str = "intermediate_size"
    activation: tuple[str, ...] = ("hidden_act",)
    window: str = "none"
    period: int | str = 0
    first_full: bool = False
    last_full: bool = False
    rotary: str = "all"
    latent: bool = False
    mixture: Mixture | None = None
    head_bias: Switch = False
    sinks: bool = False
    square: bool = False
    inner_norms: bool = False
    known: tuple[str, ...] = ()


def switched(fields: ConfigFields, switch: Switch, *, default: bool = False) -> bool:
    """Return a constant as it is, else the true or false at the key it names."""
    return switch if isinstance(switch, bool) else fields.flag(switch, default=default)


def read_decoder(fields: ConfigFields, family: Decoder) -> Shape:
    """Return what a config of `family` says of its layers."""
    check_activation(fields, *family.activation)
    fields.known(*family.known)
    layers = layer_count(fields)
    mixers = _latent_mixers(fields, layers) if family.latent else _mixers(fields, family, layers)
    blocks = _blocks(fields, family, layers)
    norms = family.norms if not family.after_key or fields.flag(family.after_key, default=True) else "before"
    built: dict[Any, Layer] = {}
    for pair in zip(mixers, blocks, strict=True):
        built.setdefault(pair, Layer(mixer=pair[0], feed_forward=pair[1], norms=norms, parallel=family.parallel))
    stack = tuple(built[pair] for pair in zip(mixers, blocks, strict=True))
    return {"layers": stack, "norm_elements": family.norm_elements, "head_bias": switched(fields, family.head_bias)}


def _latent_mixers(fields: ConfigFields, layers: int) -> list[Mixer]:
    mixer: LatentAttention = latent_attention(fields)
    return [mixer] * layers


def _mixers(fields: ConfigFields, family: Decoder, layers: int) -> list[Mixer]:
    bias = switched(fields, family.bias)
    output = bias if family.output_bias is None else switched(fields, family.output_bias)
    norm = family.norm if not family.norm_key or fields.flag(family.norm_key, default=family.norm_default) else ""
    plain = attention(fields, bias=bias, output_bias=output, query_key_norm=norm, sinks=family.sinks)
    plain = msgspec.structs.replace(
        plain,
        output_gate=family.gate == "element",
        gate_bias=False,
        head_gate=family.gate == "head",
        rotary=family.rotary != "none",
        inner_norm=family.inner_norms,
    )
    if family.square and plain.heads * plain.head_dim != fields.integer("hidden_size", most=1_000_000):
        raise SpecificationError(
            f"{fields.where}: head_dim: {plain.heads} heads of {plain.head_dim} are not hidden_size"
        )
    windows = layer_windows(fields, family, layers)
    mixers: list[Mixer] = []
    for window in windows:
        rotary = plain.rotary and not (family.rotary == "sliding" and window is None and any(windows))
        mixers.append(msgspec.structs.replace(plain, window=window, rotary=rotary))
    return mixers


def layer_windows(fields: ConfigFields, family: Decoder, layers: int) -> list[int | None]:
    """Return the sliding window of each layer, None where it sees all."""
    if family.window == "none":
        return [None] * layers
    window = fields.integer("sliding_window", required=False, least=0) or None
    if family.window in ("qwen", "qwen-all"):
        used = fields.flag("use_sliding_window", default=False)
        window = window if used else None
        first = 0 if family.window == "qwen-all" else fields.integer("max_window_layers", default=layers, least=0)
        types = layer_types(fields, layers, (FULL, SLIDING)) or [
            SLIDING if index >= first else FULL for index in range(layers)
        ]
        # Where windows are switched off, a layer that is called sliding sees all the same.
        return [window if kind == SLIDING else None for kind in types]
    if family.window == "late":
        first = fields.integer("max_window_layers", default=layers, least=0)
        types = layer_types(fields, layers, (FULL, SLIDING)) or [
            SLIDING if index >= first else FULL for index in range(layers)
        ]
        return [window if kind == SLIDING else None for kind in types]
    if family.window == "all":
        return [window] * layers
    types = layer_types(fields, layers, (FULL, SLIDING)) or _pattern(fields, family, layers)
    if window is None and SLIDING in types and fields.has("layer_types"):
        raise SpecificationError(f"{fields.where}: has sliding_attention layers, but no sliding_window")
    return [window if kind == SLIDING else None for kind in types]


def _pattern(fields: ConfigFields, family: Decoder, layers: int) -> list[str]:
    period = family.period
    if isinstance(period, str):
        if isinstance(fields.raw(period), str):
            letters = fields.text(period, "")
            if not letters or set(letters) - set("LG"):
                raise SpecificationError(
                    f"{fields.where}: {period}: {shown(letters)} is not a pattern of L for local and G for global"
                    " layers"
                )
            return [SLIDING if letters[index % len(letters)] == "L" else FULL for index in range(layers)]
        period = fields.integer(period, default=0, least=0, most=10_000)
    if period <= 0:
        return [FULL if period == 0 else SLIDING] * layers
    types = [FULL if (index if family.first_full else index + 1) % period == 0 else SLIDING for index in range(layers)]
    if family.last_full:
        types[-1] = FULL
    return types


def _blocks(fields: ConfigFields, family: Decoder, layers: int) -> list[FeedForward | Experts | None]:
    bias = switched(fields, family.mlp_bias)

    def dense() -> FeedForward:
        block = feed_forward(fields, gated=family.gated, bias=bias, key=family.width)
        return msgspec.structs.replace(
            block, activation_weights=family.activation_weights, inner_norm=family.inner_norms
        )

    if family.mixture is None:
        return [dense()] * layers
    sparse = sparse_layers(fields, layers, family.mixture.sparse)
    mixture = read_mixture(fields, family.mixture, gated=family.gated) if any(sparse) else None
    fields.known(
        family.width,
        family.mixture.count,
        family.mixture.chosen,
        family.mixture.width,
        family.mixture.shared or "",
        family.mixture.shared_width or "",
    )
    if all(sparse):
        return [mixture] * layers
    block = dense()
    return [mixture if has else block for has in sparse]


def read_mixture(fields: ConfigFields, mixture: Mixture, *, gated: bool = True) -> Experts:
    """Return the experts that a config describes under the keys of `mixture`."""
    shared = 0
    if mixture.shared:
        count = fields.integer(mixture.shared, default=0, least=0, most=10_000) or 0
        shared = count * fields.integer(mixture.shared_unit, most=10_000_000) if count else 0
    elif mixture.shared_width:
        shared = fields.integer(mixture.shared_width, default=0, least=0, most=10_000_000) or 0
    return experts(
        fields,
        mixture.count,
        mixture.width,
        chosen_key=mixture.chosen,
        shared=shared,
        shared_gate=mixture.shared_gate and shared > 0,
        bias=switched(fields, mixture.bias),
        router_bias=switched(fields, mixture.router_bias),
        shared_bias=shared > 0 and switched(fields, mixture.shared_bias),
        gated=gated,
    )
