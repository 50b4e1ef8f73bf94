"""Where the data folders and the command line are: inside the package in a wheel, beside it in a checkout."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """Return the folder `name` (hardware, models, ...): the one inside an installed package, else the checkout's."""
    inside = PACKAGE / "_data" / name
    return inside if inside.exists() else PACKAGE.parent / name


def load_command_line() -> ModuleType:
    """Return the module of cli.py under the name perfmodel.cli, whichever layout it was found in."""
    if (module := sys.modules.get("perfmodel.cli")) is not None:
        return module
    inside = PACKAGE / "cli.py"
    path = inside if inside.exists() else PACKAGE.parent / "cli.py"
    spec = importlib.util.spec_from_file_location("perfmodel.cli", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no command line at {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["perfmodel.cli"] = module
    spec.loader.exec_module(module)
    return module
