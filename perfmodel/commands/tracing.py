"""The command about recorded profiles, and how other commands tell a trace from a model."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands.application import completed
from perfmodel.commands.delivering import Delivery, reproducing_line
from perfmodel.commands.shared import asks, delivers
from perfmodel.errors import UnknownNameError, ValueRangeError, shown
from perfmodel.estimates.options import OPTION

if TYPE_CHECKING:
    from perfmodel.report.text import Document
    from perfmodel.traces import TraceSummary
    from perfmodel.traces.priced import TracePricing


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(
        "trace",
        epilog="Example: perfmodel trace decode.json.gz --model llama-3.1-8b --hardware h100-sxm --save mine.toml",
    )(trace_command)


def is_trace(name: str) -> bool:
    """Return whether `name` is that of a file with a recorded trace, by its content; a catalogue name is a model."""
    path = Path(name)
    try:
        if path.suffix == ".toml" or not path.is_file():
            return False
    except (OSError, ValueError):
        return False
    from perfmodel.specifications.catalogue import names
    from perfmodel.traces.reading import looks_like_trace

    return name not in names("models") and looks_like_trace(path)


@partial(asks, bare=True, without=("before", "after", "measured"))
@delivers
def trace_command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Chrome trace (.json, .json.gz), SQLite of Nsight Systems or rocpd, CSV of nsys, rocprof or Ascend.",
        ),
    ],
    asked: dict[str, Any],
    measured: Annotated[
        str | None,
        typer.Option(
            "--measured",
            metavar="TIME",
            help="An unprofiled step, from one to the next, such as 12.6ms: a profiler makes steps longer.",
        ),
    ] = None,
    bandwidth: Annotated[
        str | None,
        typer.Option(
            "--bandwidth",
            metavar="RATE",
            help="What the memory sustains, such as 3.35TB/s, for the high end of the gain.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--bytes",
            metavar="BYTES",
            help="What a step reads on each device, such as 15.5GB; from --model if that is given.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            autocompletion=completed("models"),
            help="The model of the trace: prices the step against its bytes.",
        ),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hardware", metavar="HARDWARE", autocompletion=completed("devices"), help="The device of the trace."
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            autocompletion=completed("modes"),
            help="Launch mode of the recording: eager, stream, graph or pdl; found from its launches if not given.",
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            metavar="FILE.toml",
            help="Write what was fitted as a profile, for --profile of every other command.",
        ),
    ] = None,
    *,
    delivery: Delivery,
) -> None:
    """What a recorded profile says: steps, kernels, gaps, layers, what bounds the step, and what looping would gain."""
    from perfmodel.traces import read_trace, summarise
    from perfmodel.units import read_quantity_option

    chosen = delivery.form()
    asked = {name: value for name, value in asked.items() if value is not None and value != {}}
    _check_together(model, hardware, save, asked)
    step = read_quantity_option(measured, "s", "--measured") if measured is not None else None
    rate = read_quantity_option(bandwidth, "B/s", "--bandwidth") if bandwidth is not None else None
    read = read_quantity_option(size, "B", "--bytes") if size is not None else None
    if model is None and (rate is None) != (read is None):
        raise ValueRangeError("--bandwidth and --bytes belong together: give both or none, or --model and --hardware")
    trace = read_trace(Path(file))
    pricing: TracePricing | None = None
    if model is not None and hardware is not None:
        from perfmodel.traces.pricing import price_trace

        pricing = price_trace(
            trace, model, hardware, step_time=step, mode=mode, name=Path(save).stem if save else "recorded", **asked
        )
        if pricing.plausible or read is not None or rate is not None:
            read = read or pricing.bytes_per_step / pricing.devices
            rate = rate or pricing.bytes_per_step / pricing.devices / pricing.streaming.low
    summary = summarise(trace, bandwidth=rate, bytes_per_step=read, measured=step)
    if delivery.is_line():
        return
    if save is not None and pricing is not None:
        from perfmodel.report.files.whole import write_whole
        from perfmodel.specifications.profiles import profile_text

        write_whole(Path(save), profile_text(pricing.profile))

    def json() -> dict[str, Any]:
        return summary.to_dict() | {"pricing": pricing.to_dict() if pricing is not None else None}

    def document() -> "Document":
        from perfmodel.report.traced import trace_document

        return trace_document(summary, pricing)

    def sidecar() -> dict[str, Any]:
        from perfmodel._layout import __version__

        return {"version": __version__, "command": reproducing_line(), "answer": json()}

    delivery.deliver(chosen, rows=lambda: [_row(json())], json=json, document=document, sidecar=sidecar)


def _check_together(model: str | None, hardware: str | None, save: str | None, asked: dict[str, Any]) -> None:
    """Raise PerfModelError where options are given without those that they need."""
    if (model is None) != (hardware is None):
        raise ValueRangeError("--model and --hardware belong together: give both or none")
    if asked and model is None:
        flag = OPTION[next(iter(asked))].flag
        raise typer.BadParameter(f"{flag} says something of a model on a device: give --model and --hardware too")
    if save is not None and model is None:
        raise ValueRangeError(
            "--save: what a stack does differently shows only against a model: give --model and --hardware"
        )
    if save is not None and not save.endswith(".toml"):
        raise UnknownNameError(f"--save: {shown(save)}: a profile is a .toml file")


def trace_loops_command(file: str, delivery: Delivery) -> None:
    """The layers that a recorded trace repeats, as `perfmodel loops` shows them."""
    from perfmodel.report.traced import trace_loops, trace_loops_document
    from perfmodel.traces import read_trace, summarise

    summary: TraceSummary = summarise(read_trace(Path(file)))
    delivery.deliver_list(lambda: trace_loops(summary), lambda: trace_loops_document(summary))


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of an answer as one flat row with dotted names.

    Gaps stand by their cause, predictions by their mode, other lists are left out.
    """
    gaps = {gap["cause"]: {key: value for key, value in gap.items() if key != "cause"} for gap in answer["gaps"]}
    pricing = answer["pricing"]
    if pricing is not None:
        pricing = pricing | {
            "predictions": {
                p["mode"]: {key: value for key, value in p.items() if key != "mode"} for p in pricing["predictions"]
            }
        }
        pricing["shares"] = {
            share["path"].replace("memory.sustained.", ""): share["recorded"] for share in pricing["shares"]
        }
    from perfmodel.estimates.results import flattened

    whole = flattened(answer | {"gaps": gaps, "pricing": pricing})
    return {name: value for name, value in whole if not isinstance(value, list | tuple)}
