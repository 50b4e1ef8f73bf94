"""JSON Schemas of what the commands print with --json, made from the records that the answers are."""

import inspect
from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from perfmodel._layout import SCHEMA
from perfmodel.analysis.advice import Advice
from perfmodel.analysis.closedforms import Explanation
from perfmodel.analysis.conditional import ConditionReport
from perfmodel.analysis.sensitivities import Influence
from perfmodel.analysis.solver import Solution
from perfmodel.errors import UnknownNameError, nearest, shown
from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.requests import Request
from perfmodel.estimates.results import FIELDS
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.measurements.calibration import Calibration
from perfmodel.measurements.discrepancies import Gap
from perfmodel.measurements.validation import Errors
from perfmodel.report.columntables import TABLES
from perfmodel.report.pictures.curves import Curves
from perfmodel.report.pictures.fronts import Front
from perfmodel.report.pictures.lines import Lines
from perfmodel.report.pictures.maps import Map
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.pictures.requests import RequestBars
from perfmodel.report.pictures.rooflines import Roofline
from perfmodel.report.pictures.scatters import Validated
from perfmodel.report.pictures.sidebars import Bars
from perfmodel.report.pictures.tornados import Tornado
from perfmodel.report.pictures.waterfalls import Waterfall
from perfmodel.sweeps.choosing import Chosen
from perfmodel.sweeps.comparisons import Choice
from perfmodel.traces.priced import TracePricing
from perfmodel.traces.records import TraceSummary

Schema = dict[str, Any]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PICTURES: tuple[type[Picture], ...] = (
    Waterfall, Roofline, Curves, Map, Tornado, Validated, Lines, Bars, Front, RequestBars,
)  # fmt: skip


def _fields(record: type, *left_out: str) -> list[tuple[str, Any]]:
    return [(field.name, field.type) for field in msgspec.structs.fields(record) if field.name not in left_out]


def _returned(name: str) -> Any:
    """Return the type of a property of an estimate."""
    held = inspect.getattr_static(Estimate, name)
    getter: Any = held.fget if isinstance(held, property) else held.func
    return get_type_hints(getter)["return"]


_ANSWER = msgspec.defstruct("Answer", [(name, _returned(name)) for name in FIELDS])
_PRICED = msgspec.defstruct("Pricing", _fields(TracePricing, "profile"))
_WHAT_IF = msgspec.defstruct("WhatIf", [("change", str), ("answer", _ANSWER)])
_PAIR = msgspec.defstruct(
    "Pair",
    [
        ("slower", str),
        ("faster", str),
        ("modes", list[str]),
        ("measured", float),
        ("predicted", float),
        ("error", float),
    ],
)
# What a command prints: one object made of such fields, or a list of records.
_OBJECTS: dict[str, list[tuple[Any, ...]]] = {
    "estimate": _fields(_ANSWER),
    "request": _fields(Request, "answer"),
    "solve": [*_fields(Solution, "answer"), ("answer", _ANSWER)],
    "sensitivity": [
        ("figure", str),
        ("unit", str),
        ("value", float),
        ("low", float),
        ("high", float),
        ("measure_next", str | None),
        ("influences", list[Influence]),
        ("answer", _ANSWER),
    ],
    "explain": _fields(Explanation),
    "explain-gap": [*_fields(Gap, "estimate"), ("inside", bool)],
    "validate": [
        ("way", str),
        ("sources", list[Errors]),
        ("over_sources", Errors | None),
        ("over_rows", Errors | None),
        ("not_asked", dict[str, int]),
        ("rows", list[dict[str, Any]]),
        ("pairs", list[_PAIR] | msgspec.UnsetType, msgspec.UNSET),  # type: ignore[valid-type]
    ],
    "calibrate": _fields(Calibration),
    "conditional": _fields(ConditionReport),
    "trace": [*_fields(TraceSummary, "steps"), ("pricing", _PRICED | None)],
    "report": [
        ("answer", _ANSWER),
        ("formula", Explanation),
        ("what_ifs", list[_WHAT_IF]),  # type: ignore[valid-type]
        ("pictures", list[dict[str, Any]]),
    ],
}
_LISTS: dict[str, type] = {"compare": Choice, "choose": Chosen, "advise": Advice}
_ROWS = ("loops", *(f"{kind} {what}" for kind in ("models", "hardware") for what in ("list", "show", "check")))
COMMANDS = tuple(sorted((*_OBJECTS, *_LISTS, *_ROWS, "sweep", "plot")))
# What the JSON of a record has beside its fields, or lacks.
_ADDED: dict[str, Schema] = {
    "Discrepancy": {"inside": {"type": "boolean"}},
    "Fitted": {"identified": {"type": "boolean"}},
}
_LACKED = {"SideForm": ("latex",)}


