"""A recorded trace as a document.

Verdict, steps, kernels, gaps by cause, layers, what bounds the step, and what looping would bring.
"""

from typing import TYPE_CHECKING, Any

from perfmodel.quoting import line
from perfmodel.report.text import Document, Table
from perfmodel.traces.records import TraceSummary
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from perfmodel.traces.priced import TracePricing
from perfmodel.report.words import how_many, percent, ranged, ratio, shortened
from perfmodel.specifications.quantities import Interval

_CAUSES = {
    "kernel": "between kernels",
    "memory": "beside a copy or memset",
    "graph": "launch of a graph",
    "host": "the launch came late",
    "stall": "disturbance of the recording",
}
_TOP = 8


def trace_verdict(summary: TraceSummary, pricing: "TracePricing | None" = None) -> str:
    """Return the line that answers the question.

    What looping would gain, and what share of the step is gaps, short kernels and collectives.
    """
    shares = summary.shares
    if shares is None:
        return "The trace holds no time of a kernel."
    of = (
        f"gaps {_whole(shares.gaps + shares.host)}, short kernels {_whole(shares.short_kernels)}, collectives"
        f" {_whole(shares.collectives)}"
    )
    if shares.graphs and summary.step_time is not None:
        period = summary.step_period or summary.step_time
        return (
            f"{summary.steps_complete:,} steps of {_time(summary.step_time)}, {_whole(summary.busy / period)} busy;"
            " graphs were recorded whole: what looping would gain shows in a recording of their nodes (nsys profile"
            " --cuda-graph-trace=node)."
        )
    prize = summary.prize
    looped = (
        pricing.prediction("looped") or pricing.prediction("megakernel")
        if pricing is not None and pricing.plausible
        else None
    )
    if looped is not None:
        return f"Looping: {_gain(looped.speedup)}; {of}."
    if prize is None:
        return (
            f"Totals only, no gaps: short kernels {_whole(shares.short_kernels)}, collectives"
            f" {_whole(shares.collectives)}."
        )
    if not summary.layers:
        return f"No layer repeats: {of}."
    high = prize.bandwidth or prize.floors
    return f"Looping: {prize.gaps_only.speedup:.3g} to {high.speedup:.3g} x; {of}."


def trace_document(summary: TraceSummary, pricing: "TracePricing | None" = None) -> Document:
    """Return the report on a trace as a document whose first line is the verdict."""
    parts: list[str | Table] = [trace_verdict(summary, pricing), _head(summary)]
    facts = _facts(summary)
    if facts:
        parts.append(Table(("", ""), facts))
    if summary.gaps:
        parts.append(_gaps(summary))
    if summary.shares is not None:
        parts.append(_shares(summary))
    parts += [_layer_text(layer) for layer in summary.repeats]
    if summary.top:
        cells = [
            (shortened(one.name, 48), f"{one.count:,}", _time(one.total), _percent(one.share))
            for one in summary.top[:_TOP]
        ]
        parts.append(Table(("longest kernels", "calls", "time", "share"), cells, frozenset({1, 2, 3})))
    if summary.prize is not None:
        parts.append(_prize(summary))
    if pricing is not None:
        parts += _priced(pricing)
    notes = dict.fromkeys((*summary.notes, *(pricing.notes if pricing is not None else ())))
    parts += [f"note: {note}" for note in notes]
    return Document(parts)


def trace_loops(summary: TraceSummary) -> list[dict[str, Any]]:
    """Return the repeated layers of a trace as rows: body, count, layers, and why."""
    rows = []
    for layer in summary.repeats:
        reason = (
            "the same kernels again" if layer.matched > 0.999 else f"the same kernels but for {1 - layer.matched:.1%}"
        )
        rows.append(
            {
                "body": " ".join(layer.body),
                "count": layer.count,
                "layers": str(layer.layers),
                "reason": f"{reason}, {layer.kernels} in a body",
            }
        )
    return rows


