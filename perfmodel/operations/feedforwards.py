"""Feed-forward blocks: dense ones, and mixtures of experts."""

from collections.abc import Iterator

from perfmodel.generic import ceil_div
from perfmodel.model import Experts, FeedForward
from perfmodel.operations.builders import Formats, Operation, elementwise, expert_matrix, matrix


def feed_forward_operations(block: FeedForward | Experts, hidden: int, formats: Formats, devices: int, expert_groups: int = 1) -> Iterator[Operation]:
    """Yield the operations of a feed-forward block on the fullest of `devices`; routed experts spread over `expert_groups` of them."""
    if isinstance(block, FeedForward):
        yield from _dense(block, hidden, formats, devices)
    else:
        yield from _experts(block, hidden, formats, devices, expert_groups)


def _activation(name: str, width: int, formats: Formats, *, gated: bool) -> Operation:
    return elementwise(name, "activation", width, formats, flops=5.0 if gated else 4.0, inputs=2 if gated else 1)


def _dense(block: FeedForward, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    width = ceil_div(block.intermediate, devices)
    if block.gated:
        yield matrix("gate", width, hidden, formats, bias=block.bias)
    yield matrix("up", width, hidden, formats, bias=block.bias, shares_input=block.gated)
    yield _activation("activation", width, formats, gated=block.gated)
    yield matrix("down", hidden, width, formats, bias=block.bias)


def _experts(block: Experts, hidden: int, formats: Formats, devices: int, groups: int) -> Iterator[Operation]:
    """Every expert is split over the devices of its group; the router is whole on each, the shared expert split over all."""
    width, shared = ceil_div(block.intermediate, devices // groups), ceil_div(block.shared, devices)
    yield matrix("router", block.count, hidden, formats, bias=block.router_bias)
    yield elementwise("expert_choice", "expert_choice", block.count, formats, flops=5.0)
    which = {"experts": block.count, "chosen": block.chosen, "bias": block.bias, "groups": groups}
    if block.gated:
        yield expert_matrix("expert_gate", width, hidden, formats, **which)  # type: ignore[arg-type]
    yield expert_matrix("expert_up", width, hidden, formats, shares_input=block.gated, **which)  # type: ignore[arg-type]
    if shared:
        if block.gated:
            yield matrix("shared_gate", shared, hidden, formats)
        yield matrix("shared_up", shared, hidden, formats, shares_input=True)
    yield _activation("expert_activation", block.chosen * width // groups + shared, formats, gated=block.gated)
    yield expert_matrix("expert_down", hidden, width, formats, **which)  # type: ignore[arg-type]
    if shared:
        yield matrix("shared_down", hidden, shared, formats)
    if block.shared_gate:
        yield matrix("shared_scale", 1, hidden, formats)
    yield elementwise("expert_sum", "expert_sum", hidden, formats, flops=2.0 * block.chosen, inputs=block.chosen)
