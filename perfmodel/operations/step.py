"""A whole decode step: what precedes the layers, the layers, the head; and the counts taken from it."""

from collections.abc import Iterator
from itertools import groupby

import msgspec

from perfmodel.generic import ceil_div
from perfmodel.model import Layer, Model
from perfmodel.operations.builders import Formats, Operation, collective, elementwise, matrix, norm
from perfmodel.operations.feedforwards import feed_forward_operations
from perfmodel.operations.mixers import mixer_operations
from perfmodel.work import Work


class Step(msgspec.Struct, frozen=True):
    """All operations of a decode step in order: what precedes the layers, the layers, what follows them."""

    before: tuple[Operation, ...]
    layers: tuple[tuple[Operation, ...], ...]
    after: tuple[Operation, ...]

    def all_operations(self) -> Iterator[Operation]:
        """Yield every operation of the step in order."""
        yield from self.before
        for layer in self.layers:
            yield from layer
        yield from self.after


def decode_step(model: Model, formats: Formats, devices: int, replicates: tuple[str, ...] = (), expert_groups: int = 1) -> Step:
    """Return the operations of one decode step of `model`, tensor-parallel over `devices`.

    replicates: operations left whole on every device; only the head can be.
    expert_groups: groups of devices that routed experts are spread over, instead of splitting each expert [-].
    """
    layers = {layer: tuple(_layer(model, layer, formats, devices, expert_groups)) for layer in set(model.layers)}
    size = formats.activation_size()
    return Step(
        before=(Operation("embedding", "embedding", reads=model.hidden * size, writes=model.hidden * size),),
        layers=tuple(layers[layer] for layer in model.layers),
        after=tuple(_head(model, formats, 1 if "head" in replicates else devices)),
    )


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
    return embedding + model.other_parameters + sum(operation.elements for operation in _published(model).all_operations())


def active_parameter_count(model: Model) -> int:
    """Return the number of weights [-] one token uses: all but the experts it does not choose and the input embedding."""
    return sum(operation.active for operation in _published(model).all_operations())


def embedding_elements(model: Model) -> int:
    """Return the number of weights [-] in the input embedding table."""
    return model.vocabulary * model.hidden


def _published(model: Model) -> Step:
    return decode_step(model, Formats("bf16", "bf16", "bf16", "bf16", "bf16"), devices=1)


def _layer(model: Model, layer: Layer, formats: Formats, devices: int, expert_groups: int) -> Iterator[Operation]:
    if layer.parallel:
        yield from _parallel_layer(model, layer, formats, devices, expert_groups)
        return
    if layer.mixer is not None:
        mixer = list(mixer_operations(layer.mixer, model.hidden, formats, devices))
        yield from _block("mixer", mixer, model, layer, formats, devices)
    if layer.feed_forward is not None:
        block = list(feed_forward_operations(layer.feed_forward, model.hidden, formats, devices, expert_groups))
        yield from _block("feed_forward", block, model, layer, formats, devices)


def _block(name: str, operations: list[Operation], model: Model, layer: Layer, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield one block of a layer with its norms, its all-reduce and its residual addition."""
    if layer.norms in ("before", "both"):
        yield norm(f"{name}_norm", model.hidden, formats, elements=model.norm_elements)
    yield from operations
    if devices > 1:
        yield collective(f"{name}_all_reduce", "all_reduce", model.hidden, formats, devices)
    if layer.norms in ("after", "both"):
        yield norm(f"{name}_output_norm", model.hidden, formats, elements=model.norm_elements)
    yield elementwise(f"{name}_residual", "residual", model.hidden, formats, flops=1.0, inputs=2)


def _parallel_layer(model: Model, layer: Layer, formats: Formats, devices: int, expert_groups: int) -> Iterator[Operation]:
    """Both blocks from the same input: one all-reduce and one addition for the two."""
    yield norm("mixer_norm", model.hidden, formats, elements=model.norm_elements)
    if layer.parallel == "two-norms":
        yield norm("feed_forward_norm", model.hidden, formats, elements=model.norm_elements, shares_input=True)
    if layer.mixer is not None:
        yield from mixer_operations(layer.mixer, model.hidden, formats, devices)
    if layer.feed_forward is not None:
        yield from feed_forward_operations(layer.feed_forward, model.hidden, formats, devices, expert_groups)
    if devices > 1:
        yield collective("feed_forward_all_reduce", "all_reduce", model.hidden, formats, devices)
    yield elementwise("feed_forward_residual", "residual", model.hidden, formats, flops=2.0, inputs=3)


def _head(model: Model, formats: Formats, devices: int) -> Iterator[Operation]:
    size = formats.activation_size()
    if model.final_norm:
        yield norm("final_norm", model.hidden, formats, elements=model.norm_elements)
    yield matrix("head", ceil_div(model.vocabulary, devices), model.hidden, formats, kind="head", bias=model.head_bias)
    if devices > 1:
        yield collective("gather_logits", "all_gather", model.vocabulary, formats, devices)
    yield Operation("sampling", "sampling", Work(flops=float(model.vocabulary)), reads=model.vocabulary * size, writes=4.0)
