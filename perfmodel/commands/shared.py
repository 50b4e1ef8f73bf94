"""What the commands share: option types, how an answer is delivered, and how words become numbers."""

import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands import completing
from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown

if TYPE_CHECKING:
    from perfmodel.estimates.answers import Estimate
    from perfmodel.report.text import Document

# The question.
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completing.models,
        help="Catalogue name, model TOML, Hugging Face config.json or its folder.",
    ),
]
Hardware = Annotated[
    str, typer.Argument(metavar="HARDWARE", autocompletion=completing.devices, help="Catalogue name or hardware TOML.")
]
Devices = Annotated[str, typer.Option("--devices", help="Devices that share the work.")]
SystemDevices = Annotated[
    str | None, typer.Option("--devices", show_default="all of a system, else 1", help="Devices that share the work.")
]
SharedDevices = Annotated[
    str | None, typer.Option("--devices", show_default="1, or those of --parallel", help="Devices that share the work.")
]
Batch = Annotated[str, typer.Option("--batch", help="Sequences in a step.")]
Context = Annotated[
    str, typer.Option("--context", help="Tokens in the cache that the step reads, per sequence; 4k is 4,096.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FORMAT",
        autocompletion=completing.formats,
        help="Storage format of the weights; the published one if not given.",
    ),
]
Cache = Annotated[
    str | None,
    typer.Option(
        "--kv",
        metavar="FORMAT",
        autocompletion=completing.formats,
        help="Storage format of the cache; the published one if not given.",
    ),
]
Before = Annotated[
    str | None,
    typer.Option(
        "--before",
        metavar="MODE",
        autocompletion=completing.modes,
        help="Launch mode before; the device's own if not given.",
    ),
]
After = Annotated[
    str, typer.Option("--after", metavar="MODE", autocompletion=completing.modes, help="Launch mode after.")
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="PROFILE",
        autocompletion=completing.profiles,
        help="Overrides of a software stack: a name in profiles/ or a TOML file.",
    ),
]
Parallel = Annotated[
    str | None,
    typer.Option(
        "--parallel",
        metavar="tp=N,ep=N,pp=N,dp=N",
        help=(
            "How the devices share the work: tp splits each matrix, dp the batch of attention, pp the layers; ep"
            " spreads routed experts."
        ),
    ),
]
LoopOnly = Annotated[
    str | None,
    typer.Option(
        "--loop-only",
        metavar="CALL,FIRST-LAST",
        help="Loop these calls or layers only, as perfmodel loops prints them.",
    ),
]
Offload = Annotated[
    str | None,
    typer.Option(
        "--offload",
        metavar="TIER|experts=TIER",
        help="Stream from a slower memory tier: host for what does not fit, or experts=host,weights=host:0.5.",
    ),
]
LoopAtMost = Annotated[
    str | None, typer.Option("--loop-at-most", metavar="K", help="Iterations that one looped call may hold.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=completing.settings,
        help="What-if: 5us closes the interval, 5us..8us sets it. KEY as in the assumptions.",
    ),
]

GridSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=GRID",
        autocompletion=completing.settings,
        help="A parameter and its value, interval or grid, such as 0us:8us:+2us.",
    ),
]
# A question is told once: options by the name of the argument of `estimate`, with what they are where they are not
# given.
_QUESTION: dict[str, tuple[Any, Any]] = {
    "devices": (SystemDevices, None),
    "batch": (Batch, "1"),
    "context": (Context, "4096"),
    "weights": (Weights, None),
    "kv": (Cache, None),
    "before": (Before, None),
    "after": (After, "looped"),
    "parallel": (Parallel, None),
    "loop_at_most": (LoopAtMost, None),
    "loop_only": (LoopOnly, None),
    "profile": (Profile, None),
    "settings": (Settings, None),
}

# Options that every command with an answer shares.
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, in base units (s, B, FLOP, tok/s).")]
CsvFlag = Annotated[bool, typer.Option("--csv", help="Print the answer as CSV, in base units.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Names or files; the whole catalogue if none is given.")
]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write to FILE, whole or not at all; .json, .csv or .txt."),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="A,B|all", autocompletion=completing.columns, help="Columns of the CSV."),
]
CommandFlag = Annotated[
    bool, typer.Option("--command", help="Print the command line that reproduces the answer, and nothing else.")
]


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a question in place of its argument `asked`, which gets them as the arguments of `estimate`."""
    return _with_question(command, _QUESTION, _point)


def asks_grid(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a question, each of which takes a grid, in place of its argument `asked`, which gets the arguments of `sweep`."""
    return _with_question(command, _QUESTION | {"settings": (GridSettings, None)}, _grid)


