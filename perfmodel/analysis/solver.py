"""Inverse questions: the value of one unknown for which a figure of the answer is what is asked.

The root is found on the same terms that `estimate` gives (perfmodel.estimates.figures): bracketed by a scan, then by
scipy's brentq, or by bisection for whole numbers. Where the figure is linear or quadratic in the unknown on
the branch that holds there, sympy solves it too: that value is the answer and its formula is shown.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Unpack

import msgspec

from perfmodel.analysis.closedforms import BranchCondition
from perfmodel.analysis.formulas import closed_root
from perfmodel.analysis.roots import between, close, crossings_of, nothing_reaches, shown_figure, spread
from perfmodel.analysis.shapes import deeper, wider
from perfmodel.analysis.targets import NAMED, Target, read_target
from perfmodel.errors import PerfModelError, SpecificationError, UnknownNameError, nearest, shown
from perfmodel.estimates.answers import Estimate, answer_to
from perfmodel.estimates.bestdrafts import LONGEST_CHAIN
from perfmodel.estimates.breakeven import last_paying_batch
from perfmodel.estimates.conditioning import prepared_with
from perfmodel.estimates.figures import costs_at, figure_at, parameters_in_use
from perfmodel.estimates.options import Asked
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import read_question
from perfmodel.estimates.splits import tensor_splits
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.keys import Parameter
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import lookup
from perfmodel.units import LARGEST_BATCH, LONGEST_CONTEXT, MOST_DEVICES

# Unknowns that are whole numbers, with the least and the largest that is tried.
WHOLE = {
    "batch": (1, LARGEST_BATCH),
    "context": (0, LONGEST_CONTEXT),
    "devices": (1, MOST_DEVICES),
    "loop_at_most": (1, 4096),
    "draft": (0, LONGEST_CHAIN),
    "layers": (1, 1024),
    "hidden": (64, 65_536),
}
# Of these the fewest that reach the target are the answer; of the others the crossing nearest to what was asked.
_FEWEST = ("loop_at_most", "draft")
_STEP = {"hidden": 64}
_TYPICAL = {"s": 1e-6, "B": 1e6, "B/s": 1e12, "FLOP/s": 1e14, "1": 0.5}


class NoSolutionError(PerfModelError):
    """No value of the unknown reaches the target; the message says what comes nearest."""


class Solution(msgspec.Struct, frozen=True, eq=False):
    """The value of the unknown, and the answer of `estimate` there.

    value, stands: what was found and what the question had, None for no limit [unit].
    reached: the figure at `value`; for a whole number the first that meets the target, so not the target itself.
    exact: the root of the same terms when the whole number may be broken, for batch and context, else None.
    formula: the unknown written out, in the symbols of `perfmodel explain` and `target`, None without a closed form;
    conditions: what must hold for it. parameters: weights of the model found, where its size was asked.
    """

    question: str | None
    unknown: str
    unit: str
    value: float
    stands: float | None
    figure: str
    target: float
    target_unit: str
    reached: float
    exact: float | None
    method: str
    formula: str | None
    latex: str | None
    conditions: tuple[BranchCondition, ...]
    parameters: int | None
    answer: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the solution as plain dicts, lists, numbers and texts, in base units."""
        names = [name for name in self.__struct_fields__ if name != "answer"]
        plain: dict[str, Any] = msgspec.to_builtins({name: getattr(self, name) for name in names})
        return plain | {"answer": self.answer.to_dict()}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row: the solution, then the answer there."""
        whole = self.to_dict()
        return [
            {key: value for key, value in whole.items() if key not in ("answer", "conditions")} | self.answer.rows()[0]
        ]


def solve(
    model: str | Model,
    hardware: str | Hardware,
    *,
    unknown: str | None = None,
    target: str | Mapping[str, Any] | None = None,
    question: str | None = None,
    **asked: Unpack[Asked],
) -> Solution:
    """Find the value of one unknown for which a figure of the estimate is what is asked.

    unknown: the path of a parameter in use, `boundary` for that of the mode before, or one of batch, context,
    devices, loop_at_most, layers, hidden (the width of a model of this shape).
    target: FIGURE=VALUE, {figure: value in base units}, or compute-bound; gain=0.05 is a speed-up of
    1.05, share-of-gain=0.9 keeps 90 % of what looping gains.
    question: a key of NAMED, which gives both; a target given too replaces its own.
    The other arguments are those of `perfmodel.estimate`.
    Raises NoSolutionError with what comes nearest, UnknownNameError, SpecificationError or ValueRangeError.

    >>> round(solve("llama-3.1-8b", "sn40l", devices=8, unknown="boundary", target="speedup=1.2").value * 1e6, 1)
    8.8
    """
    if question is not None:
        if question not in NAMED:
            raise UnknownNameError(
                f"question: {shown(question)} is not one I know{nearest(question, NAMED)}; there are {', '.join(NAMED)}"
            )
        unknown, target = unknown or NAMED[question].unknown, target or NAMED[question].target
    if not unknown or not target:
        raise SpecificationError("solve needs an unknown and a target, or a question that has both")
    problem = _Problem(model, hardware, asked)
    goal = read_target(target, lambda: problem.now.speedup.value)
    if unknown in WHOLE:
        return problem.whole_number(unknown, goal, question)
    return problem.parameter(problem.path(unknown), goal, question)


class _Problem:
    """One question and the ways to change it."""

    def __init__(self, model: str | Model, hardware: str | Hardware, asked: Asked) -> None:
        self.now = answer_to(read_question(model, hardware, **asked))
        self.arguments = self.now.asked.arguments
        self.asked = self.now.prepared
        self.batch, self.context = self.now.batch, self.now.context

    def _ask(self, **changes: Any) -> Prepared:
        return prepared_with(read_question(**(self.arguments | changes)), self.now.prepared.known)

    def path(self, unknown: str) -> str:
        """Return the path of the parameter that is sought."""
        used = parameters_in_use(self.asked)
        mode = self.asked.before.mode.name
        if unknown == "boundary":
            given = self.asked.hardware.mode_value(mode, "boundary")
            unknown = given[0] if given else f"modes.{mode}.boundary"
        if unknown == f"modes.{mode}.boundary" and unknown not in used:
            used = self._with_boundary(unknown)
        if unknown in used:
            return unknown
        if lookup(unknown) is not None:
            raise SpecificationError(f"unknown: {unknown} does not enter this answer; those that do: {', '.join(used)}")
        known = [*used, *WHOLE, "boundary"]
        raise UnknownNameError(
            f"unknown: {shown(unknown)} is nothing to solve for{nearest(unknown, known)}; there are {', '.join(known)}"
        )

    def _with_boundary(self, path: str) -> tuple[str, ...]:
        """Let one boundary cost stand for bare + ramp + tail, as `--set` would, and return the parameters then in use."""
        bare = costs_at(self.asked.before, {}).fixed.boundary
        hidden = self.asked.hardware.values.get(path.replace(".boundary", ".hidden"))
        whole = bare / (1 - hidden.value) if hidden and hidden.value < 1 else bare
        self.arguments["parameters"] = dict(self.arguments["parameters"] or {}) | {path: whole}
        self.asked = self._ask()
        return parameters_in_use(self.asked)

    # --- a parameter

    def parameter(self, path: str, goal: Target, name: str | None) -> Solution:
        """Solve for a parameter."""
        quantity, parameter = self.asked.hardware.values[path], lookup(path)
        assert parameter is not None  # noqa: S101 - a path in use is in the table

        def figure(x: float) -> float:
            return float(figure_at(self.asked, goal.figure, self.batch, self.context, {path: x}))

        root = self._root(figure, goal, path, quantity.value, parameter)
        closed = closed_root(self.asked, goal.figure, goal.value, path, self.batch, self.context, root)
        if closed and not (
            parameter.least <= closed.value <= parameter.most and close(figure(closed.value), goal.value)
        ):
            closed = None
        value = closed.value if closed else root
        answer = self.now.replace(parameters=dict(self.arguments["parameters"] or {}) | {path: value})
        return Solution(
            name,
            path,
            quantity.unit,
            value,
            quantity.value,
            goal.figure,
            goal.value,
            goal.unit,
            figure(value),
            None,
            "closed form" if closed else "bracketed root",
            closed.formula if closed else None,
            closed.latex if closed else None,
            closed.conditions if closed else (),
            None,
            answer,
        )

    @staticmethod
    def _root(figure: Callable[[float], float], goal: Target, path: str, stands: float, parameter: Parameter) -> float:
        from scipy.optimize import brentq

        if stands and close(figure(stands), goal.value, 1e-13):
            return stands
        scale = stands or _TYPICAL[parameter.unit]
        points = sorted(
            {
                *([] if parameter.positive else [parameter.least]),
                scale,
                *(scale * 10 ** (k / 4) for k in range(-32, 33)),
                *([parameter.most] if parameter.most < 1e30 else []),
            }
        )
        found = [(x, figure(x)) for x in points if parameter.least <= x <= parameter.most]
        crossings = crossings_of(found, goal)
        if not crossings:
            # The figure may turn between two points: look closer around the nearest one.
            nearest_one = min(range(len(found)), key=lambda i: abs(found[i][1] - goal.value))
            low_end, high_end = found[max(nearest_one - 1, 0)][0], found[min(nearest_one + 1, len(found) - 1)][0]
            found = sorted(
                {*found, *((x, figure(x)) for x in (low_end + (high_end - low_end) * k / 400 for k in range(401)))}
            )
            crossings = crossings_of(found, goal)
        if not crossings:
            x, best = min(found, key=lambda pair: abs(pair[1] - goal.value))
            if close(best, goal.value, 1e-13):
                return x
            if all(close(value, best) for _, value in found):
                raise NoSolutionError(
                    f"no solution: {goal.figure} does not depend on {path} here; it stays {shown_figure(best, goal.unit)},"
                    f" asked {shown_figure(goal.value, goal.unit)}"
                )
            raise NoSolutionError(nothing_reaches(goal, path, shown_figure(x, parameter.unit), best))
        low, high = min(crossings, key=lambda pair: abs(math.log(max(pair[1][0], 1e-30) / scale)))
        for x, value in (low, high):
            if value == goal.value:
                return x
        return float(brentq(lambda x: figure(x) - goal.value, low[0], high[0], xtol=1e-300, rtol=1e-15, maxiter=1000))

    # --- a whole number

    def whole_number(self, unknown: str, goal: Target, name: str | None) -> Solution:
        """Solve for a whole number: the first that meets the target, or the last before it no longer does."""
        figure = self._figure_of(unknown, goal)
        stands = {
            "layers": len(self.asked.model.layers),
            "hidden": self.asked.model.hidden,
            "devices": self.asked.devices,
        }.get(unknown, self.arguments.get(unknown))
        if unknown == "batch" and goal.figure == "speedup.value" and figure(self.batch) >= goal.value:
            last = last_paying_batch(self.now.asked, self.now.prepared, pays=goal.value)
            if last is None:
                raise NoSolutionError(
                    f"no solution: speedup.value stays at least {goal.value:.6g} at every batch up to {LARGEST_BATCH:,}"
                )
            value = last
        else:
            value = self._search(unknown, figure, goal, stands)
        exact, closed = None, None
        if unknown in ("batch", "context"):
            exact = between(figure, goal, value, WHOLE[unknown])
        if exact is not None and exact > 0:
            closed = closed_root(self.asked, goal.figure, goal.value, unknown, self.batch, self.context, exact)
            if closed and not close(figure(closed.value), goal.value):
                closed = None
            exact = closed.value if closed else exact
        answer = self.now.replace(**self._changed(unknown, value))
        size = None
        if unknown in ("layers", "hidden"):
            from perfmodel.operations import parameter_count

            size = parameter_count(self._changed(unknown, value)["model"])
        return Solution(
            name,
            unknown,
            "1",
            value,
            stands,
            goal.figure,
            goal.value,
            goal.unit,
            figure(value),
            exact,
            "closed form" if closed else "whole-number bisection",
            closed.formula if closed else None,
            closed.latex if closed else None,
            closed.conditions if closed else (),
            size,
            answer,
        )

    def _changed(self, unknown: str, value: float) -> dict[str, Any]:
        if unknown == "layers":
            return {"model": deeper(self.asked.model, int(value))}
        if unknown == "hidden":
            return {"model": wider(self.asked.model, int(value))}
        return {unknown: value}

    def _figure_of(self, unknown: str, goal: Target) -> Callable[[float], float]:
        if unknown == "batch":
            return lambda n: float(figure_at(self.asked, goal.figure, n, self.context, {}))
        if unknown == "context":
            return lambda n: float(figure_at(self.asked, goal.figure, self.batch, n, {}))
        return lambda n: float(
            figure_at(self._ask(**self._changed(unknown, int(n))), goal.figure, self.batch, self.context, {})
        )

    def _search(self, unknown: str, figure: Callable[[float], float], goal: Target, stands: float | None) -> int:
        if unknown == "devices":
            return self._fewest_devices(figure, goal)
        least, most = WHOLE[unknown]
        if unknown == "loop_at_most":
            most = len(self.asked.model.layers)
        step = _STEP.get(unknown, 1)
        grid = [least + step * k for k in spread((most - least) // step)]
        found: list[tuple[int, float]] = []
        for n in grid:
            found.append((n, figure(n)))
            if unknown in _FEWEST and goal.met(found[-1][1]):
                break
        if unknown in _FEWEST and goal.met(found[0][1]):
            return found[0][0]
        crossings = [(a[0], b[0]) for a, b in pairwise(found) if goal.met(a[1]) != goal.met(b[1])]
        if not crossings:
            every = goal.met(found[0][1])
            n, best = min(found, key=lambda pair: abs(pair[1] - goal.value))
            raise NoSolutionError(
                nothing_reaches(goal, unknown, f"{n:,}", best, every=f"from {least:,} to {most:,}" if every else "")
            )
        origin = max(stands or 1, 1)
        low, high = min(crossings, key=lambda pair: abs(math.log(max(pair[1], 1) / origin)))
        rises = goal.met(figure(high))
        while high - low > step:
            middle = low + (high - low) // (2 * step) * step
            if goal.met(figure(middle)) == rises:
                high = middle
            else:
                low = middle
        return high if rises else low

    def _fewest_devices(self, figure: Callable[[float], float], goal: Target) -> int:
        """Return the fewest devices that meet the target, of those that can share the model."""
        numbers = tensor_splits(self.asked.model)
        found = []
        for n in numbers:
            found.append((n, figure(n)))
            if goal.met(found[-1][1]):
                return n
        n, best = min(found, key=lambda pair: abs(pair[1] - goal.value))
        raise NoSolutionError(
            f"{nothing_reaches(goal, 'devices', f'{n:,}', best)}; {self.asked.model.name} can be split over"
            f" {', '.join(f'{number:,}' for number in numbers)}"
        )


# --- models of the same shape
