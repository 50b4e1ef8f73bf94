"""Which operations share a call under each style that fuses, and how many kernels a framework launches for one."""

from collections.abc import Iterable

from perfmodel.operations import Operation
from perfmodel.operations.work import ON_CHIP
from perfmodel.specifications.formats import STORAGE_FORMATS

# Primitive kernels of an operation when a framework runs it eagerly, counted from the Llama and Qwen
# code of Hugging Face transformers: a norm casts, squares, averages, adds, roots, scales, casts back
# and multiplies; rotary embedding does negate, concatenate, two products and a sum for query and for
# key; the cache concatenates keys and values; attention expands keys and values before its kernel.
_PRIMITIVES = {
    "norm": 8,
    "rotary": 10,
    "cache_write": 2,
    "attention": 3,
    "activation": 2,
    "expert_choice": 3,
    "state_update": 8,
}


# Kernels besides the product for a matrix stored below 16 bits: GPTQ and AWQ reshape or add the bias apart (4-bit GPTQ
# none, the others 1.4 to 1.8); bitsandbytes unpacks nested scales, code book and offset, and LLM.int8 quantises the
# activations, takes outliers out, multiplies twice, and waits for the host to know how many outliers there are. fp8
# runs in Triton kernels that quantise activations first, and whose launch from Python takes as long as several others.
_QUANTISED_PRIMITIVES = {"nf4": 5, "llm-int8": 24, "fp8": 7}


_QUANTISED_PRIMITIVES_OTHERS = 1


# The modules of experts pick their tokens, multiply and add up: five to six kernels an expert, two for each of three
# matrices.
_EXPERT_PRIMITIVES = 2


# Operations that multiply by a stored matrix.
MATRICES = ("linear", "head")


# Kernels of an operation when an engine gives each operation its own: query and key apart; the choice of experts as in
# the graph of ggml: softmax, sort, the chosen ones' weights gathered, summed and divided by the sum.
_SEPARATE = {"rotary": 2, "cache_write": 2, "expert_choice": 5}


def _grouped(**groups: str) -> dict[str, str]:
    """Return operation name to group from group="names of its operations"."""
    return {name: group for group, names in groups.items() for name in names.split()}


_INPUT = "query key value head_gate query_down kv_down key_value"


_ATTEND = "query_norm key_norm rotary cache_write attention"


