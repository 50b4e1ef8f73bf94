"""A whole decode step: what precedes the layers, the layers, the head; and the counts taken from it."""

from collections.abc import Iterator
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING

import msgspec

from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.builders import Operation, collective, elementwise, for_tokens, matrix, norm
from perfmodel.operations.compressed import depth_reading, hyper_reading, hyper_writing
from perfmodel.operations.feedforwards import all_tokens_needed, feed_forward_operations
from perfmodel.operations.formats import Formats, plain_formats
from perfmodel.operations.mixers import cross_attention_operations, mixer_operations
from perfmodel.operations.parallel import Parallel, over
from perfmodel.operations.streams import (
    correction,
    inputs_of,
    layer_input_operations,
    low_rank_residual,
    outputs_of,
    prediction,
)
from perfmodel.operations.work import Work
from perfmodel.specifications.model import DepthAttention, HyperConnections, Layer, Model, Streams

if TYPE_CHECKING:
    from perfmodel.specifications.primitives import Block


class Step(msgspec.Struct, frozen=True):
    """All operations of a decode step, or of a stage of it, in order.

    What precedes the layers, the layers from `first_layer`, what follows them.

    names: of the layers, where they have names of their own; a network of blocks has nothing before or after them.
    seen: the different layers of earlier stages.
    """

    before: tuple[Operation, ...]
    layers: tuple[tuple[Operation, ...], ...]
    after: tuple[Operation, ...]
    names: tuple[str, ...] = ()
    first_layer: int = 0
    seen: tuple[tuple[Operation, ...], ...] = ()

    def all_operations(self) -> Iterator[Operation]:
        """Yield every operation of the step in order."""
        yield from self.before
        for layer in self.layers:
            yield from layer
        yield from self.after


def decode_step(model: Model, formats: Formats, devices: int | Parallel, replicates: tuple[str, ...] = ()) -> Step:
    """Return the operations of one decode step of `model` on the fullest of `devices`.

    devices: how they share the work; a number is tensor parallelism over as many. Counts are per sequence of one
    data-parallel group (see `Parallel.sequences`), tokens that come from other groups included.
    replicates: operations left whole on every device; only the head can be.
    """
    parallel = over(devices)
    # Layers that are equal and stored alike are the same operations.
    pairs = [(layer, formats.in_layer(index)) for index, layer in enumerate(model.layers)]
    made = {pair: tuple(_layer(model, *pair, parallel)) for pair in dict.fromkeys(pairs)}
    layers = tuple(made[pair] for pair in pairs)
    size = formats.activation_size()
    if model.step:
        names = tuple(layer.name for layer in model.layers if not isinstance(layer, Layer))
        return Step((), layers, (), names)
    return Step(
        before=(
            Operation("embedding", "embedding", reads=model.hidden * size, writes=model.hidden * size),
            *inputs_of(model, formats),
            *_head_inputs(model, formats),
        ),
        layers=layers,
        after=(*outputs_of(model, formats), *_head(model, formats, 1 if "head" in replicates else parallel.tensor)),
    )


def pipeline_stages(step: Step, hidden: int, formats: Formats, stages: int, stage_devices: int = 1) -> tuple[Step, ...]:
    """Return `step` cut into pipeline stages, as even as the layers allow.

    All but the last send `hidden` activations on.

    What is left over goes to the stages before the last, which has the head, as vLLM cuts (vllm/distributed/utils.py).
    """
    if stages == 1:
        return (step,)
    send = collective("send", "send", hidden, formats, stages, stage_devices)
    found = []
    seen: dict[tuple[Operation, ...], None] = {}
    for start, stop in stage_layers(len(step.layers), stages):
        found.append(
            Step(
                step.before if start == 0 else (),
                step.layers[start:stop],
                step.after if stop == len(step.layers) else (send,),
                first_layer=start,
                seen=tuple(seen),
            )
        )
        seen |= dict.fromkeys(step.layers[start:stop])
    return tuple(found)


def stage_layers(layers: int, stages: int) -> list[tuple[int, int]]:
    """Return the first layer of each pipeline stage and the one after its last.

    >>> stage_layers(32, 3)
    [(0, 11), (11, 22), (22, 32)]
    """
    each, rest = divmod(layers, stages)
    sizes = [each + (stages - 1 - rest <= stage < stages - 1) for stage in range(stages)]
    return list(pairwise(accumulate(sizes, initial=0)))


