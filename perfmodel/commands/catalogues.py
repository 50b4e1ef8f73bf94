"""The commands about models, devices and loops: list, show, check, import."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands import completing
from perfmodel.commands.shared import (
    Columns,
    CommandFlag,
    CsvFlag,
    Hardware,
    JsonFlag,
    LoopAtMost,
    LoopOnly,
    Model,
    Output,
    Parallel,
    SharedDevices,
    Weights,
    deliver_list,
    show,
    whole,
)
from perfmodel.commands.tracing import is_trace, trace_loops_command
from perfmodel.errors import UnknownNameError, nearest, shown

if TYPE_CHECKING:
    from perfmodel.operations.parallel import Parallel as Shared
    from perfmodel.report.text import Document
    from perfmodel.specifications.model import Model as SpecifiedModel

models_app = typer.Typer(no_args_is_help=True, help="The models in the catalogue, and what a model file holds.")
hardware_app = typer.Typer(no_args_is_help=True, help="The devices in the catalogue, and what a hardware file holds.")
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Names or files; the whole catalogue if none is given.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.add_typer(models_app, name="models")
    app.add_typer(hardware_app, name="hardware")
    app.command("loops", epilog="Example: perfmodel loops gemma-3-27b")(loops)


@models_app.command("list", epilog="Example: perfmodel models list --json")
def models_list(
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """The models in the catalogue, with parameters counted from their shapes."""
    from perfmodel.operations import active_parameter_count, parameter_count
    from perfmodel.specifications.catalogue import find_model, names

    def rows() -> list[dict[str, Any]]:
        found = []
        for name in names("models"):
            model = find_model(name)
            found.append(
                {
                    "name": name,
                    "title": model.title,
                    "family": model.family,
                    "parameters": parameter_count(model),
                    "active": active_parameter_count(model),
                    "layers": len(model.layers),
                    "hidden": model.hidden,
                    "weight_format": model.expert_format or model.weight_format,
                    "source": model.source,
                }
            )
        return found

    def document() -> "Document":
        from perfmodel.report.text import Document, Table

        cells = [
            (r["name"], f"{r['parameters']:,}", f"{r['active']:,}", str(r["layers"]), r["weight_format"])
            for r in rows()
        ]
        return Document(
            [Table(("name", "parameters", "used by a token", "layers", "weights"), cells, frozenset({1, 2, 3}))]
        )

    deliver_list(rows, document, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command)


@models_app.command("show", epilog="Example: perfmodel models show deepseek-v3 --weights fp8")
def models_show(
    model: Model,
    devices: SharedDevices = None,
    parallel: Parallel = None,
    weights: Weights = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """The operations of one decode step: parameters, bytes and FLOPs of each, and how often it runs."""
    from perfmodel.estimates.answers import formats_of
    from perfmodel.operations import active_parameter_count, decode_step, parameter_count
    from perfmodel.specifications.catalogue import find_model

    found = find_model(model)
    step = decode_step(found, formats_of(found, weights, None), _shared(found, devices, parallel))
    times: dict[Any, int] = {}
    for operation in step.all_operations():
        times[operation] = times.get(operation, 0) + 1

    def rows() -> list[dict[str, Any]]:
        return [
            {
                "name": o.name,
                "kind": o.kind,
                "times": count,
                "parameters": o.elements,
                "parameters_used": o.active,
                "bytes_read": float(o.work.bytes_read(1, 0)),
                "cache_bytes_per_token": float(sum(c.bytes for c in o.work.caches)),
                "flops": float(o.work.flops),
                "flops_per_cached_token": float(sum(c.flops for c in o.work.caches)),
            }
            for o, count in times.items()
        ]

    def document() -> "Document":
        from perfmodel.report.text import Document, Table
        from perfmodel.units import format_quantity

        cells = [
            (
                r["name"],
                str(r["times"]),
                f"{r['parameters']:,}",
                format_quantity(r["bytes_read"], "B"),
                format_quantity(r["flops"], "FLOP"),
                format_quantity(r["cache_bytes_per_token"], "B") if r["cache_bytes_per_token"] else "",
            )
            for r in rows()
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

    deliver_list(rows, document, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command)


@models_app.command("check", epilog="Example: perfmodel models check ./config.json")
def models_check(
    names: Names = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """Read models, count their parameters and compare with what was published; exit 1 on a fault."""
    from perfmodel.errors import PerfModelError
    from perfmodel.operations import parameter_count
    from perfmodel.specifications.catalogue import find_model
    from perfmodel.specifications.catalogue import names as catalogue_names

    found: list[dict[str, Any]] = []
    for name in names or catalogue_names("models"):
        try:
            model = find_model(name)
            count, published = parameter_count(model), model.published_parameters
            off = None if published is None else count / published - 1
            fault = f"{off:+.2%} from the published count" if off is not None and abs(off) > 0.005 else ""
            found.append({"name": name, "parameters": count, "published": published, "difference": off, "fault": fault})
        except PerfModelError as error:
            found.append({"name": name, "parameters": None, "published": None, "difference": None, "fault": str(error)})

    def document() -> "Document":
        from perfmodel.report.text import Document, Table

        cells = [
            (
                r["name"],
                f"{r['parameters']:,}" if r["parameters"] else "",
                "" if r["difference"] is None else "exact" if r["difference"] == 0 else f"{r['difference']:+.3%}",
                r["fault"],
            )
            for r in found
        ]
        return Document(
            [
                _tally(len(found), sum(bool(r["fault"]) for r in found), "model"),
                Table(("name", "parameters", "against published", "fault"), cells, frozenset({1, 2})),
            ]
        )

    deliver_list(
        lambda: found, document, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command
    )
    if any(r["fault"] for r in found):
        raise typer.Exit(1)


@models_app.command("import", epilog="Example: perfmodel models import ./config.json -o my-model.toml")
def models_import(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A Hugging Face config.json, or the folder that holds it.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model; that of the folder if not given.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE.toml", help="Write to FILE.toml, whole or not at all.")
    ] = None,
) -> None:
    """Turn a config.json into a model file of ours that says where it came from."""
    import hashlib

    from perfmodel.report.files.whole import write_whole
    from perfmodel.specifications.files import read_bytes, read_json_object
    from perfmodel.specifications.modelfiles import model_toml

    path = Path(file) / "config.json" if Path(file).is_dir() else Path(file)
    digest = hashlib.sha256(read_bytes(path)).hexdigest()
    text = model_toml(
        read_json_object(path), name=name or path.resolve().parent.name, source=f"{path.name}, SHA-256 {digest}"
    )
    if output is None:
        show(text)
    else:
        write_whole(Path(output), text)


@hardware_app.command("list", epilog="Example: perfmodel hardware list --vendor AMD --sort bandwidth")
def hardware_list(
    vendor: Annotated[str | None, typer.Option("--vendor", help="Only devices of this vendor.")] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", autocompletion=completing.modes, help="Only devices that have this launch mode."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="Sort by name, vendor, year, bandwidth, capacity or bf16; numbers largest first.",
        ),
    ] = "name",
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """The devices in the catalogue."""
    from perfmodel.specifications.catalogue import find_hardware, names
    from perfmodel.specifications.parameters import MODES

    sortable = ("name", "vendor", "year", "bandwidth", "capacity", "bf16")
    if sort not in sortable:
        raise UnknownNameError(f"--sort: {shown(sort)} is not one of {', '.join(sortable)}{nearest(sort, sortable)}")
    if mode is not None and mode not in MODES:
        raise UnknownNameError(
            f"--mode: {shown(mode)} is not a launch mode{nearest(mode, MODES)}; known are {', '.join(MODES)}"
        )
    vendors = sorted({find_hardware(name).vendor for name in names("hardware")}) if vendor is not None else []
    if vendor is not None and vendor.lower() not in [known.lower() for known in vendors]:
        raise UnknownNameError(
            f"--vendor: no device is of {shown(vendor)}{nearest(vendor, vendors)}; known are {', '.join(vendors)}"
        )

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name in names("hardware"):
            device = find_hardware(name)
            values = device.values
            if (vendor is not None and device.vendor.lower() != vendor.lower()) or (
                mode is not None and mode not in device.modes
            ):
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

    def document() -> "Document":
        from perfmodel.report.text import Document, Table
        from perfmodel.units import format_quantity

        cells = [
            (
                r["name"],
                r["vendor"],
                format_quantity(r["bandwidth"], "B/s"),
                format_quantity(r["capacity"], "B"),
                format_quantity(r["bf16"], "FLOP/s"),
                r["default_mode"],
            )
            for r in rows()
        ]
        return Document(
            [Table(("name", "vendor", "bandwidth", "capacity", "16-bit rate", "before"), cells, frozenset({2, 3, 4}))]
        )

    deliver_list(rows, document, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command)


@hardware_app.command("show", epilog="Example: perfmodel hardware show h100-sxm")
def hardware_show(
    hardware: Hardware,
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="One value by its key, such as arithmetic.fp8.")
    ] = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """Every value of a device with its interval, kind and source."""
    from perfmodel.specifications.catalogue import find_hardware

    device = find_hardware(hardware)
    if key is not None and key not in device.values:
        raise UnknownNameError(
            f"{device.name} has no {key}: what no source gives is left out{nearest(key, device.values)}"
        )
    values = device.values if key is None else {key: device.values[key]}

    def rows() -> list[dict[str, Any]]:
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

    def document() -> "Document":
        from perfmodel.report.text import Document, Table

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
            if key is None and offered.names
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

    deliver_list(rows, document, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command)


@hardware_app.command("check", epilog="Example: perfmodel hardware check ./mine.toml")
def hardware_check(
    names: Names = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """Check devices against their own arithmetic: clocks, units, tiers, links, modes; exit 1 on an error."""
    from perfmodel.errors import PerfModelError
    from perfmodel.specifications.catalogue import find_hardware
    from perfmodel.specifications.catalogue import names as catalogue_names
    from perfmodel.specifications.checks import check_hardware

    asked = names or catalogue_names("hardware")
    found: list[dict[str, Any]] = []
    for name in asked:
        try:
            found += [
                {"name": f.hardware, "key": f.key, "severity": f.severity, "message": f.message}
                for f in check_hardware(find_hardware(name))
            ]
        except PerfModelError as error:
            found.append({"name": name, "key": "", "severity": "error", "message": str(error)})
    errors = sum(f["severity"] == "error" for f in found)

    def document() -> "Document":
        from perfmodel.report.text import Document, Table

        head = f"{_tally(len(asked), errors, 'device')}, {len(found) - errors} doubts"
        if not found:
            return Document([head])
        return Document(
            [
                head,
                Table(("name", "key", "", "what"), [(f["name"], f["key"], f["severity"], f["message"]) for f in found]),
            ]
        )

    deliver_list(
        lambda: found, document, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command
    )
    if errors:
        raise typer.Exit(1)


def loops(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|TRACE",
            autocompletion=completing.models,
            help="Catalogue name, model TOML, Hugging Face config.json or its folder; or a recorded profile.",
        ),
    ],
    devices: SharedDevices = None,
    parallel: Parallel = None,
    loop_at_most: LoopAtMost = None,
    loop_only: LoopOnly = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """The loops of MODEL, or of a recorded TRACE.

    Bodies, counts, what stays outside and why, and what looping removes.
    """
    if is_trace(model):
        trace_loops_command(model, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command)
        return
    from perfmodel.analysis.loopreports import loop_report
    from perfmodel.specifications.catalogue import find_model

    at_most = whole(loop_at_most, "--loop-at-most", 1, 10**6) if loop_at_most is not None else None
    found = find_model(model)
    report = loop_report(found, devices=_shared(found, devices, parallel), loop_at_most=at_most, loop_only=loop_only)

    def rows() -> list[dict[str, Any]]:
        return [
            {"body": " ".join(part.calls), "count": part.count, "layers": part.layers, "reason": part.reason}
            for part in report.parts
        ]

    def document() -> "Document":
        from perfmodel.report.text import Document, Table

        head = (
            f"{report.model}: {report.calls_engine:,} calls of ordinary kernels, {report.calls_fused} with one kernel a"
            f" layer, {report.calls_looped} looped, so that looping removes {report.calls_fused - report.calls_looped}"
        )
        cells = [(str(part.count), part.layers, _shortened(part.calls), part.reason) for part in report.parts]
        return Document([head, Table(("times", "layers", "body", "why"), cells, frozenset({0}))])

    deliver_list(rows, document, as_json=as_json, as_csv=as_csv, output=output, columns=columns, command=command)


def _shared(model: "SpecifiedModel", devices: str | None, parallel: str | None) -> "int | Shared":
    """Return how `--devices` and `--parallel` share the work."""
    from perfmodel.estimates.answers import MOST_DEVICES, read_parallel

    number = whole(devices, "--devices", 1, MOST_DEVICES) if devices is not None else None
    return read_parallel(parallel, model, number) or number or 1


def _shortened(calls: tuple[str, ...]) -> str:
    """Return the calls of a body with equal neighbours counted."""
    from itertools import groupby

    return " + ".join(f"{n} x {name}" if (n := sum(1 for _ in group)) > 1 else name for name, group in groupby(calls))


def _tally(checked: int, faults: int, what: str) -> str:
    return f"{checked} {what}{'s' if checked != 1 else ''} checked, {faults} fault{'s' if faults != 1 else ''}"