def trace_loops_document(summary: TraceSummary) -> Document:
    """Return the repeated layers of a trace as a document."""
    inside = sum(layer.kernels * layer.count for layer in summary.repeats)
    if summary.kernels_per_step is None:
        head = "No step in a summary of totals: give a trace with times of day."
    else:
        outside = max(0, summary.kernels_per_step - inside)
        looped = f", {outside + len(summary.repeats):,} looped" if summary.repeats else ": no layer repeats"
        head = f"{summary.source.rpartition('/')[2]}: {summary.kernels_per_step:,} kernels a step{looped}"
    cells = [
        (str(row["count"]), row["layers"], f"{layer.events} events", row["reason"])
        for row, layer in zip(trace_loops(summary), summary.repeats, strict=True)
    ]
    parts: list[str | Table] = [head]
    if cells:
        parts.append(Table(("times", "layers", "body", "why"), cells, frozenset({0})))
        parts += [
            "\n".join(f"  {place:>3}  {line(name)}" for place, name in enumerate(layer.body, 1))
            for layer in summary.repeats
        ]
    return Document(parts)


def _head(summary: TraceSummary) -> str:
    device = f" on {line(summary.hardware)}" if summary.hardware else ""
    return f"{summary.source.rpartition('/')[2]}: {summary.format}{device}"


def _facts(summary: TraceSummary) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if summary.step_time is not None and summary.idle is not None:
        label = f", {shortened(summary.step_label, 32)}" if summary.step_label else ""
        spread = (
            f" ({_time(summary.shortest_step)} to {_time(summary.longest_step)})" if summary.steps_complete > 1 else ""
        )
        rows += [
            ("steps", f"{summary.steps_found:,} found, {summary.steps_complete:,} complete{label}"),
            ("time of a step", f"{_time(summary.step_time)}{spread}"),
            ("busy and idle", f"{_time(summary.busy)} and {_time(summary.idle)}"),
            ("kernels a step", f"{summary.kernels_per_step:,}, {_others(summary)}"),
        ]
        if summary.step_period is not None:
            rows.insert(2, ("from start to start", _time(summary.step_period)))
    else:
        rows.append(("time in kernels", f"{_time(summary.busy)} in {summary.calls:,} calls"))
    if summary.kernels_per_layer is not None:
        rows.append(("layers", f"{summary.layers} of {summary.kernels_per_layer:g} kernels each"))
    if summary.floor is not None:
        rows.append(
            ("floor of a kernel", f"{_time(summary.floor)}; kernels below {_time(summary.short_below)} count as short")
        )
    if summary.step_time is not None:
        below = f"below the {_time(summary.resolution)} of the stamps"
        rows.append(
            (
                "gap before a kernel",
                f"median {_time(summary.gap_median) or below}, 90 % up to {_time(summary.gap_90) or below}",
            )
        )
    if summary.overlap:
        rows.append(("run side by side", _time(summary.overlap)))
    rows.append(("bound by", summary.bound))
    return rows


def _others(summary: TraceSummary) -> str:
    """Return what a step holds beside kernels."""
    kinds = [] if summary.step is None else [kernel.kind for kernel in summary.steps[summary.step].kernels]
    graphs = kinds.count("graph")
    copies = kinds.count("copy") + kinds.count("set")
    whole = f", {graphs:,} graph{'s' if graphs > 1 else ''} recorded whole" if graphs else ""
    return f"{copies:,} copies and memsets{whole}"


def _gaps(summary: TraceSummary) -> Table:
    time = summary.step_time or 1.0
    cells = [
        (
            _CAUSES[gap.cause],
            f"{gap.count:,}",
            _time(gap.total),
            _percent(gap.total / time),
            _time(gap.median) or "unseen",
        )
        for gap in summary.gaps
    ]
    return Table(("idle before a kernel", "gaps", "time", "share", "median"), cells, frozenset({1, 2, 3, 4}))


def _shares(summary: TraceSummary) -> Table:
    time = summary.step_time or summary.busy
    parts = summary.to_dict()["shares"]
    cells = [(name.replace("_", " "), _time(share * time), _percent(share)) for name, share in parts.items() if share]
    return Table(("where the step goes", "time", "share"), cells, frozenset({1, 2}))


