"""The command line: words to calls, answers to reports, errors to exit codes. No physics here.

Exit codes: 0 answered; 1 a name, file or value that cannot be used, or a check that found a fault;
2 wrong usage. Each error is one line on stderr; stdout carries the answer only.
"""

import os
import sys
import warnings
from codecs import register_error
from contextlib import suppress
from io import TextIOBase, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from perfmodel.commands.application import Application
from perfmodel.commands.delivering import Delivery, note_old_names, reproducing_line, show, warn
from perfmodel.commands.shared import Hardware, Model, asks, delivers
from perfmodel.errors import PerfModelError, StoppedError, UnreadableValueError, UsageError
from perfmodel.quoting import line

if TYPE_CHECKING:
    from perfmodel.report.text import Document

app = Application(
    name="perfmodel",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Predict how fast a model generates tokens on a machine, before and after kernel looping.",
)


_OVERVIEW = """\
perfmodel predicts how fast a model generates tokens on a machine, where the
time goes, and what you would gain if the repeated layers ran as one looped
kernel.

  perfmodel estimate llama-3.1-8b h100-sxm               how fast, and why
  perfmodel compare llama-3.2-1b h100-sxm --modes all    eager to megakernel
  perfmodel report llama-3.1-8b sn40l --html -o it.html  all of it, one page

one question      estimate  request  advise  report  plot  explain  explore
many              compare  choose  sweep  conditional  report
backwards         solve  sensitivity
measurements      trace  validate  calibrate  explain-gap
what it knows     models  hardware  loops  schema  mcp

perfmodel COMMAND --help shows options and an example. MODEL and HARDWARE are
catalogue names (perfmodel models list) or files of your own.
perfmodel --install-completion lets the tab key complete names.
"""


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from perfmodel._layout import __version__

        show(f"perfmodel {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        show(_OVERVIEW)


@app.command("estimate", epilog="Example: perfmodel estimate llama-3.1-8b sn40l --devices 8 --context 4k")
@asks
@delivers
def estimate_command(model: Model, hardware: Hardware, asked: dict[str, Any], *, delivery: Delivery) -> None:
    """How fast MODEL generates tokens on HARDWARE, before and after looping, and where the time goes."""
    from perfmodel.estimates.answers import estimate
    from perfmodel.report.files.delimited import DEFAULT_COLUMNS

    chosen = delivery.form()
    answer = estimate(model, hardware, **asked)
    if delivery.is_line():
        return
    warn(answer, chosen)

    def rows() -> list[dict[str, Any]]:
        return answer.rows(DEFAULT_COLUMNS if delivery.columns is None else None)

    def shown_document() -> "Document":
        from perfmodel.report.answer import document
        from perfmodel.report.facts import beside_of

        return document(answer, beside_of(answer))

    def sidecar() -> dict[str, Any]:
        from perfmodel._layout import __version__

        everything = answer.to_dict()
        return {"version": __version__, "command": reproducing_line()} | {
            key: everything[key] for key in ("loops", "assumptions", "notes")
        }

    delivery.deliver(
        chosen,
        rows=rows,
        default_columns=DEFAULT_COLUMNS,
        json=answer.to_dict,
        document=shown_document,
        sidecar=sidecar,
    )


# Which module of perfmodel.commands has a command: building all of them takes longer than most answers.
_HOMES = {
    "models": "catalogues",
    "hardware": "devices",
    "loops": "catalogues",
    "sweep": "sweeping",
    "compare": "sweeping",
    "request": "requesting",
    "choose": "choosing",
    "explore": "exploring",
    "advise": "choosing",
    "report": "reporting",
    "solve": "solving",
    "sensitivity": "solving",
    "explain": "solving",
    "validate": "validating",
    "calibrate": "validating",
    "explain-gap": "validating",
    "conditional": "conditions",
    "plot": "drawing",
    "schema": "describing",
    "mcp": "serving",
    "trace": "tracing",
}
_registered: set[str] = set()
_STOPPED = 130  # as shells say it of a program that SIGINT ended


def register_commands(word: str | None = None) -> None:
    """Add the command that `word` names to the application.

    All of them for any other word or none, but for estimate, which is here.
    """
    from importlib import import_module

    wanted = [_HOMES[word]] if word in _HOMES else [] if word == "estimate" else dict.fromkeys(_HOMES.values())
    for home in wanted:
        if home not in _registered:
            _registered.add(home)
            import_module(f"perfmodel.commands.{home}").register(app)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _told(message: str) -> None:
    """Write an error to stderr in one line, if anybody is there to read it."""
    with suppress(OSError):
        sys.stderr.write(f"perfmodel: {line(_one_line(message))}\n")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for a character that the console lacks: the escape that JSON has for it too."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    escapes = (f"\\u{int.from_bytes(units[place : place + 2], 'big'):04x}" for place in range(0, len(units), 2))
    return "".join(escapes), error.end


class _Closed(TextIOBase):
    """A stdout that was closed before the program began."""

    def write(self, _text: str) -> int:
        raise PerfModelError("stdout is closed, so the answer cannot be shown; give -o FILE")


def _prepare_streams() -> None:
    """Let the streams write whatever they are given, also where the console knows ASCII or one code page only."""
    register_error("perfmodel-escape", _escaped)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open until the end)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="perfmodel-escape")
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def _usage(error: Any, message: str) -> str:
    """Return the message of an error in usage, with what would be right where that is known."""
    from perfmodel.commands.foreign import command_meant, one_too_many, ours_of

    context = getattr(error, "ctx", None)
    name = context.info_name if context is not None else ""
    if "No such option" in message and (option := getattr(error, "option_name", None)):
        own = [word for parameter in context.command.params for word in parameter.opts] if context is not None else []
        if ours := ours_of(str(option), sys.argv[1:], own):
            return ours
    if "unexpected extra argument" in message:
        return one_too_many(message, name, context.args if context is not None and context.args else _names_typed())
    if "Missing argument" in message and context is not None:
        words = [one.make_metavar(context) for one in context.command.params if one.param_type_name == "argument"]
        return f"{message.rstrip('.')}; write {context.command_path} {' '.join(words)}"
    if "No such command" in message:
        message = command_meant(message)
    message = message.removeprefix("Invalid value: ")
    if known := getattr(error, "possibilities", None):
        return f"{message.partition(' (Possible')[0]} (did you mean {known[0]!r}?)"
    return message


