"""Operations to kernel calls: what a launch mode fuses, and which calls it loops. Counts only, no time.

A mode names a kernel style. Its rule is a table: consecutive operations with the same group run in
one call (or, inside a fused call, in one stage). How many calls a layer has follows from the table
and from the operations of the model; no count is typed anywhere.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown
from perfmodel.operations import Operation, Step
from perfmodel.operations.work import ON_CHIP, Collective, Work
from perfmodel.schedule.loops import Run, find_loops
from perfmodel.schedule.styles import engine_groups, tuned_groups
from perfmodel.specifications.formats import STORAGE_FORMATS


class Stage(msgspec.Struct, frozen=True):
    """A dependent phase: the work between two barriers of a fused call, or all the work of a plain call.

    held: activations in and out that stay on chip inside a fused call, per sequence [B].
    matrix: which matrices it multiplies by: 'matrix', 'experts' (routed ones), or '' for none.
    """

    name: str
    work: Work
    collectives: tuple[Collective, ...] = ()
    held: float = 0.0
    matrix: str = ""


class Segment(msgspec.Struct, frozen=True):
    """`iterations` passes over the same stages, inside one call."""

    iterations: int
    stages: tuple[Stage, ...]


class Call(msgspec.Struct, frozen=True):
    """One kernel call.

    kernels: launches it stands for; fused: its stages are separated by barriers, not launches; split: it is a stage of
    a body that does not fit on chip, and is never looped.
    """

    name: str
    segments: tuple[Segment, ...]
    kernels: int = 1
    fused: bool = False
    split: bool = False


class Loop(msgspec.Struct, frozen=True):
    """A loop for the report. layers: 'first-last' decoder layers it covers, '' for none."""

    body: tuple[str, ...]
    layers: str
    count: int


class LoopOnly(msgspec.Struct, frozen=True):
    """What may be looped, where not everything: calls by name, layers by range (first, last)."""

    names: frozenset[str] = frozenset()
    layers: tuple[tuple[int, int], ...] = ()

    def takes(self, name: str, layer: int) -> bool:
        """Return whether the call `name` of decoder layer `layer` may be looped."""
        return name in self.names or any(first <= layer <= last for first, last in self.layers)


class Schedule(msgspec.Struct, frozen=True):
    """The calls of a step, equal ones counted. loops: the outermost, left to right; runs of one are not listed.

    stages: for a pipeline, how many of its stages are alike, and how many entries of `calls` are those of all of them.
    split: bodies that do not fit on chip, so that each of their stages is a call of its own, and what one sequence of
    them would hold [B].
    """

    calls: tuple[tuple[int, Call], ...]
    loops: tuple[Loop, ...] = ()
    stages: tuple[tuple[int, int], ...] = ()
    split: tuple[tuple[str, float], ...] = ()

    @property
    def kernel_calls(self) -> int:
        """Kernel calls of a step, N."""
        return sum(count * call.kernels for count, call in self.calls)


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
# activations, takes outliers out, multiplies twice, and waits for the host to know how many outliers there are. fp8 runs
# in Triton kernels that quantise activations first, and whose launch from Python takes as long as several others.
_QUANTISED_PRIMITIVES = {"nf4": 5, "llm-int8": 24, "fp8": 7}
_QUANTISED_PRIMITIVES_OTHERS = 1
# The modules of experts pick their tokens, multiply and add up: five to six kernels an expert, two for each of three
# matrices.
_EXPERT_PRIMITIVES = 2
# Operations that multiply by a stored matrix.
_MATRICES = ("linear", "head")
# Kernels of an operation when an engine gives each operation its own: query and key apart.
_SEPARATE = {"rotary": 2, "cache_write": 2}


def _grouped(**groups: str) -> dict[str, str]:
    """Return operation name to group from group="names of its operations"."""
    return {name: group for group, names in groups.items() for name in names.split()}


_INPUT = "query key value head_gate query_down kv_down key_value"
_ATTEND = "query_norm key_norm rotary cache_write attention"

# Groups of the styles that fuse, by operation name. An operation that is not named is a group of its own.
_GROUPS: dict[str, dict[str, str]] = {
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
# Inside a fused kernel a collective belongs to the stage that produces its payload.
_STAGES = _GROUPS["tuned"] | _grouped(
    output="mixer_all_reduce feed_forward_all_gather",
    down="feed_forward_all_reduce feed_forward_reduce_scatter feed_forward_tensor_gather",
    routing="expert_dispatch",
    expert_down="expert_combine",
)


def make_schedule(
    step: Step,
    kernels: str,
    *,
    loops: bool,
    loop_at_most: int | None = None,
    loop_only: LoopOnly | None = None,
    room: float | None = None,
) -> Schedule:
    """Cut the operations of `step` into kernel calls.

    kernels: the kernel style of the mode: primitive, separate, engine, tuned, layer or step.
    loops: whether runs of the same call become one looped call.
    loop_at_most: iterations that one looped call may hold, None for no limit [-].
    loop_only: what may be looped, None for all.
    room: on-chip memory [B], None where it is not known; a layer that one sequence overfills is split.
    """
    if kernels == "layer":
        return _layer_calls(step, loops, loop_at_most, loop_only, room)
    if kernels == "step":
        return _one_call(step, room)
    return Schedule(_counted(_plain_calls(step, kernels)))


def make_pipeline(
    stages: Sequence[Step],
    kernels: str,
    *,
    loops: bool,
    loop_at_most: int | None = None,
    loop_only: LoopOnly | None = None,
    room: float | None = None,
) -> Schedule:
    """Cut the operations of each stage of a pipeline into kernel calls, as `make_schedule` does.

    No call spans stages.
    """
    schedules = [
        make_schedule(stage, kernels, loops=loops, loop_at_most=loop_at_most, loop_only=loop_only, room=room)
        for stage in stages
    ]
    if len(schedules) == 1:
        return schedules[0]
    alike: dict[tuple[tuple[int, Call], ...], int] = {}
    for schedule in schedules:
        alike[schedule.calls] = alike.get(schedule.calls, 0) + 1
    calls = tuple(
        (count * stages_alike, call) for stage_calls, stages_alike in alike.items() for count, call in stage_calls
    )
    return Schedule(
        calls,
        tuple(loop for schedule in schedules for loop in schedule.loops),
        tuple((times, len(stage_calls)) for stage_calls, times in alike.items()),
        tuple(dict.fromkeys(body for schedule in schedules for body in schedule.split)),
    )


def _plain_calls(step: Step, kernels: str) -> Iterable[Call]:
    operations = step.all_operations()
    made: dict[tuple[int, ...], Call] = {}  # equal layers are the same operations, and make the same calls
    if kernels in ("primitive", "separate"):
        for operation in operations:
            alike: tuple[int, ...] = (id(operation),)
            if alike not in made and kernels == "primitive":
                made[alike] = _plain_call(operation.kind, (operation.run_unfused(),), _primitive_kernels(operation))
            elif alike not in made:
                made[alike] = _plain_call(operation.kind, (operation,), _SEPARATE.get(operation.kind, 1))
            yield made[alike]
        return
    if step.names:
        for name, together in (
            engine_groups(operations) if kernels == "engine" else tuned_groups(operations, collectives_ride=False)
        ):
            yield _plain_call(name, together)
        return
    for group, members in groupby(_with_groups(operations, _GROUPS[kernels]), key=lambda pair: pair[0]):
        together = tuple(operation for _, operation in members)
        alike = tuple(map(id, together))
        if alike not in made:
            made[alike] = _plain_call(group, together)
        yield made[alike]


def _primitive_kernels(operation: Operation) -> int:
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


def _with_groups(operations: Iterable[Operation], groups: dict[str, str]) -> Iterable[tuple[str, Operation]]:
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


def _plain_call(name: str, operations: Sequence[Operation], kernels: int = 1) -> Call:
    work = sum((o.work for o in operations), Work()) + Work(activations=_activation_traffic(operations))
    collectives = tuple(o.collective for o in operations if o.collective is not None)
    stage = Stage(name, work, collectives, matrix=_matrix(operations))
    return Call(name, (Segment(1, (stage,)),), kernels)


def _matrix(operations: Iterable[Operation]) -> str:
    """Return which matrices the operations multiply by: routed experts, others, or none."""
    if any(o.work.experts for o in operations):
        return "experts"
    return "matrix" if any(o.work.weights and (o.kind in _MATRICES or o.fusion == "anchor") for o in operations) else ""


def _activation_traffic(operations: Sequence[Operation]) -> float:
    """Bytes in and out of a call per sequence: what one operation hands to the next stays on chip."""
    first = operations[0]
    traffic, handed_on = first.reads, first.writes
    for operation in operations[1:]:
        if operation.shares_input:
            handed_on += operation.writes
        else:
            traffic += max(operation.reads - handed_on, 0.0)
            handed_on = operation.writes
    return traffic + handed_on


def _stages(operations: Sequence[Operation]) -> tuple[Stage, ...]:
    if any(o.fusion for o in operations):
        # Activations of many positions are too large to stay on chip for sure: each stage moves its own, as a call
        # does.
        return tuple(
            _plain_call(name, members).segments[0].stages[0]
            for name, members in tuned_groups(operations, collectives_ride=True)
        )
    return tuple(
        Stage(
            group,
            sum((o.work for o in members), Work()),
            tuple(o.collective for o in members if o.collective is not None),
            _activation_traffic(members),
            _matrix(members),
        )
        for group, members in (
            (g, tuple(m)) for g, m in groupby(operations, key=lambda o: _STAGES.get(o.name) or o.name)
        )
    )


def _fused_call(name: str, operations: Sequence[Operation]) -> Call:
    """One call for all of `operations`; with a single stage it has no barrier inside and is a plain call."""
    stages = _stages(operations)
    return Call(name, (Segment(1, stages),), fused=True) if len(stages) > 1 else _plain_call(name, operations)


class FusedStep(msgspec.Struct, frozen=True):
    """The fused calls of a step in order.

    layers: the decoder layer of each, -1 outside; numbered through all stages of a pipeline.
    """

    calls: tuple[Call, ...]
    layers: tuple[int, ...]
    split: tuple[tuple[str, float], ...] = ()


def fused_step(step: Step, room: float | None = None) -> FusedStep:
    """Return the fused calls of a step, one a layer.

    A layer whose activations do not fit into `room` [B] on chip is split into its stages.
    """
    named = list(step.names) if step.names else ["decoder_layer"] * len(step.layers)
    fused: dict[tuple[Operation, ...], tuple[Call, ...]] = {}
    split: list[tuple[str, float]] = []
    for number, layer in enumerate(dict.fromkeys((*step.seen, *step.layers)), start=1):
        name = (
            named[step.layers.index(layer)]
            if step.names
            else "decoder_layer"
            if number == 1
            else f"decoder_layer_{number}"
        )
        call = _fused_call(name, layer)
        held = max(stage.held + stage.work.state for stage in call.segments[0].stages)
        fits = room is None or not call.fused or held <= room
        fused[layer] = (call,) if fits else _split_call(name, layer)
        split += [] if fits else [(name, held)]
    head = [o for o in step.after if _STAGES.get(o.name) != "sampling"]
    sampling = [o for o in step.after if _STAGES.get(o.name) == "sampling"]
    before = [_fused_call("embedding", step.before)] if step.before else []
    after = [
        _fused_call(name, operations)
        for name, operations in (("classifier" if sampling else "send", head), ("sampling", sampling))
        if operations
    ]
    inside = [
        (call, number) for number, layer in enumerate(step.layers, start=step.first_layer) for call in fused[layer]
    ]
    calls = (*before, *(call for call, _ in inside), *after)
    return FusedStep(
        calls, (-1,) * len(before) + tuple(number for _, number in inside) + (-1,) * len(after), tuple(split)
    )


def read_loop_only(given: str | None, stages: Sequence[Step]) -> LoopOnly | None:
    """Return what `--loop-only` names.

    Calls as `perfmodel loops` prints them, and ranges of layers such as 3-60; None for None.

    Raises UnknownNameError for a call that is not there, ValueRangeError for layers that are not.
    """
    if given is None:
        return None
    known = list(dict.fromkeys(call.name for stage in stages for call in fused_step(stage).calls))
    last = stages[-1].first_layer + len(stages[-1].layers) - 1
    names, layers = set(), []
    for part in (text.strip() for text in str(given).split(",")):
        ends = part.split("-") if "-" in part else [part, part]
        if part in known:
            names.add(part)
        elif len(ends) == 2 and all(end.isdecimal() and len(end) < 9 for end in ends):
            if not int(ends[0]) <= int(ends[1]) <= last:
                raise ValueRangeError(f"--loop-only: {shown(part)} is not a range of layers from 0 to {last}")
            layers.append((int(ends[0]), int(ends[1])))
        else:
            raise UnknownNameError(
                f"--loop-only: {shown(part)} is neither a call of this model nor a range of"
                f" layers{nearest(part, known)}; its calls are {', '.join(known)}"
            )
    return LoopOnly(frozenset(names), tuple(layers))


def _split_call(name: str, operations: Sequence[Operation]) -> tuple[Call, ...]:
    """One plain call for each stage of a layer."""
    fused = tuned_groups(operations, collectives_ride=True) if any(o.fusion for o in operations) else None
    groups = fused or [
        (group, tuple(members)) for group, members in groupby(operations, key=lambda o: _STAGES.get(o.name) or o.name)
    ]
    return tuple(
        msgspec.structs.replace(_plain_call(f"{name}.{group}", members), split=True) for group, members in groups
    )


def _layer_calls(
    step: Step, loops: bool, loop_at_most: int | None, only: LoopOnly | None, room: float | None
) -> Schedule:
    found = fused_step(step, room)
    if not loops:
        return Schedule(_counted(found.calls), split=found.split)
    calls: list[Call] = []
    runs = loop_runs(found, only)
    for run in runs:
        body = found.calls[run.start : run.start + run.body]
        if run.count == 1:
            calls += body
        else:
            stages = tuple(stage for call in body for segment in call.segments for stage in segment.stages)
            calls += [
                Call("+".join(call.name for call in body), (Segment(k, stages),), fused=True)
                for k in _pieces(run.count, loop_at_most)
            ]
    return Schedule(_counted(calls), _reported(runs, found), split=found.split)


def _one_call(step: Step, room: float | None) -> Schedule:
    """The whole step in one call: layers loop inside it, and prefetch crosses into the head. What is split cuts it."""
    found = fused_step(step, room)
    runs = loop_runs(found, None)
    calls: list[Call] = []
    for whole, stretch in groupby(runs, key=lambda run: not found.calls[run.start].split):
        if whole:
            calls.append(
                Call(
                    "step",
                    tuple(
                        Segment(
                            run.count,
                            tuple(
                                stage
                                for call in found.calls[run.start : run.start + run.body]
                                for segment in call.segments
                                for stage in segment.stages
                            ),
                        )
                        for run in stretch
                    ),
                    fused=True,
                )
            )
        else:
            calls += [call for run in stretch for call in found.calls[run.start : run.stop]]
    return Schedule(_counted(calls), _reported(runs, found), split=found.split)


def _pieces(count: int, at_most: int | None) -> list[int]:
    """Cut `count` iterations into calls of at most `at_most`."""
    if at_most is None or at_most >= count:
        return [count]
    full, rest = divmod(count, at_most)
    return [at_most] * full + ([rest] if rest else [])


def _reported(runs: Iterable[Run], found: FusedStep) -> tuple[Loop, ...]:
    return tuple(
        Loop(
            tuple(call.name for call in found.calls[run.start : run.start + run.body]),
            layer_range(run, found),
            run.count,
        )
        for run in runs
        if run.count > 1
    )


def layer_range(run: Run, found: FusedStep) -> str:
    """Return 'first-last' of the decoder layers of a run, '' where it has none."""
    layers = [number for number in found.layers[run.start : run.stop] if number >= 0]
    return f"{layers[0]}-{layers[-1]}" if layers else ""


def loop_runs(found: FusedStep, only: LoopOnly | None = None) -> list[Run]:
    """Return the runs of equal calls of a step, but for what is split and what `only` leaves out."""
    # Numbers compare faster than calls; what must stay alone has a number of its own.
    numbers: dict[Call, int] = {}
    signatures = [
        (
            -1 - i
            if call.split or (only is not None and not only.takes(call.name, layer))
            else numbers.setdefault(call, len(numbers))
        )
        for i, (call, layer) in enumerate(zip(found.calls, found.layers, strict=True))
    ]
    return find_loops(signatures)


def _counted(calls: Iterable[Call]) -> tuple[tuple[int, Call], ...]:
    same: dict[int, tuple[int, Call]] = {}  # the same object is looked up faster than an equal one
    for call in calls:
        same[id(call)] = (same[id(call)][0] + 1 if id(call) in same else 1, call)
    counts: dict[Call, int] = {}
    for count, call in same.values():
        counts[call] = counts.get(call, 0) + count
    return tuple((count, call) for call, count in counts.items())
