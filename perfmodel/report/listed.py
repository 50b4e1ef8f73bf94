"""The lists of models and devices as rows and documents, from the index of the catalogue where there is one of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from perfmodel.report.text import Document, Table
from perfmodel.specifications.indexes import index_of
from perfmodel.units import format_quantity


def listed(kind: str) -> list[dict[str, Any]]:
    """Return what is listed of each entry of the catalogue `kind`, hardware or models, with its aliases."""
    index = index_of(kind)
    return read_list(kind) if index is None else index.rows


def read_list(kind: str) -> list[dict[str, Any]]:
    """Return the rows of `listed` from the files themselves."""
    from perfmodel.specifications.catalogue import names

    return [_model(name) if kind == "models" else _device(name) for name in names(kind)]


def _model(name: str) -> dict[str, Any]:
    """Return what is listed of a model, parameters counted from its shapes."""
    from perfmodel.operations import active_parameter_count, parameter_count
    from perfmodel.operations.storing import formats_of
    from perfmodel.specifications.catalogue import find_model

    model = find_model(name)
    return {
        "name": name,
        "title": model.title,
        "family": model.family,
        "parameters": parameter_count(model),
        "active": active_parameter_count(model),
        "layers": len(model.layers),
        "hidden": model.hidden,
        "weight_format": formats_of(model, None, None).weights,
        "source": model.source,
        "aliases": list(model.aliases),
    }


def _device(name: str) -> dict[str, Any]:
    """Return what is listed of a device."""
    from perfmodel.specifications.catalogue import find_hardware

    device = find_hardware(name)
    values = device.values
    bf16 = values.get("arithmetic.bf16") or values.get("arithmetic.fp16")
    return {
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
        "aliases": list(device.aliases),
    }


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column != "aliases"}


def models_rows(
    chosen: Sequence[str] | None = None, family: str = "", least: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Return one row for each model of the catalogue, parameters counted from their shapes.

    chosen: names of these only; family: '' for any; least: columns with the least number of them.
    """
    return [
        _shown(row)
        for row in listed("models")
        if (chosen is None or row["name"] in chosen)
        and family in ("", row["family"])
        and all(row[column] >= number for column, number in (least or {}).items())
    ]


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


def devices_rows(
    vendor: str, mode: str, sort: str, chosen: Sequence[str] | None = None, least: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Return one row for each device of a vendor and with a launch mode, '' for any, sorted by a column.

    chosen: names of these only; least: keys with the least value of them [base units], which a device must have.
    """
    found = [
        _shown(row)
        for row in listed("hardware")
        if (chosen is None or row["name"] in chosen)
        and vendor.lower() in ("", row["vendor"].lower())
        and mode in ("", *row["modes"].split())
        and (not least or _has(row["name"], least))
    ]
    if sort in ("name", "vendor"):
        return sorted(found, key=lambda r: str(r[sort]))
    return sorted(found, key=lambda r: -(r[sort] or 0))


def _has(name: str, least: Mapping[str, float]) -> bool:
    """Return whether a device has at least these values; any of its keys may be asked, so its file is read."""
    from perfmodel.specifications.catalogue import find_hardware

    values = find_hardware(name).values
    return all(key in values and values[key].value >= number for key, number in least.items())


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
