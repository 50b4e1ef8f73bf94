"""The command about layers that run with a probability."""

from typing import TYPE_CHECKING, Annotated

import typer

from perfmodel.commands.shared import (
    After,
    Batch,
    Cache,
    Columns,
    CommandFlag,
    Context,
    CsvFlag,
    Hardware,
    JsonFlag,
    LoopAtMost,
    Model,
    Output,
    Parallel,
    Profile,
    Settings,
    SystemDevices,
    Weights,
    chosen_format,
    deliver,
    reproducing_line,
    settings_given,
    show,
    whole,
)

if TYPE_CHECKING:
    from perfmodel.report.text import Document

RunWith = Annotated[
    str | None,
    typer.Option(
        "--run-with",
        metavar="16-31=0.5,...",
        help="Layers that each run with a probability by themselves; 1-31:2=0.125 for every second one.",
    ),
]
RunTogether = Annotated[
    str | None,
    typer.Option(
        "--run-together",
        metavar="16-31=0.5,...",
        help="Layers that run with a probability all together, decided once: an early exit.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command("conditional", epilog="Example: perfmodel conditional llama-3.1-8b h100-sxm --run-together 16-31=0.5")(
        conditional_command
    )


def conditional_command(
    model: Model,
    hardware: Hardware,
    run_with: RunWith = None,
    run_together: RunTogether = None,
    kernels: Annotated[
        str, typer.Option("--kernels", help="Prebuilt kernels for each stretch of layers, none to all of it.")
    ] = "2",
    devices: SystemDevices = None,
    batch: Batch = "1",
    context: Context = "4096",
    weights: Weights = None,
    kv: Cache = None,
    after: After = "looped",
    parallel: Parallel = None,
    loop_at_most: LoopAtMost = None,
    profile: Profile = None,
    settings: Settings = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """Layers that run with a probability.

    Predicated inside the loop, ending it, or one of k prebuilt kernels, side by side.
    """
    from perfmodel.analysis.conditional import MOST_KERNELS, conditional_report
    from perfmodel.estimates.answers import LARGEST_BATCH, LONGEST_CONTEXT
    from perfmodel.estimates.capacity import MOST_DEVICES

    chosen = chosen_format(as_json, as_csv, output, columns)
    report = conditional_report(
        model,
        hardware,
        run_with=run_with,
        run_together=run_together,
        kernels=whole(kernels, "--kernels", 2, MOST_KERNELS),
        devices=None if devices is None else whole(devices, "--devices", 1, MOST_DEVICES),
        batch=whole(batch, "--batch", 1, LARGEST_BATCH),
        context=whole(context, "--context", 0, LONGEST_CONTEXT, k=1024),
        weights=weights,
        kv=kv,
        after=after,
        parallel=parallel,
        loop_at_most=whole(loop_at_most, "--loop-at-most", 1, 10**6) if loop_at_most is not None else None,
        profile=profile,
        parameters=settings_given(settings),
    )
    if command:
        show(reproducing_line() + "\n")
        return

    def document() -> "Document":
        from perfmodel.report.conditional import conditional_document

        return conditional_document(report)

    deliver(
        chosen,
        output,
        columns,
        rows=report.rows,
        default_columns=None,
        json=report.to_dict,
        document=document,
        sidecar=report.to_dict,
    )
