"""The version, and where the rest is.

Data folders and command line, inside the package in a wheel, beside it in a checkout.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

__version__ = "0.1.0"
PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """Return the folder `name` (hardware, models, ...): the one inside an installed package, else the checkout's."""
    inside = PACKAGE / "_data" / name
    return inside if inside.exists() else PACKAGE.parent / name


class ShownInNotebooks:
    """A mixin: shows an answer in a notebook by the function of the report that `FRAGMENTS` names for its class.

    The report knows the answers, not the other way round, so it is loaded by name, when a notebook asks.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        module, _, function = FRAGMENTS[type(self).__name__].partition(":")
        fragment: str = getattr(importlib.import_module(module), function)(self)
        return fragment


# What shows an answer in a notebook, by the answer's class.
FRAGMENTS = {
    "Comparison": "perfmodel.report.notebook:comparison_fragment",
    "Estimate": "perfmodel.report.notebook:estimate_fragment",
    "Sweep": "perfmodel.report.notebook:sweep_fragment",
}


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
