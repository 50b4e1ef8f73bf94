"""Predict how fast a model generates tokens on a machine, before and after kernel looping.

>>> from perfmodel import estimate
>>> answer = estimate("llama-3.1-8b", "sn40l", devices=8, context=4096)
>>> answer.before.kernel_calls, answer.after.kernel_calls
(35, 4)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfmodel.catalogue import find_hardware, find_model
    from perfmodel.comparisons import compare
    from perfmodel.errors import PerfModelError
    from perfmodel.estimator import estimate
    from perfmodel.explanations import explain
    from perfmodel.hardware import Hardware
    from perfmodel.model import Model
    from perfmodel.results import Estimate
    from perfmodel.sensitivities import sensitivity
    from perfmodel.solver import solve
    from perfmodel.sweeps import Sweep, sweep

__version__ = "0.1.0"
__all__ = ["Estimate", "Hardware", "Model", "PerfModelError", "Sweep", "compare", "estimate", "explain", "find_hardware", "find_model", "sensitivity", "solve", "sweep"]

# Where each public name lives; loaded on first use, so that `import perfmodel` costs next to nothing.
_HOMES = {
    "Estimate": "results",
    "Hardware": "hardware",
    "Model": "model",
    "PerfModelError": "errors",
    "Sweep": "sweeps",
    "compare": "comparisons",
    "estimate": "estimator",
    "explain": "explanations",
    "find_hardware": "catalogue",
    "find_model": "catalogue",
    "sensitivity": "sensitivities",
    "solve": "solver",
    "sweep": "sweeps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'perfmodel' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"perfmodel.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
