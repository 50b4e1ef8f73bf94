"""The catalogue as rows and documents: models, their operations and loops, devices and their values."""

from collections.abc import Mapping, Sequence
from typing import Any

from perfmodel.analysis.loopreports import LoopReport
from perfmodel.numbers.choices import added
from perfmodel.operations import Operation, active_parameter_count, parameter_count
from perfmodel.operations.storing import formats_of
from perfmodel.report.text import Document, Table
from perfmodel.specifications.catalogue import find_hardware, find_model, names
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Quantity
from perfmodel.units import format_quantity


def models_rows(
    chosen: Sequence[str] | None = None, family: str = "", least: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Return one row for each model of the catalogue, parameters counted from their shapes.

    chosen: names of these only; family: '' for any; least: columns with the least number of them.
    """
    found: list[dict[str, Any]] = []
    for name in names("models") if chosen is None else chosen:
        model = find_model(name)
        if family not in ("", model.family):
            continue
        found.append(
            {
                "name": name,
                "title": model.title,
                "family": model.family,
                "parameters": parameter_count(model),
                "active": active_parameter_count(model),
                "layers": len(model.layers),
                "hidden": model.hidden,
                "weight_format": formats_of(model, None, None).weights,
                "source": model.source,
            }
        )
    return [row for row in found if all(row[column] >= number for column, number in (least or {}).items())]


def models_document(rows: list[dict[str, Any]]) -> Document:
    """Return the models of `models_rows` as a table."""
    cells = [
        (r["name"], f"{r['parameters']:,}", f"{r['active']:,}", str(r["layers"]), r["weight_format"]) for r in rows
    ]
    return Document(
        [
            Table(
                ("name", "parameters", "used by a token", "layers", "weights"),
                cells,
                frozenset({1, 2, 3}),
                spare=(3, 4, 2),
            )
        ]
    )


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
        f"{found.title} ({found.name}): {parameter_count(found):,} parameters, {active_parameter_count(found):,}"
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


def devices_rows(
    vendor: str, mode: str, sort: str, chosen: Sequence[str] | None = None, least: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Return one row for each device of a vendor and with a launch mode, '' for any, sorted by a column.

    chosen: names of these only; least: keys with the least value of them [base units], which a device must have.
    """
    found: list[dict[str, Any]] = []
    for name in names("hardware") if chosen is None else chosen:
        device = find_hardware(name)
        values = device.values
        if any(key not in values or values[key].value < number for key, number in (least or {}).items()):
            continue
        if vendor.lower() not in ("", device.vendor.lower()) or mode not in ("", *device.modes):
            continue
        bf16 = values.get("arithmetic.bf16") or values.get("arithmetic.fp16")
        found.append(
            {
                "name": name,
                "title": device.title,
                "vendor": device.vendor,
                "year": device.year,
                "status": device.status,
                "bandwidth": values["memory.bandwidth"].value,
                "capacity": values["memory.capacity"].value,
                "bf16": bf16.value if bf16 else None,
                "default_mode": device.default_mode,
                "modes": " ".join(device.modes),
            }
        )
    if sort in ("name", "vendor"):
        return sorted(found, key=lambda r: str(r[sort]))
    return sorted(found, key=lambda r: -(r[sort] or 0))


def devices_document(rows: list[dict[str, Any]]) -> Document:
    """Return the devices of `devices_rows` as a table."""
    cells = [
        (
            r["name"],
            r["vendor"],
            format_quantity(r["bandwidth"], "B/s"),
            format_quantity(r["capacity"], "B"),
            format_quantity(r["bf16"], "FLOP/s"),
            r["default_mode"],
        )
        for r in rows
    ]
    return Document(
        [
            Table(
                ("name", "vendor", "bandwidth", "capacity", "16-bit rate", "before"),
                cells,
                frozenset({2, 3, 4}),
                spare=(5, 1),
            )
        ]
    )


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
            f"{device.title} ({device.name}), before looping: {device.default_mode}",
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
