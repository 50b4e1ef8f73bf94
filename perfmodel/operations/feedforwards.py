"""Feed-forward blocks: dense ones, and mixtures of experts."""

from collections.abc import Iterator

from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.builders import Operation, collective, elementwise, expert_matrix, for_tokens, matrix, norm
from perfmodel.operations.formats import Formats
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.model import Experts, FeedForward


def feed_forward_operations(
    block: FeedForward | Experts, hidden: int, formats: Formats, parallel: Parallel
) -> Iterator[Operation]:
    """Yield the operations of a feed-forward block on the fullest device, for the tokens that are there.

    All, or those of a data-parallel group.
    """
    if isinstance(block, FeedForward):
        yield from _dense(block, hidden, formats.within("dense"), parallel.stage_devices)
    else:
        yield from _experts(block, hidden, formats.within("other"), parallel)


def all_tokens_needed(block: FeedForward | Experts, parallel: Parallel) -> bool:
    """Return whether each device needs the tokens of all data-parallel groups for the block.

    It holds a part of every matrix.
    """
    return parallel.data > 1 and not (isinstance(block, Experts) and parallel.routed)


def _activation(name: str, width: int, formats: Formats, *, gated: bool, weights: int = 0) -> Operation:
    flops, inputs = (5.0, 2) if gated else (4.0, 1)
    return elementwise(name, "activation", width, formats, flops=flops, inputs=inputs, weights=weights)


def _dense(block: FeedForward, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    width = ceil_div(block.intermediate, devices)
    if block.shifts:
        from perfmodel.operations.linear import token_shift

        yield token_shift("channel_shift", block.shifts, hidden, formats)
    if block.gated:
        yield matrix("gate", width, hidden, formats, bias=block.bias)
    yield matrix("up", width, hidden, formats, bias=block.bias, shares_input=block.gated)
    if block.sparsified:
        # Mean, deviation, threshold and cut.
        yield elementwise("sparsify", "activation", width, formats, flops=6.0)
    yield _activation("activation", width, formats, gated=block.gated, weights=block.activation_weights)
    if block.inner_norm:
        yield norm("feed_forward_inner_norm", width, formats)
    yield matrix("down", hidden, width, formats, bias=block.bias)
    if block.receptance:
        yield matrix("channel_receptance", hidden, hidden, formats)
        yield elementwise("channel_gate", "activation", hidden, formats, flops=5.0, inputs=2)


def _experts(block: Experts, hidden: int, formats: Formats, parallel: Parallel) -> Iterator[Operation]:
    """Every expert is split over the devices of its group; the router is whole on each device.

    The shared expert is split over the devices that see the same tokens. Where tokens travel, each goes to every expert
    it chose and comes back, as in DeepEP (github.com/deepseek-ai/DeepEP); the devices of a group send a part of its
    tokens each.
    """
    groups = parallel.expert
    # Tokens of the whole step pass through the routed experts, those of one group through the rest.
    tokens = parallel.data if parallel.routed else 1
    width = ceil_div(block.intermediate, parallel.stage_devices // groups)
    shared = ceil_div(block.shared, parallel.tensor if parallel.routed else parallel.stage_devices)
    # Routed experts may work in a narrower space, between two projections that are whole on each device.
    inner = block.latent or hidden
    sent = block.chosen * (parallel.stage_devices // groups) * inner / parallel.tensor
    yield matrix("router", block.count + block.idle, hidden, formats, bias=block.router_bias)
    if block.router_scales:
        yield elementwise("router_scale", "norm", hidden, formats, flops=4.0, weights=hidden + block.count)
    yield elementwise("expert_choice", "expert_choice", block.count + block.idle, formats, flops=5.0)
    beside = formats.within("shared")
    which = {"experts": block.count, "chosen": block.chosen, "bias": block.bias, "groups": groups}
    if block.latent:
        yield matrix("latent_down", inner, hidden, beside, bias=block.shared_bias)
    if parallel.routed:
        yield collective("expert_dispatch", "all_to_all", sent, formats, parallel.stage_devices)
    if block.gated:
        yield for_tokens(expert_matrix("expert_gate", width, inner, formats, **which), tokens)  # type: ignore[arg-type]
    up = expert_matrix("expert_up", width, inner, formats, shares_input=block.gated, **which)  # type: ignore[arg-type]
    yield for_tokens(up, tokens)
    if shared:
        if block.gated:
            yield matrix("shared_gate", shared, hidden, beside, bias=block.shared_bias)
        yield matrix("shared_up", shared, hidden, beside, shares_input=True, bias=block.shared_bias)
    yield _activation("expert_activation", tokens * block.chosen * width // groups + shared, formats, gated=block.gated)
    yield for_tokens(expert_matrix("expert_down", inner, width, formats, **which), tokens)  # type: ignore[arg-type]
    if parallel.routed:
        yield collective("expert_combine", "all_to_all", sent, formats, parallel.stage_devices)
    if block.latent_norm:
        yield norm("latent_norm", inner, formats)
    if block.latent:
        yield matrix("latent_up", hidden, inner, beside, bias=block.shared_bias)
    if shared:
        yield matrix("shared_down", hidden, shared, beside, bias=block.shared_bias)
    if block.shared_gate:
        yield matrix("shared_scale", 1, hidden, beside)
    yield elementwise("expert_sum", "expert_sum", inner, formats, flops=2.0 * block.chosen, inputs=block.chosen)