def _names_typed() -> list[str]:
    """Return the words of the line up to the first option, without the command."""
    words = sys.argv[2:]
    return words[: next((place for place, word in enumerate(words) if word.startswith("-")), len(words))]


def _leave(code: int) -> NoReturn:
    """End the program; what cannot be written any more is dropped, and the exit code says so."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python would try again at exit, and complain.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or 1
    sys.exit(code)


def main() -> None:
    """Run the command line and turn every error into one line and an exit code."""
    with warnings.catch_warnings():
        note_old_names()
        _run()


def _run() -> None:
    """Run the command line that was typed, and leave."""
    _prepare_streams()
    # A shell that completes a line passes it in the environment.
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS")
    words = typed.split() if typed and "_PERFMODEL_COMPLETE" in os.environ else sys.argv
    try:
        register_commands(words[1] if len(words) > 1 else None)
        command = typer.main.get_command(app)
        code = command.main(standalone_mode=False, prog_name="perfmodel")
        code = code if isinstance(code, int) else 0
        sys.stdout.flush()
        if code == _STOPPED:
            _told("stopped; nothing was written")
    except StoppedError as error:
        _told(f"stopped; {error}")
        code = _STOPPED
    except PerfModelError as error:
        _told(str(error))
        code = 2 if isinstance(error, UsageError | UnreadableValueError) else 1
    except BrokenPipeError:
        # The reader went away; what it read was right. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        _told("stopped; nothing was written")
        code = _STOPPED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _told(f"{where}{error.strerror or error}")
        code = 1
    except MemoryError:
        _told("this needs more memory than there is; ask for less at once")
        code = 1
    except Exception as error:
        # typer brings its own copy of click in some releases and the installed one in others.
        if not hasattr(error, "format_message"):
            raise
        # A group of commands without one shows its help, which is what was asked for.
        message = _usage(error, error.format_message())
        if message:
            _told(message)
        code = 2 if message else 0
    _leave(code)


if __name__ == "__main__":
    main()