def schema_of(command: str) -> Schema:
    """Return the JSON Schema of what `command` prints with --json; of a sweep, that of a line.

    Raises UnknownNameError for a command that prints none.
    """
    if command not in COMMANDS:
        raise UnknownNameError(
            f"schema: {shown(command)} prints no JSON{nearest(command, COMMANDS)}; these do: {', '.join(COMMANDS)}"
        )
    if command == "plot":
        found, parts = _described(_PICTURES)
        body: Schema = {"anyOf": [_versioned(parts.pop(one["$ref"].rpartition("/")[2])) for one in found]}
    elif command in _OBJECTS:
        _, parts = _described([msgspec.defstruct("Printed", _OBJECTS[command])])
        body = _versioned(parts.pop("Printed"))
    elif command in _LISTS:
        found, parts = _described([_LISTS[command]])
        body = {"type": "array", "items": found[0]}
    else:
        body, parts = _row(command), {}
        body = body if command == "sweep" else {"type": "array", "items": body}
    about = {"$schema": _DIALECT, "$id": _name(command), "title": f"perfmodel {command} --json", "version": SCHEMA}
    return about | body | ({"$defs": parts} if parts else {})


def every_schema() -> Schema:
    """Return one JSON Schema of what any command prints; those of the commands are in it."""
    return {
        "$schema": _DIALECT,
        "title": "perfmodel --json",
        "version": SCHEMA,
        "anyOf": [{"$ref": _name(command)} for command in COMMANDS],
        "$defs": {command: schema_of(command) for command in COMMANDS},
    }


def _name(command: str) -> str:
    return f"urn:perfmodel:{command.replace(' ', '-')}:{SCHEMA}"


def _described(types: Sequence[type]) -> tuple[list[Schema], dict[str, Schema]]:
    """Return the schemas of records, and those of the records inside them, as they are printed."""
    found, parts = msgspec.json.schema_components(types, schema_hook=_text, ref_template="#/$defs/{name}")
    for name, part in parts.items():
        if "description" in part:
            part["description"] = " ".join(part["description"].split()).replace("None", "null")
        if name == "Terms":
            part |= {"type": "object", "properties": {term: {"type": "number"} for term in TERM_NAMES}}
            part["required"] = list(TERM_NAMES)
            for key in ("prefixItems", "minItems", "maxItems", "items"):
                part.pop(key, None)
        if "properties" in part:
            part["properties"] |= _ADDED.get(name, {})
            for lacked in _LACKED.get(name, ()):
                del part["properties"][lacked]
            # All that is printed is there, null where it is unknown; parameters that are set are columns of a choice.
            optional = [key for key, held in part["properties"].items() if held == {} or key == "pairs"]
            part["required"] = [key for key in part["properties"] if key not in optional]
            part["additionalProperties"] = {"type": "number"} if name == "Choice" else False
        if name == "Choice":
            del part["properties"]["settings"]
            part["required"].remove("settings")
    return list(found), parts


def _text(kind: type) -> Schema:
    """Return the schema of a kind of text of our own."""
    if issubclass(kind, str):
        return {"type": "string"}
    raise NotImplementedError


def _versioned(printed: Schema) -> Schema:
    """Return the schema of an object that says its version."""
    properties = {"schema": {"type": "string", "const": SCHEMA}} | printed["properties"]
    required = ["schema", *(name for name in printed["required"] if name != "schema")]
    properties["schema"] = {"type": "string", "const": SCHEMA}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _row(command: str) -> Schema:
    """Return the schema of a flat row, from the table of its columns; what else a sweep has are parameters."""
    table = next(table for table in TABLES if command in table.commands)
    properties = {}
    for name, unit, meaning in table.rows():
        kinds = ["string", "boolean", "null"] if not unit else ["number", "null"]
        properties[name] = {
            "type": ["number", "null"] if unit.startswith("as ") else kinds,
            "description": meaning + (f" [{unit}]" if unit else ""),
        }
    open_ended = command == "sweep"
    return {
        "type": "object",
        "properties": properties,
        "required": [] if open_ended else list(properties),
        "additionalProperties": {"type": "number"} if open_ended else False,
    }
