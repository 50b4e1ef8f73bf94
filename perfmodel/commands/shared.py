"""What the commands share: the types of their options, and how words become numbers."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import msgspec
import typer

from perfmodel.commands.application import completed
from perfmodel.commands.delivering import Delivery, note
from perfmodel.errors import UnreadableValueError, shown
from perfmodel.estimates.options import OPTION, OPTIONS, Option
from perfmodel.units import read_count

# The question.
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completed("models"),
        help="Catalogue name, model TOML, Hugging Face config.json or its folder.",
    ),
]
Hardware = Annotated[
    str,
    typer.Argument(metavar="HARDWARE", autocompletion=completed("devices"), help="Catalogue name or hardware TOML."),
]


# What offers words for a kind of option after the tab key.
_COMPLETED = {"format": "formats", "weights": "weights", "mode": "modes", "profile": "profiles", "settings": "settings"}


def _typed(option: Option) -> Any:
    """Return the type of a command's argument that takes `option`."""
    shown: dict[str, Any] = {"rich_help_panel": option.group}
    if option.metavar:
        shown["metavar"] = option.metavar
    if option.shown:
        shown["show_default"] = option.shown
    if option.kind in _COMPLETED:
        shown["autocompletion"] = completed(_COMPLETED[option.kind])
    kind: Any = list[str] | None if option.kind == "settings" else str if option.default is not None else str | None
    return Annotated[kind, typer.Option(option.flag, help=option.help, **shown)]


# The types of the options that a command without a question takes one by one.
Devices = Annotated[
    str | None, typer.Option("--devices", show_default="1, or those of --parallel", help=OPTION["devices"].help)
]
Parallel, LoopAtMost, LoopOnly, Profile, Weights = (
    _typed(OPTION[name]) for name in ("parallel", "loop_at_most", "loop_only", "profile", "weights")
)
_GRID_SETTINGS = msgspec.structs.replace(
    OPTION["parameters"], metavar="KEY=GRID", help="A parameter and its value, interval or grid, such as 0us:8us:+2us."
)

# Options that every command with an answer shares.
JsonFlag = Annotated[
    bool,
    typer.Option(
        "--json", rich_help_panel="Output", help="Print the answer as JSON, in base units (s, B, FLOP, tok/s)."
    ),
]
CsvFlag = Annotated[
    bool, typer.Option("--csv", rich_help_panel="Output", help="Print the answer as CSV, in base units.")
]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Names or files; the whole catalogue if none is given.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        rich_help_panel="Output",
        help="Write to FILE, whole or not at all; .json, .csv, .txt or .md.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="A,B|all",
        autocompletion=completed("columns"),
        rich_help_panel="Output",
        help="Columns of the CSV.",
    ),
]
CommandFlag = Annotated[
    bool,
    typer.Option(
        "--command",
        rich_help_panel="Output",
        help="Print the command line that reproduces the answer, and nothing else.",
    ),
]


def delivers(command: Callable[..., None], *, output: Any = Output) -> Callable[..., None]:
    """Give a command the options of its output in place of its argument `delivery`.

    output: the type of -o, where the command writes other files.
    """
    types = {"as_json": JsonFlag, "as_csv": CsvFlag, "output": output, "columns": Columns, "command": CommandFlag}

    @wraps(command)
    def with_delivery(**given: Any) -> None:
        delivery = Delivery(**{name: given.pop(name) for name in types})
        command(**given, delivery=delivery)

    options = {name: (kind, None if name in ("output", "columns") else False) for name, kind in types.items()}
    return _with_options(with_delivery, signature(command).parameters, "delivery", options)


def asks(command: Callable[..., None], *, without: Sequence[str] = (), bare: bool = False) -> Callable[..., None]:
    """Give a command the options of a question in place of its argument `asked`.

    asked gets them as the arguments of `estimate`. without: options that have no meaning for the command. bare: whether
    what is not given comes as None, not as its default.
    """
    options = [option for option in OPTIONS if option.name not in without]
    if bare:
        options = [
            o if o.default is None else msgspec.structs.replace(o, default=None, shown=str(o.default)) for o in options
        ]
    return _with_question(command, options, _point)


