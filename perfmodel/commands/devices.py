"""The commands about devices: list, show, check, new."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands.application import Application, completed
from perfmodel.commands.delivering import Delivery, show, tally
from perfmodel.commands.filters import AtLeast, Word, at_least, chosen, device_value, having
from perfmodel.commands.shared import Hardware, Names, delivers
from perfmodel.errors import UnknownNameError, nearest, shown

if TYPE_CHECKING:
    from perfmodel.report.text import Document

hardware_app = Application(no_args_is_help=True, help="The devices in the catalogue, and what a hardware file holds.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.add_typer(hardware_app, name="hardware")


@hardware_app.command("list", epilog="Example: perfmodel hardware list --vendor AMD --sort bandwidth")
@delivers
def hardware_list(
    word: Word = None,
    least: AtLeast = None,
    vendor: Annotated[str | None, typer.Option("--vendor", help="Only devices of this vendor.")] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", autocompletion=completed("modes"), help="Only devices that have this launch mode."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="Sort by name, vendor, year, bandwidth, capacity or bf16; numbers largest first.",
        ),
    ] = "name",
    *,
    delivery: Delivery,
) -> None:
    """The devices in the catalogue."""
    from perfmodel.report.listed import devices_document, devices_rows, listed
    from perfmodel.specifications.parameters import MODES

    sortable = ("name", "vendor", "year", "bandwidth", "capacity", "bf16")
    if sort not in sortable:
        raise UnknownNameError(f"--sort: {shown(sort)} is not one of {', '.join(sortable)}{nearest(sort, sortable)}")
    if mode is not None and mode not in MODES:
        raise UnknownNameError(
            f"--mode: {shown(mode)} is not a launch mode{nearest(mode, MODES)}; known are {', '.join(MODES)}"
        )
    devices = listed("hardware") if word is not None or vendor is not None else []
    some = [row["name"] for row in having(word, devices, "devices")] if word is not None else None
    of_vendor = chosen("--vendor", vendor, sorted({row["vendor"] for row in devices}))
    numbers = at_least(least, device_value)

    def rows() -> list[dict[str, Any]]:
        return devices_rows(of_vendor, mode or "", sort, some, numbers)

    delivery.deliver_list(rows, lambda: devices_document(rows()), name="hardware list")


@hardware_app.command("show", epilog="Example: perfmodel hardware show h100-sxm")
@delivers
def hardware_show(
    hardware: Hardware,
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="One value by its key, such as arithmetic.fp8.")
    ] = None,
    *,
    delivery: Delivery,
) -> None:
    """Every value of a device with its interval, kind and source."""
    from perfmodel.report.catalogued import device_document, device_rows
    from perfmodel.specifications.catalogue import find_hardware

    device = find_hardware(hardware)
    if key is not None and key not in device.values:
        raise UnknownNameError(
            f"{device.name} has no value for {key}: no source gives one{nearest(key, device.values)}"
        )
    values = device.values if key is None else {key: device.values[key]}
    delivery.deliver_list(lambda: device_rows(values), lambda: device_document(device, values, whole=key is None))


@hardware_app.command("check", epilog="Example: perfmodel hardware check ./mine.toml")
@delivers
def hardware_check(names: Names = None, *, delivery: Delivery) -> None:
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

        head = f"{tally(len(asked), errors, 'device')}, {len(found) - errors} doubts"
        if not found:
            return Document([head])
        return Document(
            [
                head,
                Table(("name", "key", "", "what"), [(f["name"], f["key"], f["severity"], f["message"]) for f in found]),
            ]
        )

    delivery.deliver_list(lambda: found, document, name="hardware check")
    if errors:
        raise typer.Exit(1)


@hardware_app.command("new", epilog="Example: perfmodel hardware new my-card -o my-card.toml")
def hardware_new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the device is called.")],
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE.toml", help="Write to FILE.toml, whole or not at all.")
    ] = None,
) -> None:
    """A device file to fill in. Three values are needed; every other key stands there with what it means."""
    from perfmodel.report.files.whole import write_whole
    from perfmodel.specifications.templates import device_template

    text = device_template(name)
    if output is None:
        show(text)
    else:
        write_whole(Path(output), text)
