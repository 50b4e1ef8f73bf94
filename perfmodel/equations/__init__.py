"""Every formula of the model, once each, with its label, its units and its source.

The functions take floats, numpy arrays or sympy symbols (see `perfmodel.numbers.choices`) and know no file,
model or machine. Symbols and units are those of docs/symbols.md. Sources:
[1] "Kernel Looping: Eliminating Synchronization Boundaries for Peak Inference Performance",
    arXiv 2410.23668.  [2] Williams, Waterman, Patterson, "Roofline", doi 10.1145/1498765.1498785.
[3] Hockney, "The communication challenge for MPP", doi 10.1016/S0167-8191(06)80021-9 (alpha and beta
    of a message); ring and tree factors as in Thakur, Rabenseifner, Gropp, doi 10.1177/1094342005051521.
[4] github.com/NVIDIA/nccl src/graph/tuning.cc: a base latency, and one for each step of an algorithm.
[5] JCGM 100:2008, "Guide to the expression of uncertainty in measurement" (GUM).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfmodel.equations.calls import (
        call_boundary,
        host_bound_time,
        matrix_losses,
        pipeline_time,
        plain_call_time,
        planned_ahead_time,
        step_time,
    )
    from perfmodel.equations.conditional import (
        covered_probability,
        needed_probability,
        prebuilt_time,
        predicated_time,
        split_time,
    )
    from perfmodel.equations.drafting import (
        accepted_drafts,
        drafting_host_time,
        further_tokens,
        further_tokens_time,
        independent_tokens,
        taken_over,
        tokens_a_step,
    )
    from perfmodel.equations.exchanges import (
        collective_latency,
        collective_time,
        exposed_collective,
        group_bandwidth,
        in_network_traffic_factor,
        library_time,
        one_shot_traffic_factor,
        ring_hops,
        ring_traffic_factor,
        torus_hops,
        torus_traffic_factor,
        tree_hops,
    )
    from perfmodel.equations.experts import expected_distinct_experts, experts_read_again, fullest_device_experts
    from perfmodel.equations.hosts import crossings_time, divided_bandwidth, host_bandwidth
    from perfmodel.equations.looping import (
        Bytes,
        Waits,
        arithmetic_beyond_streaming,
        iteration_time,
        loop_time,
        on_chip_room,
        prefetch_room,
        prefetch_windows,
        spilled_bytes,
        waits_for_bytes,
    )
    from perfmodel.equations.prompts import (
        chunked_time,
        prompt_added,
        prompt_arithmetic_time,
        request_time,
        rows_of_an_expert,
        tokens_read,
        tokens_seen,
        unpacked_streaming,
        unpacking_time,
    )
    from perfmodel.equations.rates import fraction_of_peak, peak_time, speedup
    from perfmodel.equations.streaming import (
        arithmetic_time,
        few_tasks_limit,
        in_flight_limit,
        padded_flops,
        streaming_time,
        sustained_bandwidth,
    )

__all__ = [
    "Bytes",
    "Waits",
    "accepted_drafts",
    "arithmetic_beyond_streaming",
    "arithmetic_time",
    "call_boundary",
    "chunked_time",
    "collective_latency",
    "collective_time",
    "covered_probability",
    "crossings_time",
    "divided_bandwidth",
    "drafting_host_time",
    "expected_distinct_experts",
    "experts_read_again",
    "exposed_collective",
    "few_tasks_limit",
    "fraction_of_peak",
    "fullest_device_experts",
    "further_tokens",
    "further_tokens_time",
    "group_bandwidth",
    "host_bandwidth",
    "host_bound_time",
    "in_flight_limit",
    "in_network_traffic_factor",
    "independent_tokens",
    "iteration_time",
    "library_time",
    "loop_time",
    "matrix_losses",
    "needed_probability",
    "on_chip_room",
    "one_shot_traffic_factor",
    "padded_flops",
    "peak_time",
    "pipeline_time",
    "plain_call_time",
    "planned_ahead_time",
    "prebuilt_time",
    "predicated_time",
    "prefetch_room",
    "prefetch_windows",
    "prompt_added",
    "prompt_arithmetic_time",
    "request_time",
    "ring_hops",
    "ring_traffic_factor",
    "rows_of_an_expert",
    "speedup",
    "spilled_bytes",
    "split_time",
    "step_time",
    "streaming_time",
    "sustained_bandwidth",
    "taken_over",
    "tokens_a_step",
    "tokens_read",
    "tokens_seen",
    "torus_hops",
    "torus_traffic_factor",
    "tree_hops",
    "unpacked_streaming",
    "unpacking_time",
    "waits_for_bytes",
]

# The modules, those first that every question needs; the others load when one of their equations is asked for.
_TOPICS = (
    "calls",
    "streaming",
    "looping",
    "rates",
    "hosts",
    "exchanges",
    "experts",
    "drafting",
    "prompts",
    "conditional",
)


def __getattr__(name: str) -> Any:
    """Return the equation `name`."""
    if name in __all__:
        for topic in _TOPICS:
            held = vars(import_module(f"{__name__}.{topic}"))
            if name in held:
                globals()[name] = held[name]
                return held[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