def total_work(step: Step) -> Work:
    """Return the sum of all work of a step, activations as each operation alone would move them."""
    total = Work()
    for operations, repeats in groupby([step.before, *step.layers, step.after]):
        one = sum((operation.work for operation in operations), Work())
        total = total + one.times(sum(1 for _ in repeats))
    return total


def parameter_count(model: Model) -> int:
    """Return the number of weights [-] of `model`, exact from its shapes: embedding, layers, norms, head."""
    # A tied table is one with the head, which stands among the operations.
    embedding = 0 if model.tied else embedding_elements(model)
    return (
        embedding + model.other_parameters + sum(operation.elements for operation in _published(model).all_operations())
    )


def active_parameter_count(model: Model) -> int:
    """Return the number of weights [-] one token uses.

    All but the experts it does not choose and the input embedding.
    """
    return sum(operation.active for operation in _published(model).all_operations())


def embedding_elements(model: Model) -> int:
    """Return the number of weights [-] in the input embedding table."""
    return model.vocabulary * model.hidden


def _published(model: Model) -> Step:
    return decode_step(model, plain_formats("bf16"), devices=1)


def _layer(model: Model, layer: "Layer | Block", formats: Formats, parallel: Parallel) -> Iterator[Operation]:
    if not isinstance(layer, Layer):
        from perfmodel.operations.networks import block_operations

        yield from block_operations(layer, formats, parallel.tensor)
        return
    if layer.parallel:
        yield from _parallel_layer(model, layer, formats, parallel)
        return
    if isinstance(layer.streams, Streams):
        yield from prediction(layer.streams, model.hidden, formats)
    if layer.mixer is not None:
        yield from _normed("mixer", model, layer, formats, _mixers(model, layer, formats, parallel))
        yield from _joined("mixer", model.hidden, formats, parallel.tensor)
        yield from _added("mixer", model, layer, formats)
    if layer.crossing is not None:
        crossing = cross_attention_operations(layer.crossing, model.hidden, formats, parallel.tensor)
        yield from _normed("crossing", model, layer, formats, crossing)
        yield from _joined("crossing", model.hidden, formats, parallel.tensor)
        yield from _added("crossing", model, layer, formats)
    if isinstance(layer.streams, Streams):
        yield from low_rank_residual(layer.streams, model.hidden, formats)
    if layer.feed_forward is not None:
        block = _feed_forward(model, layer, formats, parallel)
        if all_tokens_needed(layer.mixture or layer.feed_forward, parallel):
            yield from _gathered(model.hidden, formats, parallel, _normed("feed_forward", model, layer, formats, block))
        else:
            yield from _normed("feed_forward", model, layer, formats, block)
            yield from _joined("feed_forward", model.hidden, formats, parallel.tensor)
        yield from _added("feed_forward", model, layer, formats)
    if isinstance(layer.streams, Streams):
        yield from correction(layer.streams, model.hidden, formats)
    if layer.layer_input:
        yield from layer_input_operations(layer.layer_input, model.hidden, formats)
    if layer.scaled:
        yield elementwise("layer_scale", "residual", model.hidden, formats, flops=1.0, weights=1)


def _mixers(model: Model, layer: Layer, formats: Formats, parallel: Parallel) -> Iterator[Operation]:
    """Yield the mixer of a layer, and the one beside it."""
    if layer.mixer is not None:
        yield from mixer_operations(layer.mixer, model.hidden, formats, parallel.tensor)
    if layer.beside is not None:
        yield from mixer_operations(layer.beside, model.hidden, formats, parallel.tensor)
        yield elementwise("mixers_sum", "residual", model.hidden, formats, flops=1.0, inputs=2)


def _feed_forward(model: Model, layer: Layer, formats: Formats, parallel: Parallel) -> Iterator[Operation]:
    """Yield the feed-forward block of a layer, and the experts beside it between norms of their own."""
    if layer.feed_forward is None:
        return
    yield from feed_forward_operations(layer.feed_forward, model.hidden, formats, parallel)
    if layer.mixture is not None:
        yield norm("dense_output_norm", model.hidden, formats, elements=model.norm_elements)
        yield norm("experts_norm", model.hidden, formats, elements=model.norm_elements)
        yield from feed_forward_operations(layer.mixture, model.hidden, formats, parallel)
        yield norm("experts_output_norm", model.hidden, formats, elements=model.norm_elements)
        yield elementwise("feed_forward_sum", "residual", model.hidden, formats, flops=1.0, inputs=2)