def _layer_text(layer: Any) -> str:
    times = f"{layer.count} times a body of {layer.events} events ({layer.kernels} kernels)"
    several = f", {layer.layers // layer.count} layers in each" if layer.layers > layer.count else ""
    every = f"; every {layer.every}. alike" if layer.every > 1 else ""
    odd = f"; {layer.odd} of another length" if layer.odd else ""
    return f"layer: {times}{several}, from event {layer.first}, {layer.matched:.1%} alike{every}{odd}".replace(
        "%", " %"
    )


def _prize(summary: TraceSummary) -> Table:
    prize = summary.prize
    assert prize is not None  # noqa: S101 (checked by the caller, for the types)
    cells = [
        (f"{prize.basis} step", _time(prize.reference), ""),
        ("without the gaps between kernels", _time(prize.gaps_only.time), f"{prize.gaps_only.speedup:.3g} x"),
        ("without the floor in each kernel too", _time(prize.floors.time), f"{prize.floors.speedup:.3g} x"),
    ]
    if prize.bandwidth is not None:
        cells.append(("bytes over bandwidth", _time(prize.bandwidth.time), f"{prize.bandwidth.speedup:.3g} x"))
    return Table(("what one kernel a step could win", "step", "gain"), cells, frozenset({1, 2}))


def _priced(pricing: "TracePricing") -> list[str | Table]:
    devices = how_many(pricing.devices, pricing.hardware)
    where = f"{pricing.model} on {devices}{pricing.hardware}, batch {pricing.batch:,}, context {pricing.context:,}"
    how = (
        f"weights {pricing.weight_format}, cache {pricing.kv_format}; recorded in mode {pricing.mode};"
        f" {pricing.modelled_calls:,} calls of {pricing.style} kernels stand for {pricing.recorded_kernels:,}"
    )
    priced = [
        ("streaming", _range(pricing.streaming)),
        ("boundary of a kernel", _range(pricing.boundary)),
        ("boundary of a modelled call", _range(pricing.call_boundary)),
        ("idle outside the kernels' gaps", _range(pricing.host)),
        *((("collectives", _time(pricing.collectives)),) if pricing.collectives else ()),
    ]
    shares = [(share.path, _range(share.recorded, "1"), _range(share.device, "1")) for share in pricing.shares]
    steps = [(f"{pricing.mode}, in the trace", f"{pricing.recorded_kernels:,}", _time(pricing.step), "")]
    against = pricing.predictions[-1].against if pricing.predictions else pricing.mode
    steps += [
        (
            p.mode,
            f"{p.kernel_calls:,}",
            _range(p.time),
            _gain(p.speedup) + (f" over {p.against}" if p.against != against else ""),
        )
        for p in pricing.predictions
    ]
    return [
        f"{where}\n{how}",
        Table(("priced at the model's bytes", "value (low to high)"), priced),
        Table(("sustained share", "in the trace", "of the device"), shares),
        Table(("mode", "calls", "step", f"gain over {against}"), steps, frozenset({1})),
        f"The same step as measured, with the software's constants: {_asked_as_measured(pricing)}",
    ]


def _asked_as_measured(pricing: "TracePricing") -> str:
    """Return the command that asks the recorded question with its step and its kernels as they were."""
    shared = f" --devices {pricing.devices}" if pricing.devices > 1 else ""
    return (
        f"perfmodel estimate {pricing.model} {pricing.hardware}{shared} --batch {pricing.batch}"
        f" --context {pricing.context} --weights {pricing.weight_format} --kv {pricing.kv_format}"
        f" --before {pricing.mode} --measured {pricing.step * 1e3:.4g}ms --calls {pricing.recorded_kernels}"
    )


def _range(found: "Interval", unit: str = "s") -> str:
    return ranged(*(format_quantity(x, unit, 3) for x in (found.value, found.low, found.high)))


def _gain(speedup: "Interval") -> str:
    return ratio(speedup.value, speedup.low, speedup.high, " x")


def _time(value: float | None) -> str:
    return format_quantity(value, "s")


def _percent(share: float) -> str:
    return percent(share, 1 if share < 0.0995 else 0)


def _whole(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else percent(share)
