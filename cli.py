"""The command line: words to calls, answers to reports, errors to exit codes. No physics here.

Exit codes: 0 answered; 1 a name, file or value that cannot be used, or a check that found a fault;
2 wrong usage. Each error is one line on stderr; stdout carries the answer only.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.errors import PerfModelError, UnknownNameError, ValueRangeError, nearest, shown

if TYPE_CHECKING:
    from perfmodel.report.text import Document

app = typer.Typer(
    name="perfmodel", no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
    help="Predict how fast a model generates tokens on a machine, before and after kernel looping.",
)  # fmt: skip
models_app = typer.Typer(no_args_is_help=True, help="The models in the catalogue, and what a model file holds.")
hardware_app = typer.Typer(no_args_is_help=True, help="The devices in the catalogue, and what a hardware file holds.")
app.add_typer(models_app, name="models")
app.add_typer(hardware_app, name="hardware")

# Options that every command with an answer shares.
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, in base units (s, B, FLOP, tok/s).")]
CsvFlag = Annotated[bool, typer.Option("--csv", help="Print the answer as CSV, in base units.")]
Output = Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE, whole or not at all; .json, .csv or .txt.")]
Columns = Annotated[str | None, typer.Option("--columns", metavar="A,B|all", help="Columns of the CSV.")]
CommandFlag = Annotated[bool, typer.Option("--command", help="Print the command line that reproduces the answer, and nothing else.")]


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False) -> None:
    if version:
        from perfmodel import __version__

        typer.echo(f"perfmodel {__version__}")
        raise typer.Exit


@app.command("estimate", epilog="Example: perfmodel estimate llama-3.1-8b sn40l --devices 8 --context 4k")
def estimate_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Catalogue name, model TOML, Hugging Face config.json or its folder.")],
    hardware: Annotated[str, typer.Argument(metavar="HARDWARE", help="Catalogue name or hardware TOML.")],
    devices: Annotated[str, typer.Option("--devices", help="Devices that share the work.")] = "1",
    batch: Annotated[str, typer.Option("--batch", help="Sequences in a step.")] = "1",
    context: Annotated[str, typer.Option("--context", help="Tokens in the cache that the step reads, per sequence; 4k is 4,096.")] = "4096",
    weights: Annotated[str | None, typer.Option("--weights", metavar="FORMAT", help="Storage format of the weights; the published one if not given.")] = None,
    kv: Annotated[str | None, typer.Option("--kv", metavar="FORMAT", help="Storage format of the cache; the published one if not given.")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="MODE", help="Launch mode before; the device's own if not given.")] = None,
    after: Annotated[str, typer.Option("--after", metavar="MODE", help="Launch mode after.")] = "looped",
    loop_at_most: Annotated[str | None, typer.Option("--loop-at-most", metavar="K", help="Iterations that one looped call may hold.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What-if: 5us closes the interval, 5us..8us sets it. KEY as in the assumptions.")] = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """How fast MODEL generates tokens on HARDWARE, before and after looping, and where the time goes."""
    from perfmodel.estimator import LARGEST_BATCH, LONGEST_CONTEXT, MOST_DEVICES, estimate

    chosen = _format(as_json, as_csv, output, columns)
    answer = estimate(
        model, hardware, devices=_whole(devices, "--devices", 1, MOST_DEVICES), batch=_whole(batch, "--batch", 1, LARGEST_BATCH),
        context=_whole(context, "--context", 0, LONGEST_CONTEXT, k=1024), weights=weights, kv=kv, before=before, after=after,
        loop_at_most=_whole(loop_at_most, "--loop-at-most", 1, 10**6) if loop_at_most is not None else None, parameters=_settings(settings),
    )  # fmt: skip
    if command:
        _print(_reproducing_line() + "\n")
        return
    if not answer.fits.fits:
        _note(next(note for note in answer.notes if note.startswith("does not fit")))

    def rows() -> list[dict[str, Any]]:
        return answer.rows()

    def shown_document() -> "Document":
        from perfmodel.breakeven import last_paying_batch
        from perfmodel.report.answer import document

        return document(answer, last_paying_batch(answer))

    def sidecar() -> dict[str, Any]:
        from perfmodel import __version__

        whole = answer.to_dict()
        return {"version": __version__, "command": _reproducing_line()} | {key: whole[key] for key in ("loops", "assumptions", "notes")}

    from perfmodel.report.delimited import DEFAULT_COLUMNS

    _deliver(chosen, output, columns, rows=rows, default_columns=DEFAULT_COLUMNS, json=answer.to_dict, document=shown_document, sidecar=sidecar)


@models_app.command("list", epilog="Example: perfmodel models list --json")
def models_list(as_json: JsonFlag = False, as_csv: CsvFlag = False, output: Output = None, columns: Columns = None, command: CommandFlag = False) -> None:
    """The models in the catalogue, with parameters counted from their shapes."""
    from perfmodel.catalogue import find_model, names
    from perfmodel.operations import parameter_count

    def rows() -> list[dict[str, Any]]:
        found = []
        for name in names("models"):
            model = find_model(name)
            found.append({"name": name, "title": model.title, "family": model.family, "parameters": parameter_count(model), "layers": len(model.layers),
                          "hidden": model.hidden, "weight_format": model.weight_format, "source": model.source})  # fmt: skip
        return found

    def document() -> "Document":
        from perfmodel.report.text import Document, Table

        table = Table(("name", "parameters", "layers", "hidden", "weights"), [
            (row["name"], f"{row['parameters']:,}", str(row["layers"]), f"{row['hidden']:,}", row["weight_format"]) for row in rows()
        ], frozenset({1, 2, 3}))  # fmt: skip
        return Document([table])

    _list(rows, document, as_json, as_csv, output, columns, command)


@hardware_app.command("list", epilog="Example: perfmodel hardware list --json")
def hardware_list(as_json: JsonFlag = False, as_csv: CsvFlag = False, output: Output = None, columns: Columns = None, command: CommandFlag = False) -> None:
    """The devices in the catalogue."""
    from perfmodel.catalogue import find_hardware, names

    def rows() -> list[dict[str, Any]]:
        found = []
        for name in names("hardware"):
            device = find_hardware(name)
            values = device.values
            found.append({
                "name": name, "title": device.title, "vendor": device.vendor, "year": device.year, "status": device.status,
                "bandwidth": values["memory.bandwidth"].value, "capacity": values["memory.capacity"].value,
                "bf16": values["arithmetic.bf16"].value if "arithmetic.bf16" in values else None,
                "default_mode": device.default_mode, "modes": " ".join(device.modes),
            })  # fmt: skip
        return found

    def document() -> "Document":
        from perfmodel.report.text import Document, Table
        from perfmodel.units import format_quantity

        table = Table(("name", "vendor", "bandwidth", "capacity", "bf16", "before"), [
            (row["name"], row["vendor"], format_quantity(row["bandwidth"], "B/s"), format_quantity(row["capacity"], "B"),
             format_quantity(row["bf16"], "FLOP/s"), row["default_mode"]) for row in rows()
        ], frozenset({2, 3, 4}))  # fmt: skip
        return Document([table])

    _list(rows, document, as_json, as_csv, output, columns, command)


@hardware_app.command("show", epilog="Example: perfmodel hardware show h100-sxm")
def hardware_show(
    hardware: Annotated[str, typer.Argument(metavar="HARDWARE", help="Catalogue name or hardware TOML.")],
    as_json: JsonFlag = False, as_csv: CsvFlag = False, output: Output = None, columns: Columns = None, command: CommandFlag = False,
) -> None:  # fmt: skip
    """Every value of a device with its interval, kind and source."""
    from perfmodel.catalogue import find_hardware

    device = find_hardware(hardware)

    def rows() -> list[dict[str, Any]]:
        return [{"name": path, "value": q.value, "low": q.low, "high": q.high, "unit": q.unit, "kind": q.kind, "source": q.source} for path, q in device.values.items()]

    def document() -> "Document":
        from perfmodel.report.text import Document, Table

        sources = list(dict.fromkeys(q.source for q in device.values.values()))
        table = Table(("key", "value (low to high)", "kind", "source"), [(path, str(q), q.kind, f"[{sources.index(q.source) + 1}]") for path, q in device.values.items()])
        modes = Table(("mode", "calls kernels as", "costs not given come from"), [(mode.name, mode.kernels, mode.base or "") for mode in device.modes.values()])
        return Document([f"{device.title} ({device.name}), before looping: {device.default_mode}", table, modes, "\n".join(f"[{i}] {s}" for i, s in enumerate(sources, 1))])

    _list(rows, document, as_json, as_csv, output, columns, command)


def _list(rows: Callable[[], list[dict[str, Any]]], document: "Callable[[], Document]", as_json: bool, as_csv: bool, output: str | None, columns: str | None, command: bool) -> None:
    """Deliver a list: rows as CSV or as a JSON array, or a table."""
    if command:
        _print(_reproducing_line() + "\n")
        return
    _deliver(_format(as_json, as_csv, output, columns), output, columns, rows=rows, default_columns=None, json=rows, document=document, sidecar=None)


def _format(as_json: bool, as_csv: bool, output: str | None, columns: str | None) -> str:
    """Return text, json or csv, from the flags or the ending of the file."""
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    if as_json or as_csv or columns is not None:
        return "json" if as_json else "csv"
    if output is None:
        return "text"
    ending = Path(output).suffix
    formats = {".json": "json", ".csv": "csv", ".txt": "text"}
    if ending not in formats:
        raise UnknownNameError(f"-o: {shown(output)} has an ending I do not know{nearest(ending, formats)}; .json, .csv and .txt are accepted")
    return formats[ending]


def _deliver(
    chosen: str, output: str | None, columns: str | None, *, rows: Callable[[], list[dict[str, Any]]], default_columns: tuple[str, ...] | None,
    json: Callable[[], Any], document: "Callable[[], Document]", sidecar: Callable[[], dict[str, Any]] | None,
) -> None:  # fmt: skip
    """Print the answer, or write it to a file; a CSV file gets what does not fit its rows beside it."""
    if chosen == "text":
        from perfmodel.report.text import to_plain, to_terminal

        terminal = output is None and sys.stdout.isatty()
        text = to_terminal(document()) if terminal else to_plain(document())
    else:
        from perfmodel.report.delimited import choose_columns, to_csv, to_json

        if chosen == "json":
            text = to_json(json())
        else:
            found = rows()
            available = list(found[0]) if found else list(default_columns or ())
            text = to_csv(found, choose_columns(columns, available, default_columns or available))
    if output is None:
        _print(text)
        return
    from perfmodel.report.files import write_whole

    write_whole(Path(output), text)
    if chosen == "csv" and sidecar is not None:
        from perfmodel.report.delimited import to_json as meta_json

        write_whole(Path(output + ".meta.json"), meta_json(sidecar()))


def _whole(text: str, option: str, least: int, most: int, *, k: int = 1000) -> int:
    """Return the whole number an option gives; `4k` is 4 x k, `1e3` and `4_096` are accepted when exact."""
    cleaned = text.strip().replace(",", "").replace("_", "")
    factor = k if cleaned[-1:] in ("k", "K") else 1
    try:
        number = float(cleaned[:-1] if factor != 1 else cleaned) * factor
        value = int(number)
    except (ValueError, OverflowError):
        number, value = 0.5, 0
    if value != number or not least <= value <= most:
        raise ValueRangeError(f"{option}: {shown(text)} is not a whole number from {least} to {most:,}")
    return value


def _settings(settings: list[str] | None) -> dict[str, str]:
    """Return what the `--set KEY=VALUE` options say."""
    found: dict[str, str] = {}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UnknownNameError(f"--set: {shown(setting)} is not KEY=VALUE; write something like memory.bandwidth=4TB/s")
        found[key.strip()] = value.strip()
    return found


def _reproducing_line() -> str:
    import shlex

    return shlex.join(["perfmodel", *(word for word in sys.argv[1:] if word != "--command")])


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"perfmodel: note: {text}\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    """Run the command line and turn every error into one line and an exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(standalone_mode=False, prog_name="perfmodel")
        code = code if isinstance(code, int) else 0
    except PerfModelError as error:
        sys.stderr.write(f"perfmodel: {_one_line(str(error))}\n")
        code = 1
    except BrokenPipeError:
        # The reader went away; what it read was right. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        # typer brings its own copy of click in some releases and the installed one in others.
        if not hasattr(error, "format_message"):
            raise
        if message := _one_line(error.format_message()):
            sys.stderr.write(f"perfmodel: {message}\n")
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
