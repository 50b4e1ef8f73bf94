"""The commands about models and loops: list, show, check, import."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands.application import Application, completed
from perfmodel.commands.delivering import Delivery, show, tally
from perfmodel.commands.filters import ModelsAtLeast, Word, at_least, chosen, having, model_value
from perfmodel.commands.shared import Devices, LoopAtMost, LoopOnly, Model, Names, Parallel, Weights, count, delivers
from perfmodel.commands.tracing import is_trace, trace_loops_command

if TYPE_CHECKING:
    from perfmodel.operations.parallel import Parallel as Shared
    from perfmodel.specifications.model import Model as SpecifiedModel

models_app = Application(no_args_is_help=True, help="The models in the catalogue, and what a model file holds.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.add_typer(models_app, name="models")
    app.command("loops", epilog="Example: perfmodel loops gemma-3-27b")(loops)


@models_app.command("list", epilog="Example: perfmodel models list --json")
@delivers
def models_list(
    word: Word = None,
    family: Annotated[str | None, typer.Option("--family", help="Only models of this family.")] = None,
    least: ModelsAtLeast = None,
    *,
    delivery: Delivery,
) -> None:
    """The models in the catalogue, with parameters counted from their shapes."""
    from perfmodel.report.listed import listed, models_document, models_rows

    models = listed("models") if word is not None or family is not None else []
    some = [row["name"] for row in having(word, models, "models")] if word is not None else None
    of_family = chosen("--family", family, sorted({row["family"] for row in models}))
    numbers = at_least(least, model_value)

    def rows() -> list[dict[str, Any]]:
        return models_rows(some, of_family, numbers)

    delivery.deliver_list(rows, lambda: models_document(rows()), name="models list")


@models_app.command("show", epilog="Example: perfmodel models show deepseek-v3 --weights fp8")
@delivers
def models_show(
    model: Model, devices: Devices = None, parallel: Parallel = None, weights: Weights = None, *, delivery: Delivery
) -> None:
    """The operations of one decode step: parameters, bytes and FLOPs of each, and how often it runs."""
    from perfmodel.operations import decode_step
    from perfmodel.operations.storing import formats_of
    from perfmodel.report.catalogued import operations_document, operations_rows
    from perfmodel.specifications.catalogue import find_model

    found = find_model(model)
    step = decode_step(found, formats_of(found, weights, None), _shared(found, devices, parallel))
    times: dict[Any, int] = {}
    for operation in step.all_operations():
        times[operation] = times.get(operation, 0) + 1

    delivery.deliver_list(lambda: operations_rows(times), lambda: operations_document(found, operations_rows(times)))


@models_app.command("check", epilog="Example: perfmodel models check ./config.json")
@delivers
def models_check(names: Names = None, *, delivery: Delivery) -> None:
    """Read models, count their parameters and compare with what was published; exit 1 on a fault."""
    from perfmodel.errors import PerfModelError
    from perfmodel.operations import parameter_count
    from perfmodel.report.catalogued import checked_document
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
    told = tally(len(found), sum(bool(r["fault"]) for r in found), "model")
    delivery.deliver_list(lambda: found, lambda: checked_document(found, told))
    if any(r["fault"] for r in found):
        raise typer.Exit(1)


@models_app.command("import", epilog="Example: perfmodel models import ./config.json -o my-model.toml")
def models_import(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A Hugging Face config.json, the folder that holds it, or a .gguf file."),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model; that of the folder if not given.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE.toml", help="Write to FILE.toml, whole or not at all.")
    ] = None,
) -> None:
    """Turn a config.json, or the header of a .gguf file, into a model file of ours that says where it came from."""
    import hashlib

    from perfmodel.report.files.whole import write_whole
    from perfmodel.specifications.files import is_folder, read_bytes
    from perfmodel.specifications.ggufs import read_header
    from perfmodel.specifications.modelfiles import BESIDE, file_of, gguf_toml, model_toml, read_config

    path = file_of(Path(file)) if is_folder(Path(file)) else Path(file)
    if path.suffix == ".gguf":
        text = gguf_toml(read_header(path), name=name or path.stem, source=f"header of {path.name}")
    else:
        files = [path, *(beside for beside in (path.parent / BESIDE,) if beside.is_file())]
        source = "; ".join(f"{one.name}, SHA-256 {hashlib.sha256(read_bytes(one)).hexdigest()}" for one in files)
        text = model_toml(read_config(path), name=name or path.resolve().parent.name, source=source)
    if output is None:
        show(text)
    else:
        write_whole(Path(output), text)


@delivers
def loops(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|TRACE",
            autocompletion=completed("models"),
            help="Catalogue name, model TOML, Hugging Face config.json or its folder; or a recorded profile.",
        ),
    ],
    devices: Devices = None,
    parallel: Parallel = None,
    loop_at_most: LoopAtMost = None,
    loop_only: LoopOnly = None,
    *,
    delivery: Delivery,
) -> None:
    """Which layers of MODEL are the same kernel and can be looped, or of a recorded TRACE.

    Bodies, counts, what stays outside and why, and what looping removes.
    """
    if is_trace(model):
        trace_loops_command(model, delivery)
        return
    from perfmodel.analysis.loopreports import loop_report
    from perfmodel.report.catalogued import loops_document, loops_rows
    from perfmodel.specifications.catalogue import find_model

    at_most = count(loop_at_most, "loop_at_most")
    found = find_model(model)
    report = loop_report(found, devices=_shared(found, devices, parallel), loop_at_most=at_most, loop_only=loop_only)
    delivery.deliver_list(lambda: loops_rows(report), lambda: loops_document(report))


def _shared(model: "SpecifiedModel", devices: str | None, parallel: str | None) -> "int | Shared":
    """Return how `--devices` and `--parallel` share the work."""
    from perfmodel.operations.parallel import read_parallel

    number = count(devices, "devices")
    return read_parallel(parallel, model, number) or number or 1
