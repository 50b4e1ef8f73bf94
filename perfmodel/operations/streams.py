"""What Gemma 3n has around its layers.

Several residual streams (AltUp), a low-rank residual (LAuReL), inputs of each layer's own.
"""

from collections.abc import Iterator

from perfmodel.operations.builders import Operation, elementwise, matrix, norm
from perfmodel.operations.compressed import depth_reading, hyper_head
from perfmodel.operations.formats import Formats
from perfmodel.specifications.model import DepthAttention, HyperConnections, Layer, Model, Streams


def input_operations(streams: Streams, hidden: int, layers: int, formats: Formats) -> Iterator[Operation]:
    """Yield what makes the streams and the inputs of all layers from the embedding."""
    yield from layer_inputs(streams.layer_input, hidden, layers, formats)
    yield matrix("stream_projection", hidden, hidden, formats, count=streams.count - 1)


def layer_inputs(width: int, hidden: int, layers: int, formats: Formats) -> Iterator[Operation]:
    """Yield what makes the inputs of all layers from the embedding, each `width` wide."""
    yield matrix("layer_input_projection", layers * width, hidden, formats)
    yield norm("layer_input_norm", width, formats, copies=layers)
    yield elementwise("layer_input_sum", "residual", layers * width, formats, flops=2.0, inputs=2)


def layer_input_operations(width: int, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield how a layer adds its own input, `width` wide, at its end."""
    yield matrix("layer_input_gate", width, hidden, formats)
    yield elementwise("layer_input_activation", "activation", width, formats, flops=5.0, inputs=2)
    yield matrix("layer_input_up", hidden, width, formats)
    yield norm("layer_input_output_norm", hidden, formats)
    yield elementwise("layer_input_residual", "residual", hidden, formats, flops=1.0, inputs=2)


def output_operations(streams: Streams, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield what makes one stream of all of them again."""
    yield matrix("stream_unprojection", hidden, hidden, formats, count=streams.count - 1)
    yield elementwise("stream_mean", "residual", hidden, formats, flops=float(streams.count), inputs=streams.count)


def prediction(streams: Streams, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield the prediction of the streams in front of a layer: a router over the active one gives the coefficients."""
    count = streams.count
    yield norm("stream_norm", hidden, formats)
    yield matrix("stream_router", count, hidden, formats)
    yield matrix("stream_coefficients", count * count, count, formats)
    yield elementwise("stream_prediction", "residual", count * hidden, formats, flops=2.0 * count)


def low_rank_residual(streams: Streams, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield the low-rank residual beside the mixer."""
    yield matrix("laurel_down", streams.rank, hidden, formats)
    yield matrix("laurel_up", hidden, streams.rank, formats)
    yield norm("laurel_norm", hidden, formats)
    yield elementwise("laurel_sum", "residual", hidden, formats, flops=2.0, inputs=2)


def correction(streams: Streams, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield the correction of the streams behind a layer, and its own input, which goes into all but the active one."""
    count, own = streams.count, streams.layer_input
    # The router runs once more; its few weights are those of the prediction.
    yield elementwise("stream_rerouting", "residual", hidden, formats, flops=4.0 + 2.0 * count)
    yield matrix("correction_coefficients", count, count, formats)
    yield elementwise("stream_correction", "residual", count * hidden, formats, flops=3.0, inputs=2)
    yield elementwise("stream_scale", "residual", hidden, formats, flops=1.0, weights=hidden)
    yield matrix("layer_input_gate", own, hidden, formats)
    yield elementwise("layer_input_activation", "activation", own, formats, flops=5.0, inputs=2)
    yield matrix("layer_input_up", hidden, own, formats)
    yield norm("layer_input_output_norm", hidden, formats)
    yield elementwise("layer_input_residual", "residual", (count - 1) * hidden, formats, flops=1.0, inputs=2)


def inputs_of(model: Model, formats: Formats) -> Iterator[Operation]:
    """Yield what makes several streams, or the inputs of all layers, from the embedding."""
    first = next((layer for layer in model.layers if isinstance(layer, Layer)), None)
    if first is not None and isinstance(first.streams, Streams):
        yield from input_operations(first.streams, model.hidden, len(model.layers), formats)
    elif first is not None and first.layer_input:
        yield from layer_inputs(first.layer_input, model.hidden, len(model.layers), formats)


def outputs_of(model: Model, formats: Formats) -> Iterator[Operation]:
    """Yield what makes one stream of several again."""
    streams = next((layer.streams for layer in model.layers if isinstance(layer, Layer)), None)
    if isinstance(streams, Streams):
        yield from output_operations(streams, model.hidden, formats)
    elif isinstance(streams, HyperConnections):
        yield from hyper_head(streams, model.hidden, formats)
    elif isinstance(streams, DepthAttention):
        yield from depth_reading("output", streams, model.hidden, formats)
