"""Inverse questions: the value of one unknown for which a figure of the answer is what is asked.

The root is found on the same terms that `estimate` gives (perfmodel.estimates.figures): bracketed by a scan, then by
scipy's brentq, or by bisection for whole numbers. Where the figure is linear or quadratic in the unknown on
the branch that holds there, sympy solves it too: that value is the answer and its formula is shown.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Unpack

import msgspec

from perfmodel.analysis.closedforms import BranchCondition
from perfmodel.analysis.formulas import Root, closed_root
from perfmodel.analysis.roots import WHOLE, NoSolutionError, between, close, fewest_devices, parameter_root, whole_root
from perfmodel.analysis.shapes import deeper, wider
from perfmodel.analysis.targets import NAMED, Target, read_target
from perfmodel.errors import SpecificationError, UnknownNameError, nearest, shown
from perfmodel.estimates.answers import Estimate, answer_to
from perfmodel.estimates.breakeven import last_paying_batch
from perfmodel.estimates.conditioning import prepared_with
from perfmodel.estimates.figures import costs_at, figure_at, parameters_in_use
from perfmodel.estimates.options import Asked
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import read_question
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.keys import Parameter
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import lookup
from perfmodel.units import LARGEST_BATCH


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
        """Let one boundary stand for bare + ramp + tail, as `--set` would; return the parameters then in use."""
        bare = costs_at(self.asked.before, {}).fixed.boundary
        hidden = self.asked.hardware.values.get(path.replace(".boundary", ".hidden"))
        whole = bare / (1 - hidden.value) if hidden and hidden.value < 1 else bare
        self.arguments["parameters"] = dict(self.arguments["parameters"] or {}) | {path: whole}
        self.asked = self._ask()
        return parameters_in_use(self.asked)

    def parameter(self, path: str, goal: Target, question: str | None) -> Solution:
        """Solve for a parameter."""
        quantity, parameter = self.asked.hardware.values[path], lookup(path)
        assert parameter is not None  # noqa: S101 - a path in use is in the table

        def figure(x: float) -> float:
            return float(figure_at(self.asked, goal.figure, self.batch, self.context, {path: x}))

        root = parameter_root(figure, goal, path, quantity.value, parameter)
        closed = self._closed_root(path, goal, root, figure, parameter)
        value = closed.value if closed else root
        sought = _Sought(question, path, quantity.unit, quantity.value, goal)
        changes = {"parameters": dict(self.arguments["parameters"] or {}) | {path: value}}
        method = "closed form" if closed else "bracketed root"
        return self._solution(sought, value, figure(value), changes, method, closed)

    def whole_number(self, unknown: str, goal: Target, question: str | None) -> Solution:
        """Solve for a whole number: the first that meets the target, or the last before it no longer does."""
        figure = self._figure_of(unknown, goal)
        stands = {
            "layers": len(self.asked.model.layers),
            "hidden": self.asked.model.hidden,
            "devices": self.asked.devices,
        }.get(unknown, self.arguments.get(unknown))
        value = self._whole_value(unknown, figure, goal, stands)
        exact, closed = None, None
        if unknown in ("batch", "context"):
            exact = between(figure, goal, value, WHOLE[unknown])
        if exact is not None and exact > 0:
            closed = self._closed_root(unknown, goal, exact, figure)
            exact = closed.value if closed else exact
        sought = _Sought(question, unknown, "1", stands, goal)
        method = "closed form" if closed else "whole-number bisection"
        return self._solution(sought, value, figure(value), self._changed(unknown, value), method, closed, exact)

    def _whole_value(self, unknown: str, figure: Callable[[float], float], goal: Target, stands: float | None) -> int:
        if unknown == "batch" and goal.figure == "speedup.value" and figure(self.batch) >= goal.value:
            last = last_paying_batch(self.now.asked, self.now.prepared, pays=goal.value)
            if last is None:
                raise NoSolutionError(
                    f"no solution: speedup.value stays at least {goal.value:.6g} at every batch up to {LARGEST_BATCH:,}"
                )
            return last
        if unknown == "devices":
            return fewest_devices(self.asked.model, figure, goal)
        return whole_root(unknown, figure, goal, stands, layers=len(self.asked.model.layers))

    def _closed_root(
        self,
        unknown: str,
        goal: Target,
        root: float,
        figure: Callable[[float], float],
        parameter: Parameter | None = None,
    ) -> Root | None:
        """Return the closed form near a root, None where there is none or it does not give what was asked."""
        closed = closed_root(self.asked, goal.figure, goal.value, unknown, self.batch, self.context, root)
        if closed is None or not (parameter is None or parameter.least <= closed.value <= parameter.most):
            return None
        return closed if close(figure(closed.value), goal.value) else None

    def _solution(
        self,
        sought: "_Sought",
        value: float,
        reached: float,
        changes: dict[str, Any],
        method: str,
        closed: Root | None,
        exact: float | None = None,
    ) -> Solution:
        from perfmodel.operations import parameter_count

        goal = sought.goal
        return Solution(
            question=sought.question,
            unknown=sought.unknown,
            unit=sought.unit,
            value=value,
            stands=sought.stands,
            figure=goal.figure,
            target=goal.value,
            target_unit=goal.unit,
            reached=reached,
            exact=exact,
            method=method,
            formula=closed.formula if closed else None,
            latex=closed.latex if closed else None,
            conditions=closed.conditions if closed else (),
            parameters=parameter_count(changes["model"]) if "model" in changes else None,
            answer=self.now.replace(**changes),
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


class _Sought(NamedTuple):
    """What is sought: the name of the question, the unknown with its unit, what stands there, and the target."""

    question: str | None
    unknown: str
    unit: str
    stands: float | None
    goal: Target