def _normed(
    name: str, model: Model, layer: Layer, formats: Formats, operations: Iterator[Operation]
) -> Iterator[Operation]:
    """Yield a block with the norm in front of it."""
    if isinstance(layer.streams, HyperConnections):
        yield from hyper_reading(name, layer.streams, model.hidden, formats)
    elif isinstance(layer.streams, DepthAttention):
        yield from depth_reading(name, layer.streams, model.hidden, formats)
    if layer.norms in ("before", "both"):
        yield norm(f"{name}_norm", model.hidden, formats, elements=model.norm_elements)
    yield from operations


def _joined(name: str, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield the all-reduce that adds what the devices computed of a block."""
    if devices > 1:
        yield collective(f"{name}_all_reduce", "all_reduce", hidden, formats, devices)


def _added(name: str, model: Model, layer: Layer, formats: Formats) -> Iterator[Operation]:
    """Yield the norm behind a block and its residual addition."""
    if layer.norms in ("after", "both"):
        yield norm(f"{name}_output_norm", model.hidden, formats, elements=model.norm_elements)
    if isinstance(layer.streams, HyperConnections):
        yield hyper_writing(name, layer.streams, model.hidden, formats)
    elif name == "crossing" and layer.crossing is not None:
        gates = layer.crossing.gates
        yield elementwise("crossing_residual", "residual", model.hidden, formats, flops=1.0, inputs=2, weights=gates)
    else:
        yield elementwise(f"{name}_residual", "residual", model.hidden, formats, flops=1.0, inputs=2)


def _gathered(
    hidden: int, formats: Formats, parallel: Parallel, operations: Iterator[Operation]
) -> Iterator[Operation]:
    """Yield a feed-forward block that is split over all data-parallel groups.

    It sees the tokens of all, and each group gets its own back.
    """
    yield collective(
        "feed_forward_all_gather", "all_gather", parallel.data * hidden, formats, parallel.data, parallel.tensor
    )
    for operation in operations:
        yield for_tokens(operation, parallel.data)
    yield collective(
        "feed_forward_reduce_scatter", "reduce_scatter", parallel.data * hidden, formats, parallel.stage_devices
    )
    if parallel.tensor > 1:
        yield collective("feed_forward_tensor_gather", "all_gather", hidden, formats, parallel.tensor)


def _parallel_layer(model: Model, layer: Layer, formats: Formats, parallel: Parallel) -> Iterator[Operation]:
    """Both blocks from the same input.

    One addition for the two, and one all-reduce where the same devices share both.
    """
    yield norm("mixer_norm", model.hidden, formats, elements=model.norm_elements)
    if layer.parallel == "two-norms":
        yield norm("feed_forward_norm", model.hidden, formats, elements=model.norm_elements, shares_input=True)
    if layer.mixer is not None:
        yield from mixer_operations(layer.mixer, model.hidden, formats, parallel.tensor)
    apart = layer.feed_forward is not None and all_tokens_needed(layer.feed_forward, parallel)
    if layer.feed_forward is not None:
        block = feed_forward_operations(layer.feed_forward, model.hidden, formats, parallel)
        yield from _gathered(model.hidden, formats, parallel, block) if apart else block
    yield from _joined("mixer" if apart else "feed_forward", model.hidden, formats, parallel.tensor)
    yield elementwise("feed_forward_residual", "residual", model.hidden, formats, flops=2.0, inputs=3)


def _head_inputs(model: Model, formats: Formats) -> Iterator[Operation]:
    """Yield what a draft head makes of hidden states of its target and a word's embedding, before its layers."""
    if model.joined:
        yield matrix("draft_projection", model.hidden, model.joined, formats, bias=model.joined_bias)
    if model.head == "eagle3":
        yield norm("draft_norm", model.hidden, formats)


def _head(model: Model, formats: Formats, devices: int) -> Iterator[Operation]:
    size = formats.activation_size()
    if model.final_norm:
        yield norm("final_norm", model.hidden, formats, elements=model.norm_elements)
    yield matrix("head", ceil_div(model.vocabulary, devices), model.hidden, formats, kind="head", bias=model.head_bias)
    if devices > 1:
        yield collective("gather_logits", "all_gather", model.vocabulary, formats, devices)
    yield Operation(
        "sampling", "sampling", Work(flops=float(model.vocabulary)), reads=model.vocabulary * size, writes=4.0
    )
