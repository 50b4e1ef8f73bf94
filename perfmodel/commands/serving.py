"""mcp: the questions of the command line as tools of the Model Context Protocol, over standard input and output."""

import contextlib
import io
import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import typer

from perfmodel._layout import __version__, load_command_line
from perfmodel.errors import PerfModelError, shown
from perfmodel.estimates.options import OPTIONS, Option

Schema = dict[str, Any]
_ONE = {"model": "A model: its name in the catalogue, or a file.", "hardware": "A device: its name, or a file."}
_MANY = {"models": "Models, separated by commas.", "hardwares": "Devices, separated by commas."}
_MODES = {"modes": "The ladder of launch modes: all, or names separated by commas."}
_SOLVE = {
    "unknown": "What is solved for: a parameter by its path, boundary, batch, context or devices.",
    "target": "FIGURE=VALUE, such as speedup=1.2 or after.fraction_of_peak=0.8.",
    "question": "A named question in place of both, such as boundary-for-peak.",
}
_CHOOSE = {
    "tpot": "Longest time per output token of a user, such as 20ms.",
    "ttft": "Longest time to the first token, such as 500ms.",
    "confidence": "0.5 holds the limits at the value, 0.95 at the pessimistic end.",
    "rank": "price, device or user.",
    "most": "Choices listed at most.",
}


class ToolOffered(NamedTuple):
    """A command as a tool.

    given: its arguments; further: options of its own; asks: whether it has those of a question; axes: whether
    these take several values.
    """

    command: str
    about: str
    given: Mapping[str, str]
    further: Mapping[str, str] = {}
    axes: bool = False
    asks: bool = True


TOOLS = {
    "estimate": ToolOffered(
        "estimate", "How fast a model generates tokens on a device, before and after looping.", _ONE
    ),
    "compare": ToolOffered(
        "compare", "Choices of model, device and options beside each other.", _MANY, _MODES, axes=True
    ),
    "solve": ToolOffered("solve", "The value of one unknown for which a figure is what is asked.", _ONE, _SOLVE),
    "choose": ToolOffered("choose", "The best ways to serve a model under limits of time.", _MANY, _CHOOSE, axes=True),
    "explain": ToolOffered("explain", "The closed form of an estimate, with where each number comes from.", _ONE),
    "list_models": ToolOffered("models list", "The models in the catalogue.", {}, asks=False),
    "list_hardware": ToolOffered("hardware list", "The devices in the catalogue.", {}, asks=False),
}


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command(
        "mcp",
        epilog='Example: perfmodel mcp (an assistant\'s settings have {"command": "perfmodel", "args": ["mcp"]})',
        short_help="The questions as tools for an assistant.",
    )(mcp_command)


def mcp_command() -> None:
    """Serve estimate, compare, solve, choose, explain and the lists as tools of the Model Context Protocol.

    An assistant starts this program and talks to it over standard input and output. It needs the extra mcp.
    """
    try:
        import anyio
        from mcp.server.lowlevel import Server
        from mcp.server.stdio import stdio_server
        from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool
    except ImportError:
        raise PerfModelError("mcp: needs the package of the protocol: pip install 'perfmodel[mcp]'") from None

    async def listed(*_: Any) -> Any:
        tools = [
            Tool(name=name, description=tool.about, inputSchema=input_schema(tool), outputSchema=output_schema(tool))
            for name, tool in TOOLS.items()
        ]
        return ListToolsResult(tools=tools)

    async def called(_context: Any, asked: Any) -> Any:
        try:
            found = answer(asked.name, asked.arguments or {})
        except PerfModelError as error:
            return CallToolResult(content=[TextContent(text=str(error))], isError=True)
        return CallToolResult(content=[TextContent(text=json.dumps(found))], structuredContent=found)

    async def serve() -> None:
        server: Any = Server("perfmodel", version=__version__, on_list_tools=listed, on_call_tool=called)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(serve)


def input_schema(tool: ToolOffered) -> Schema:
    """Return the JSON Schema of a tool's arguments: those of its command and the options of a question."""
    properties: Schema = {name: {"type": "string", "description": said} for name, said in tool.given.items()}
    properties |= {name: {"type": ["string", "number"], "description": said} for name, said in tool.further.items()}
    if tool.asks:
        properties |= {option.name: _described(option, axes=tool.axes) for option in OPTIONS}
    return {"type": "object", "properties": properties, "required": list(tool.given), "additionalProperties": False}


def _described(option: Option, *, axes: bool) -> Schema:
    several = " Several values are separated by commas, or a grid such as 1:64:x2." if axes and option.axis else ""
    said = {"description": option.help + several}
    if option.kind == "settings":
        return {"type": "object", "additionalProperties": {"type": ["string", "number"]}, **said}
    return {"type": ["string", "number"] if option.kind in ("count", "tokens", "number") else "string", **said}


def output_schema(tool: ToolOffered) -> Schema:
    """Return the JSON Schema of what a tool answers: that of its command's JSON; a list stands under rows."""
    from perfmodel.report.schemas import schema_of

    schema = schema_of(tool.command)
    if schema["type"] == "object":
        return schema
    parts = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    return {"type": "object", "properties": {"rows": schema}, "required": ["rows"], **parts}


def answer(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool answers: the JSON of its command.

    Raises PerfModelError with one line for a name or a value that cannot be used.
    """
    tool = TOOLS.get(name)
    if tool is None:
        raise PerfModelError(f"there is no tool {shown(name)}; there are {', '.join(TOOLS)}")
    known = input_schema(tool)["properties"]
    unknown = [each for each in arguments if each not in known]
    if unknown or not arguments.keys() >= tool.given.keys():
        missing = ", ".join(each for each in tool.given if each not in arguments)
        raise PerfModelError(f"{name}: {f'no argument {shown(unknown[0])}' if unknown else f'needs {missing}'}")
    settings = arguments.get("parameters") or {}
    if not isinstance(settings, Mapping):
        raise PerfModelError(f"{name}: parameters: {shown(settings)} is no object of keys and values")
    words = [*tool.command.split(), "--json", *(f"--set={path}={value}" for path, value in settings.items())]
    for key, value in arguments.items():
        if key not in (*tool.given, "parameters") and value is not None:
            words.append(f"--{key.replace('_', '-')}={value}")
    if tool.given:
        words += ["--", *(str(arguments[key]) for key in tool.given)]
    found = json.loads(_printed(words))
    return found if isinstance(found, dict) else {"rows": found}


def _printed(words: list[str]) -> str:
    """Return what a command prints; raise PerfModelError with what it complains of."""
    said, complained, before = io.StringIO(), io.StringIO(), sys.argv
    code: Any = 0
    sys.argv = ["perfmodel", *words]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            load_command_line().main()
    except SystemExit as left:
        code = left.code
    finally:
        sys.argv = before
    if code:
        last = complained.getvalue().strip().rpartition("\n")[2]  # behind notes
        raise PerfModelError(last.removeprefix("perfmodel: "))
    return said.getvalue()
