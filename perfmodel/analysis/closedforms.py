"""A closed form written out: frozen records of texts and numbers, and the program and the LaTeX they make.

They stand apart from `explanations` and `formulas`, which load sympy: reports and schemas know them without it.
"""

from typing import Any

import msgspec

from perfmodel import quoting


class Definition(msgspec.Struct, frozen=True):
    """One line of the closed form. expression: as Python, of the symbols and lines before it."""

    name: str
    expression: str
    meaning: str


class BranchCondition(msgspec.Struct, frozen=True):
    """A choice that was decided: `winner` stays on its side of `loser`.

    batch, context: the nearest points where it switches, or None; unit: that of both values.
    """

    choice: str
    winner: str
    loser: str
    winner_value: float
    loser_value: float
    batch: float | None
    context: float | None
    unit: str = "s"


class Addend(msgspec.Struct, frozen=True):
    """One addend of the time of a step at the point asked: formula, the same with numbers, time [s]."""

    formula: str
    numbers: str
    time: float


class Limit(msgspec.Struct, frozen=True):
    """What a figure tends to when a parameter or the batch goes to an extreme.

    value: in `unit`, None where it grows without end.
    """

    name: str
    formula: str
    value: float | None
    unit: str


class SideForm(msgspec.Struct, frozen=True):
    """One side of an explanation: its closed form line by line, and what is left of it at the point asked."""

    mode: str
    kernel_calls: int
    time_per_step: float
    definitions: tuple[Definition, ...]
    formula: str
    addends: tuple[Addend, ...]
    conditions: tuple[BranchCondition, ...]
    limits: tuple[Limit, ...]
    latex: tuple[str, ...]


class SymbolUsed(msgspec.Struct, frozen=True):
    """A symbol of the closed form: its name there, the name it has elsewhere, its value [unit]."""

    symbol: str
    name: str
    value: float
    unit: str


class Explanation(msgspec.Struct, frozen=True, eq=False):
    """The closed form of one question, symbols and numbers. times [s], speedup [-]."""

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    symbols: tuple[SymbolUsed, ...]
    before: SideForm
    after: SideForm
    speedup: float

    def to_python(self) -> str:
        """Return a program that needs nothing and prints both times [s] and the speed-up [-]."""
        about = f"{self.model} on {self.devices} x {self.hardware}: time per step before and after, by the closed form"
        lines = [quoting.python(f"{about} of perfmodel."), ""]
        lines += [
            f"{s.symbol} = {_number(s.value)}  # {s.unit if s.unit != '1' else '-'}: {quoting.line(s.name)}"
            for s in self.symbols
        ]
        for form, side in ((self.before, "before"), (self.after, "after")):
            lines += ["", f"# {side}: {form.mode}, {form.kernel_calls} kernel calls"]
            lines += [f"{d.name} = {d.expression}  # {quoting.line(d.meaning)}" for d in form.definitions]
        lines += [
            "",
            "speedup = before_time_per_step / after_time_per_step",
            "",
            'if __name__ == "__main__":',
            "    print(before_time_per_step, after_time_per_step, speedup)",
        ]
        return "\n".join(lines) + "\n"

    def to_latex(self) -> str:
        """Return the formulas as LaTeX, for a document that loads amsmath."""
        parts = [rf"% {quoting.line(self.model)} on {self.devices} x {quoting.line(self.hardware)}, by perfmodel"]
        for form, side in ((self.before, "before"), (self.after, "after")):
            parts += [rf"% {side}: {form.mode}", r"\begin{aligned}", " \\\\\n".join(form.latex), r"\end{aligned}"]
        return "\n".join(parts) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain dicts, lists, numbers and texts, in base units."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for side in ("before", "after"):
            del plain[side]["latex"]
        return plain

    def rows(self) -> list[dict[str, Any]]:
        """Return the addends of both sides, one row each."""
        return [
            {"side": name, "mode": form.mode, "formula": a.formula, "numbers": a.numbers, "time": a.time}
            for name, form in (("before", self.before), ("after", self.after))
            for a in form.addends
        ]


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