def _with_question(
    command: Callable[..., None], options: dict[str, tuple[Any, Any]], read: Callable[[dict[str, Any]], dict[str, Any]]
) -> Callable[..., None]:
    @wraps(command)
    def with_options(**given: Any) -> None:
        asked = read({name: given.pop(name) for name in options})
        command(**given, asked=asked)

    parameters: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        if parameter.name == "asked":
            parameters += [
                Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
                for name, (kind, default) in options.items()
            ]
        else:
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
    with_options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _point(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `estimate` that the options of a question give."""
    from perfmodel.estimates.answers import LARGEST_BATCH, LONGEST_CONTEXT
    from perfmodel.estimates.capacity import MOST_DEVICES

    devices = options["devices"]
    numbers = {
        "devices": None if devices is None else whole(devices, "--devices", 1, MOST_DEVICES),
        "batch": whole(options["batch"], "--batch", 1, LARGEST_BATCH),
        "context": whole(options["context"], "--context", 0, LONGEST_CONTEXT, k=1024),
    }
    return _grid(options) | numbers


def _grid(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `sweep` that the options give."""
    at_most = options["loop_at_most"]
    given = {name: value for name, value in options.items() if name != "settings"}
    return given | {
        "loop_at_most": None if at_most is None else whole(at_most, "--loop-at-most", 1, 10**6),
        "parameters": settings_given(options["settings"]),
    }


def chosen_format(as_json: bool, as_csv: bool, output: str | None, columns: str | None) -> str:
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
        raise UnknownNameError(
            f"-o: {shown(output)} has an ending I do not know{nearest(ending, formats)}; .json, .csv and .txt are"
            " accepted"
        )
    return formats[ending]


def deliver(
    chosen: str,
    output: str | None,
    columns: str | None,
    *,
    rows: Callable[[], list[dict[str, Any]]],
    default_columns: tuple[str, ...] | None,
    json: Callable[[], Any],
    document: "Callable[[], Document]",
    sidecar: Callable[[], dict[str, Any]] | None,
) -> None:
    """Print the answer, or write it to a file; a CSV file gets what does not fit its rows beside it."""
    if chosen == "text":
        from perfmodel.report.text import to_plain, to_terminal

        terminal = output is None and sys.stdout.isatty()
        text = to_terminal(document()) if terminal else to_plain(document())
    else:
        from perfmodel.report.files.delimited import choose_columns, to_csv, to_json

        if chosen == "json":
            text = to_json(json())
        else:
            found = rows()
            available = list(found[0]) if found else list(default_columns or ())
            text = to_csv(found, choose_columns(columns, available, default_columns or available))
    if output is None:
        show(text)
        return
    from perfmodel.report.files.whole import write_whole

    write_whole(Path(output), text)
    if chosen == "csv" and sidecar is not None:
        from perfmodel.report.files.delimited import to_json as meta_json

        write_whole(Path(output + ".meta.json"), meta_json(sidecar()))


def deliver_list(
    rows: Callable[[], list[dict[str, Any]]],
    document: "Callable[[], Document]",
    *,
    as_json: bool,
    as_csv: bool,
    output: str | None,
    columns: str | None,
    command: bool,
) -> None:
    """Deliver a list: rows as CSV or as a JSON array, or a table; or only the line that gives it again."""
    if command:
        show(reproducing_line() + "\n")
        return
    deliver(
        chosen_format(as_json, as_csv, output, columns),
        output,
        columns,
        rows=rows,
        default_columns=None,
        json=rows,
        document=document,
        sidecar=None,
    )


def whole(text: str, option: str, least: int, most: int, *, k: int = 1000) -> int:
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


def settings_given(settings: list[str] | None) -> dict[str, str]:
    """Return what the `--set KEY=VALUE` options say."""
    found: dict[str, str] = {}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UnknownNameError(
                f"--set: {shown(setting)} is not KEY=VALUE; write something like memory.bandwidth=4TB/s"
            )
        found[key.strip()] = value.strip()
    return found


def reproducing_line() -> str:
    """Return the command line that gives this answer again."""
    import shlex

    return shlex.join(["perfmodel", *(word for word in sys.argv[1:] if word != "--command")])


def show(text: str) -> None:
    """Write `text` to stdout, which carries the answer only."""
    sys.stdout.write(text)
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a remark to stderr, in one line."""
    sys.stderr.write(f"perfmodel: note: {text}\n")


def tally(checked: int, faults: int, what: str) -> str:
    """Return how many of `what` were checked, and how many faults were found."""
    return f"{checked} {what}{'s' if checked != 1 else ''} checked, {faults} fault{'s' if faults != 1 else ''}"


def warn(answer: "Estimate", chosen: str) -> None:
    """Say on stderr without which notes an answer misleads; text carries most of them itself."""
    for text in answer.warnings:
        if chosen != "text" or text.startswith("does not fit"):
            note(text)
