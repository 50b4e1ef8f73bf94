"""One entry of the catalogue as rows and documents: operations and loops of a model, values of a device."""

from collections.abc import Mapping
from typing import Any

from perfmodel.analysis.loopreports import LoopReport
from perfmodel.numbers.choices import added
from perfmodel.operations import Operation, active_parameter_count, parameter_count
from perfmodel.quoting import line
from perfmodel.report.text import Document, Table
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Quantity
from perfmodel.units import format_quantity


def operations_rows(times: Mapping[Operation, int]) -> list[dict[str, Any]]:
    """Return one row for each operation of a step; times: how often each runs."""
    return [
        {
            "name": o.name,
            "kind": o.kind,
            "times": count,
            "parameters": o.elements,
            "parameters_used": o.active,
            "bytes_read": float(o.work.bytes_read(1, 0)),
            "cache_bytes_per_token": float(added(c.bytes for c in o.work.caches)),
            "flops": float(o.work.flops),
            "flops_per_cached_token": float(added(c.flops for c in o.work.caches)),
        }
        for o, count in times.items()
    ]


def operations_document(found: Model, rows: list[dict[str, Any]]) -> Document:
    """Return the operations of one decode step of a model as a table."""
    cells = [
        (
            r["name"],
            str(r["times"]),
            f"{r['parameters']:,}",
            format_quantity(r["bytes_read"], "B"),
            format_quantity(r["flops"], "FLOP"),
            format_quantity(r["cache_bytes_per_token"], "B") if r["cache_bytes_per_token"] else "",
        )
        for r in rows
    ]
    head = (
        f"{line(found.title)} ({found.name}): {parameter_count(found):,} parameters, {active_parameter_count(found):,}"
        f" used by a token\nsource: {found.source}"
    )
    table = Table(
        ("operation", "times", "parameters", "bytes at batch 1", "FLOPs a token", "cache a token"),
        cells,
        frozenset({1, 2, 3, 4, 5}),
    )
    return Document([head, table, *(f"note: {note}" for note in found.notes)])


def checked_document(rows: list[dict[str, Any]], told: str) -> Document:
    """Return what was counted against what was published; told: how many were checked."""
    cells = [
        (
            r["name"],
            f"{r['parameters']:,}" if r["parameters"] else "",
            "" if r["difference"] is None else "exact" if r["difference"] == 0 else f"{r['difference']:+.3%}",
            r["fault"],
        )
        for r in rows
    ]
    return Document([told, Table(("name", "parameters", "against published", "fault"), cells, frozenset({1, 2}))])


def loops_rows(report: LoopReport) -> list[dict[str, Any]]:
    """Return one row for each body of a model's loops."""
    return [
        {"body": " ".join(part.calls), "count": part.count, "layers": part.layers, "reason": part.reason}
        for part in report.parts
    ]


def loops_document(report: LoopReport) -> Document:
    """Return the loops of a model, what stays outside and why, and what looping removes."""
    head = (
        f"{report.model}: {report.calls_engine:,} calls of ordinary kernels, {report.calls_fused} with one kernel a"
        f" layer, {report.calls_looped} looped, so that looping removes {report.calls_fused - report.calls_looped}"
    )
    cells = [(str(part.count), part.layers, _shortened(part.calls), part.reason) for part in report.parts]
    return Document([head, Table(("times", "layers", "body", "why"), cells, frozenset({0}))])


def device_rows(values: Mapping[str, Quantity]) -> list[dict[str, Any]]:
    """Return one row for each value of a device."""
    return [
        {
            "name": path,
            "value": q.value,
            "low": q.low,
            "high": q.high,
            "unit": q.unit,
            "kind": q.kind,
            "source": q.source,
            "note": q.note,
        }
        for path, q in values.items()
    ]


def device_document(device: Hardware, values: Mapping[str, Quantity], *, whole: bool) -> Document:
    """Return values of a device with interval, kind and numbered sources; whole: whether these are all it has."""
    sources = list(dict.fromkeys(q.source for q in values.values()))
    table = Table(
        ("key", "value (low to high)", "kind", "source"),
        [(path, str(q), q.kind, f"[{sources.index(q.source) + 1}]") for path, q in values.items()],
    )
    modes = Table(
        ("mode", "calls kernels as", "costs not given come from"),
        [(m.name, m.kernels, m.base or "") for m in device.modes.values()],
    )
    offered = device.algorithms
    by = (
        [f"collectives by {', '.join(offered.names)} ({offered.kind}: {offered.source})"]
        if whole and offered.names
        else []
    )
    return Document(
        [
            f"{line(device.title)} ({device.name}), before looping: {device.default_mode}",
            table,
            modes,
            *by,
            "\n".join(f"[{i}] {s}" for i, s in enumerate(sources, 1)),
        ]
    )


def _shortened(calls: tuple[str, ...]) -> str:
    """Return the calls of a body with equal neighbours counted."""
    from itertools import groupby

    return " + ".join(f"{n} x {name}" if (n := sum(1 for _ in group)) > 1 else name for name, group in groupby(calls))
