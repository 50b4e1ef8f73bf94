"""What other launch modes would make of a recorded step."""

from perfmodel.estimates.answers import Estimate
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.quantities import Interval
from perfmodel.traces.priced import Prediction
from perfmodel.traces.shares import Pricing
from perfmodel.traces.stacks import FUSED

_WHAT = {
    "graph": "the same kernels in a graph",
    "pdl": "dependent launch of the same kernels",
    "layer-fused": "one kernel a layer",
    "looped": "the layers as one looped kernel",
    "megakernel-generated": "the step as one generated kernel",
    "megakernel": "the step as one kernel",
}


def predictions_of(question: Pricing, fitted: Hardware, mode: str) -> tuple[Prediction, ...]:
    """Return the step in the other modes.

    What a graph brings is not counted as the gain of looping, so fused modes stand against the graph.
    """
    graph = "graph" if "graph" in fitted.modes else mode
    found = []
    for after in ("graph", "pdl", *FUSED):
        if after == mode or after not in fitted.modes:
            continue
        against = mode if after == "graph" else graph
        answer = question.ask(fitted, against, after)
        speedup = Interval(answer.speedup.low, answer.speedup.value, answer.speedup.high)
        found.append(
            Prediction(after, _WHAT[after], answer.after.kernel_calls, times_of(answer, "after"), speedup, against)
        )
    return tuple(found)


def times_of(answer: Estimate, side: str) -> Interval:
    """Return the time of a step of one side of an answer [s], `before` or `after`."""
    one = getattr(answer, side)
    return Interval(one.high.time_per_step, one.time_per_step, one.low.time_per_step)
