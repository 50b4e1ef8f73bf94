"""The version, and where the rest is.

Data folders and command line, inside the package in a wheel, beside it in a checkout.
"""

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from perfmodel.errors import PerfModelError

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.axes import Axes

__version__ = "0.2.0"
# Of the JSON outputs: the second number grows when keys are added, the first when any is renamed or removed.
SCHEMA = "1.0"
PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """Return the folder `name` (hardware, models, ...): the one inside an installed package, else the checkout's."""
    inside = PACKAGE / "_data" / name
    return inside if inside.exists() else PACKAGE.parent / name


class ShownInNotebooks:
    """A mixin that shows and plots an answer by functions of the report: those that `FRAGMENTS` and `PLOTS` name.

    The report knows the answers, not the other way round, so it is loaded by name, when somebody asks.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        fragment: str = function_at(FRAGMENTS[type(self).__name__])(self)
        return fragment

    def __str__(self) -> str:
        """Return the answer in short, for `print`; the whole record is its repr."""
        place = TEXTS.get(type(self).__name__)
        text: str = repr(self) if place is None else function_at(place)(self)
        return text

    def plot(self, kind: str | None = None, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Return matplotlib axes with a picture: `ax`, or axes on a new figure, which `.figure` gives to save.

        kind: of an Estimate the name of a picture, as `perfmodel plot` takes it ("waterfall" if not given); of a Sweep
        the axis that lines go along (the longest if not given); of a Comparison "bars" or "pareto".
        options: title, caption; of an Estimate also devices, batch and context, the points of its axes, such as
        "1:16:x2", and figure, what a tornado is about.
        Raises PerfModelError for a picture that there is not. A figure may be saved as SVG, PNG or PDF:
        `answer.plot("batch").figure.savefig("batch.pdf")`.
        """
        axes: Axes = function_at(PLOTS[type(self).__name__])(self, kind, ax, **options)
        return axes


class Framed:
    """A mixin: an answer as a data frame of pandas or polars, neither of which is a dependency of this package."""

    __slots__ = ()

    def _frame(self) -> Any:
        """Return what a frame is made of: flat rows, or values by column."""
        return self.rows()  # type: ignore[attr-defined]

    def to_pandas(self, *, flat: bool = False) -> "pandas.DataFrame":
        """Return the answer as a pandas DataFrame with the columns of `rows`.

        flat: names with underscores, such as `before_time_per_step`, in place of dots and dashes.
        Raises PerfModelError where pandas is not installed.
        """
        frame: pandas.DataFrame = _library("pandas").DataFrame(_renamed(self._frame(), flat=flat))
        return frame

    def to_polars(self, *, flat: bool = False) -> "polars.DataFrame":
        """Return the answer as a polars DataFrame, as `to_pandas` does."""
        frame: polars.DataFrame = _library("polars").DataFrame(_renamed(self._frame(), flat=flat))
        return frame


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise PerfModelError(
            f"to_{name}: {name} is not installed: pip install 'perfmodel[{name}]', or take the answer's rows()"
        ) from None


def _renamed(frame: Any, *, flat: bool) -> Any:
    if not flat:
        return frame
    if isinstance(frame, list):
        return [_renamed(row, flat=True) for row in frame]
    return {re.sub(r"[^0-9A-Za-z]+", "_", name): value for name, value in frame.items()}


def function_at(place: str) -> Any:
    """Return the function at `module:function`."""
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)


# What shows an answer in a notebook, and what plots it, by the answer's class.
FRAGMENTS = {
    "Comparison": "perfmodel.report.notebook:comparison_fragment",
    "Estimate": "perfmodel.report.notebook:estimate_fragment",
    "Request": "perfmodel.report.notebook:request_fragment",
    "Selection": "perfmodel.report.notebook:selection_fragment",
    "Sweep": "perfmodel.report.notebook:sweep_fragment",
}
# What `print` shows of an answer; the whole record is its repr.
TEXTS = {"Comparison": "perfmodel.report.tables:comparison_text", "Estimate": "perfmodel.report.answer:short_text"}
PLOTS = {
    "Comparison": "perfmodel.report.pictures.plotting:plot_comparison",
    "Estimate": "perfmodel.report.pictures.plotting:plot_estimate",
    "Request": "perfmodel.report.pictures.plotting:plot_request",
    "Selection": "perfmodel.report.pictures.plotting:plot_selection",
    "Sweep": "perfmodel.report.pictures.plotting:plot_sweep",
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
