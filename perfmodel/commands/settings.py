"""Which what-ifs of `--set` do not enter an answer: a known key that changes nothing must not pass in silence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfmodel.errors import PerfModelError
from perfmodel.estimates.costs import COSTS

# Not among the assumptions, for no time follows from them: whether the model fits, and what a token costs.
_MEMORY = "memory.capacity"
_SHOW_COSTS = ("compare_command", "choose_command", "report_command", "request_command")
# Commands whose JSON holds a whole answer.
_WHOLE_IN_JSON = ("estimate_command", "solve_command", "sensitivity_command")


def unused(command: str, given: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return the keys set in `asked` that do not enter the answer of `command`, in their order.

    command: the function of the command; given: its other arguments; asked: the options of its question.
    """
    models = given.get("models") or given.get("model") or given.get("what")
    hardware = given.get("hardware")
    if models is None or hardware is None:
        return []
    known = {name: value for name, value in asked.items() if value is not None}
    try:
        entered = _entered(models, hardware, known, grid="models" in given or command == "plot_command")
    except PerfModelError:
        return []  # a question that this way cannot be asked: its command knows more of it
    entered.add(_MEMORY)
    if _shows_costs(command, given):
        entered.update(key for key, _ in COSTS.values())
    ladder = given.get("modes") is not None
    return [key for key in asked["parameters"] if key not in entered and not (ladder and key.startswith("modes."))]


def _shows_costs(command: str, given: Mapping[str, Any]) -> bool:
    """Return whether the answer of `command` has energy and price."""
    columns, ending = given.get("columns"), Path(given.get("output") or "").suffix
    if command in _SHOW_COSTS or given.get("kind") in ("choose", "request"):
        return True
    if columns is not None:
        return any(name.strip() == "all" or name.strip().partition(".")[0] in COSTS for name in columns.split(","))
    if given.get("as_json") or ending == ".json":
        return command in _WHOLE_IN_JSON
    return command == "estimate_command" and not given.get("as_csv") and ending != ".csv"


def _entered(models: str, hardware: str, asked: dict[str, Any], *, grid: bool) -> set[str]:
    """Return the keys among the assumptions of any point of the question."""
    if grid:
        from perfmodel.sweeps.sweeps import make_grid

        questions = [case.question for case in make_grid(models, hardware, **asked).questions.values()]
    else:
        from perfmodel.estimates.conditioning import ask

        questions = [ask(models, hardware, **asked)]
    entered = {assumption.name for question in questions for assumption in question.assumptions}
    # How many devices one domain of links joins decides over which of them an exchange runs.
    return entered | {"link.domain"} if any(question.devices > 1 for question in questions) else entered
