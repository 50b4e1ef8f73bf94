"""Predict how fast a model generates tokens on a machine, before and after kernel looping.

>>> from perfmodel import estimate
>>> answer = estimate("llama-3.1-8b", "sn40l", devices=8, context=4096)
>>> answer.before.kernel_calls, answer.after.kernel_calls
(35, 4)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfmodel._layout import __version__
    from perfmodel.analysis.advice import advise
    from perfmodel.analysis.explanations import explain
    from perfmodel.analysis.sensitivities import sensitivity
    from perfmodel.analysis.solver import solve
    from perfmodel.errors import PerfModelError
    from perfmodel.estimates.answers import Estimate, estimate
    from perfmodel.estimates.requests import Request, request
    from perfmodel.specifications.catalogue import find_hardware, find_model
    from perfmodel.specifications.hardware import Hardware
    from perfmodel.specifications.model import Model
    from perfmodel.sweeps.choosing import choose
    from perfmodel.sweeps.comparisons import compare
    from perfmodel.sweeps.sweeps import Sweep, sweep

__all__ = [
    "Estimate",
    "Hardware",
    "Model",
    "PerfModelError",
    "Request",
    "Sweep",
    "__version__",
    "advise",
    "choose",
    "compare",
    "estimate",
    "explain",
    "find_hardware",
    "find_model",
    "request",
    "sensitivity",
    "solve",
    "sweep",
]

# Where each public name lives; loaded on first use, so that `import perfmodel` costs next to nothing.
_HOMES = {
    "Estimate": "estimates.answers",
    "Hardware": "specifications.hardware",
    "Model": "specifications.model",
    "PerfModelError": "errors",
    "Request": "estimates.requests",
    "Sweep": "sweeps.sweeps",
    "__version__": "_layout",
    "advise": "analysis.advice",
    "choose": "sweeps.choosing",
    "compare": "sweeps.comparisons",
    "estimate": "estimates.answers",
    "explain": "analysis.explanations",
    "find_hardware": "specifications.catalogue",
    "find_model": "specifications.catalogue",
    "request": "estimates.requests",
    "sensitivity": "analysis.sensitivities",
    "solve": "analysis.solver",
    "sweep": "sweeps.sweeps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'perfmodel' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"perfmodel.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