def asks_grid(
    command: Callable[..., None], *, left_open: Sequence[str] = (), prompts: bool = True
) -> Callable[..., None]:
    """Give a command the options of a question, each of which takes a grid, in place of its argument `asked`.

    asked gets them as the arguments of `sweep`. left_open: options that come as None where they are not given.
    prompts: whether some of what the command asks has prompts.
    """

    def read(given: dict[str, Any]) -> dict[str, Any]:
        if not prompts:
            from perfmodel.estimates.prompting import refuse_prompt

            refuse_prompt(given)  # before its text is read as one number
        return _grid(given)

    options = [
        msgspec.structs.replace(o, default=None, shown=str(o.default)) if o.name in left_open else o
        for o in (_GRID_SETTINGS if o.kind == "settings" else o for o in OPTIONS)
    ]
    return _with_question(command, options, read)


def asks_choices(command: Callable[..., None]) -> Callable[..., None]:
    """As `asks_grid`, for `choose`, which tries many devices and batches where nothing is said."""
    shown = {"devices": "1 to 16", "batch": "1 to 1,024, times 2"}
    options = [
        msgspec.structs.replace(o, default=None, shown=shown[o.name]) if o.name in shown else o
        for o in (_GRID_SETTINGS if o.kind == "settings" else o for o in OPTIONS)
    ]

    def read(given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in _grid(given).items() if name not in shown or value is not None}

    return _with_question(command, options, read)


def _with_question(
    command: Callable[..., None], options: Sequence[Option], read: Callable[[dict[str, Any]], dict[str, Any]]
) -> Callable[..., None]:
    # What a command takes itself goes before an option of the same name.
    own = signature(command).parameters
    options = [option for option in options if option.name not in own]

    @wraps(command)
    def with_options(**given: Any) -> None:
        asked = read({option.name: given.pop(option.name) for option in options})
        command(**given, asked=asked)
        if asked.get("parameters") and not given.get("command"):
            from perfmodel.commands.settings import unused

            for key in unused(command.__name__, given, asked):
                note(f"--set {key} does not enter this answer")

    typed = {o.name: (_typed(o), None if o.default is None else str(o.default)) for o in options}
    return _with_options(with_options, own, "asked", typed)


def _with_options(
    command: Callable[..., None], own: Mapping[str, Parameter], name: str, options: Mapping[str, tuple[Any, Any]]
) -> Callable[..., None]:
    """Return `command` with the parameters `own`, but options in place of the one called `name`: type and default."""
    parameters: list[Parameter] = []
    for parameter in own.values():
        if parameter.name == name:
            parameters += [
                Parameter(option, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
                for option, (kind, default) in options.items()
            ]
        else:
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _point(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `estimate` that the options of a question give."""
    counts = {name: count(text, name) for name, text in given.items() if OPTION[name].kind in ("count", "tokens")}
    return _grid(given | counts | _numbers(given))


def _numbers(given: dict[str, Any]) -> dict[str, float]:
    """Return the plain numbers that the options give."""
    found = {}
    for name, text in given.items():
        option = OPTION[name]
        if option.kind == "number" and isinstance(text, str):
            try:
                found[name] = float(text)
            except ValueError:
                raise UnreadableValueError(
                    f"{option.flag}: {shown(text)} is not a number from {option.least} to {option.most:,}"
                ) from None
    return found


def _grid(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `sweep` that the options give."""
    single = {
        name: count(value, name)
        for name, value in given.items()
        if OPTION[name].kind in ("count", "tokens") and not OPTION[name].axis and isinstance(value, str)
    }
    return given | single | {"parameters": settings_given(given["parameters"])}


def count(text: str | None, name: str) -> int | None:
    """Return the whole number that an option of a question gives, None where it is not given."""
    option = OPTION[name]
    k = 1024 if option.kind == "tokens" else 1000
    return None if text is None else read_count(text, option.flag, option.least, option.most, k=k, several=option.axis)


def settings_given(settings: list[str] | None) -> dict[str, str]:
    """Return what the `--set KEY=VALUE` options say."""
    found: dict[str, str] = {}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UnreadableValueError(
                f"--set: {shown(setting)} is not KEY=VALUE; write something like memory.bandwidth=4TB/s"
            )
        found[key.strip()] = value.strip()
    return found