# Groups of the styles that fuse, by operation name. An operation that is not named is a group of its own.
GROUPS: dict[str, dict[str, str]] = {
    # What common engines do: merged projections, rotary and cache inside the attention kernel; residual
    # additions and the embedding's row look-up ride in the norm behind them.
    "engine": _grouped(
        input=_INPUT,
        attention=_ATTEND,
        latent_norm="query_down_norm kv_down_norm key_value_norm",
        index_input="index_query index_key index_weight",
        compressor_input="compressor_entries compressor_gates",
        index_compressor_input="index_compressor_entries index_compressor_gates",
        gate_up="gate up",
        sampling="gather_logits sampling",
        norm=(
            "embedding mixer_norm mixer_output_norm mixer_residual feed_forward_norm feed_forward_output_norm"
            " feed_forward_residual final_norm"
        ),
        state_input=(
            "in_projection step_projection decay_projection decay_down output_gate_projection output_gate_down"
        ),
        crossing_norm="crossing_norm crossing_output_norm crossing_residual cross_query_norm",
        layer_end="layer_input_output_norm layer_input_residual layer_scale",
        experts_norm="dense_output_norm experts_norm experts_output_norm feed_forward_sum",
        routing="router_scale expert_choice",
        expert_gate_up="expert_gate expert_up",
        shared_gate_up="shared_gate shared_up",
    ),
    # What careful kernels do: norms in front of projections, activation and residuals behind them.
    "tuned": _grouped(
        input=f"mixer_norm {_INPUT} query_norm key_norm rotary cache_write in_projection",
        latent="query_down_norm kv_down_norm key_value_norm query_up query_absorb",
        index_input="index_query index_key index_weight index_query_norm index_key_norm",
        compressor="compressor_entries compressor_gates compressor_mean compressor_norm",
        index_compressor="index_compressor_entries index_compressor_gates index_compressor_mean index_compressor_norm",
        crossing="crossing_norm cross_query cross_query_norm",
        crossing_output="cross_output crossing_output_norm crossing_residual",
        output="output_gate value_up output output_up out_projection mixers_sum mixer_output_norm mixer_residual",
        state="convolution state_projection state_norm step_projection state_update state_output_norm",
        gate_up="feed_forward_norm gate up sparsify activation",
        down="down feed_forward_output_norm feed_forward_residual",
        routing="experts_norm router router_scale expert_choice",
        expert_gate_up="expert_gate expert_up shared_gate shared_up expert_activation",
        expert_down="expert_down shared_down shared_scale expert_sum latent_norm experts_output_norm feed_forward_sum",
        head="final_norm head",
        stream_prediction="stream_norm stream_router stream_coefficients stream_prediction",
        laurel_up="laurel_up laurel_norm laurel_sum",
        stream_correction="stream_rerouting correction_coefficients stream_correction stream_scale",
        layer_input_gate="layer_input_gate layer_input_activation",
        layer_input_up="layer_input_up layer_input_output_norm layer_input_residual layer_scale",
        depth="mixer_depth_norm mixer_depth_mean",
        feed_forward_depth="feed_forward_depth_norm feed_forward_depth_mean",
        mixer_streams="mixer_streams_norm mixer_streams_weights mixer_streams_balance mixer_streams_sum",
        feed_forward_streams=(
            "feed_forward_streams_norm feed_forward_streams_weights feed_forward_streams_balance"
            " feed_forward_streams_sum"
        ),
        sampling="gather_logits sampling",
    ),
}


# As common engines, and an all-reduce is one kernel with the residual addition and the norm behind it.
GROUPS["joined"] = GROUPS["engine"] | _grouped(norm="mixer_all_reduce feed_forward_all_reduce")


# Inside a fused kernel a collective belongs to the stage that produces its payload.
STAGES = GROUPS["tuned"] | _grouped(
    output="mixer_all_reduce feed_forward_all_gather",
    down="feed_forward_all_reduce feed_forward_reduce_scatter feed_forward_tensor_gather",
    routing="expert_dispatch",
    expert_down="expert_combine",
)


def primitive_kernels(operation: Operation) -> int:
    """Kernels that a framework launches for an operation it runs out of primitives."""
    if operation.work.experts:
        # Experts are visited one by one, those that no token chose too.
        return _EXPERT_PRIMITIVES * max(bank.count // bank.groups for bank in operation.work.experts)
    matrices = operation.work.weights[:1] if operation.kind in ("linear", "head") else ()
    unpacking = sum(
        _QUANTISED_PRIMITIVES.get(kind, _QUANTISED_PRIMITIVES_OTHERS)
        for kind, _ in matrices
        if kind != ON_CHIP and STORAGE_FORMATS[kind].bits < 16
    )
    return _PRIMITIVES.get(operation.kind, 1) + unpacking


def separate_kernels(operation: Operation) -> int:
    """Kernels of an operation when an engine gives each operation its own.

    The chosen experts' results are weighed, then added one after the other: as many as are chosen.
    """
    if operation.kind == "expert_sum":
        return max(round(operation.reads / operation.writes), 1)
    return _SEPARATE.get(operation.kind, 1)


def with_groups(operations: Iterable[Operation], groups: dict[str, str]) -> Iterable[tuple[str, Operation]]:
    """Yield each operation with its group; what a collective cuts off from its group runs in the collective's call."""
    last, before_collective = "", ""
    for operation in operations:
        group = groups.get(operation.name) or operation.name
        if operation.collective is not None and group == operation.name:
            before_collective = last
        elif group == before_collective:
            group = last
        else:
            before_collective = ""
        last = group
        yield group, operation
