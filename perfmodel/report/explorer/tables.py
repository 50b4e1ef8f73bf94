"""Everything that the page computes with, as plain lists and numbers: each thing once, named by its place.

A side of a question is found in four steps: the plan of its model in the style of its launch mode; what such a plan
asks a machine for; the recording of what that costs on the machine; the recording of a step of the plan at these costs.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from perfmodel.errors import PerfModelError
from perfmodel.estimates.coefficients import asks_of, coefficients, shape_of
from perfmodel.estimates.draftcosts import draft_defaults
from perfmodel.estimates.known import LAUNCHES, beyond_parts
from perfmodel.estimates.machine import SideParameters
from perfmodel.estimates.plan import Plan
from perfmodel.estimates.positions import kernels_key, moves_with
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.numbers.compact import CompactRecording
from perfmodel.report.explorer.cases import SharedModel, Style, Used, cases, machines_used, style_of
from perfmodel.report.explorer.recordings import (
    accepted_script,
    combining_script,
    costs_script,
    counts_script,
    step_script,
)
from perfmodel.specifications.hardware import Hardware, Mode
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import lookup

# Groups of parameters are put together by so many; fewer are filled up with groups that move nothing.
_GROUPS = 8
_DRAFTS = "drafts."


class _Shared:
    """A table of things that many entries share: each is written once and named by its place."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def place(self, thing: Hashable) -> int:
        """Return the place of a thing, new or known."""
        return self.places.setdefault(thing, len(self.places))

    def listed(self) -> list[Any]:
        """Return the things in the order of their places."""
        return [list(thing) if isinstance(thing, tuple) else thing for thing in self.places]


class _Asking(NamedTuple):
    """Plans of one style that ask a machine for the same: one of them, its activations, and one of each structure."""

    plan: Plan
    activations: str
    shapes: dict[int, Plan]


class _Tables:
    """Collects plans, costs and steps as they are met."""

    def __init__(self) -> None:
        self.scripts, self.constants, self.coefficients, self.paths = _Shared(), _Shared(), _Shared(), _Shared()
        self.parameters, self.draft_costs, self.styles = _Shared(), _Shared(), _Shared()
        self._shapes, self._asks, self._layouts, self._signatures = _Shared(), _Shared(), _Shared(), _Shared()
        self.plans: dict[str, dict[int, list[int]]] = {}
        self.counts: dict[str, list[int]] = {}
        self.costs: dict[str, list[int]] = {}
        self.steps: dict[str, list[int]] = {}
        self.taken: dict[int, dict[int, None]] = {}  # by layout: the places of the paths that its costs take
        self._asking: dict[int, dict[int, _Asking]] = {}  # by style, then by what is asked

    def script(self, script: CompactRecording) -> list[int]:
        """Return the places of a function's text and of its numbers."""
        return [self.scripts.place(script.text), self.constants.place(script.constants)]

    def add_plans(self, case: SharedModel, style: Style) -> None:
        """Note the plans of a case in a style: of each its structure, its numbers, what it asks, its stages."""
        place = self.styles.place(style)
        asked = self._asking.setdefault(place, {})
        for draft, plan in case.plans(style):
            shape = self._shapes.place(shape_of(plan))
            asks = self._asks.place((asks_of(plan), case.formats.activations))
            entry = [shape, self.coefficients.place(coefficients(plan)), asks, plan.stages]
            self.plans.setdefault(case.key(draft), {})[place] = entry
            asked.setdefault(asks, _Asking(plan, case.formats.activations, {})).shapes.setdefault(shape, plan)

    def add_counts(self, case: SharedModel, replicates: tuple[str, ...]) -> None:
        """Note what a step counts; replicates: operations that are left whole on every device."""
        for draft in case.drafts:
            script = self.script(counts_script(case.model, case.formats, case.parallel, draft, replicates))
            self.counts[f"{case.key(draft)}|{'+'.join(replicates)}"] = script

    def add_costs(self, hardware: Hardware, mode: str, style: Style) -> int:
        """Note what plans of a style cost on a machine in a mode; return the place of the machine's layout."""
        layout = self._layouts.place(_layout(hardware, mode))
        for asks, asking in self._asking[self.styles.place(style)].items():
            key = f"{layout}|{asks}"
            if key in self.costs:
                continue
            try:
                parameters = SideParameters(hardware, hardware.modes[mode], asking.plan, asking.activations)
            except PerfModelError:  # the machine cannot be asked that, as several devices without links
                continue
            script, costs = costs_script(parameters)
            signature, paths = self._signatures.place(costs), tuple(map(self.paths.place, parameters.used))
            self.taken.setdefault(layout, {}).update(dict.fromkeys(paths))
            self.costs[key] = [*self.script(script), signature, self.parameters.place(paths)]
            for shape, plan in asking.shapes.items():
                if f"{shape}|{signature}" not in self.steps:
                    self.steps[f"{shape}|{signature}"] = self.script(step_script(plan, costs))
        return layout


def explorer_data(
    models: Sequence[Model], machines: Sequence[Hardware], weights: str | None = None, kv: str | None = None
) -> dict[str, Any]:
    """Return everything that the page computes with, as plain lists and numbers.

    weights, kv: storage formats of all models, None as published.
    Raises PerfModelError where no model can be asked on any machine.
    """
    tables, used = _Tables(), list(machines_used(machines))
    asked = list(cases(models, machines, weights, kv))
    held = max((case.held() for case in asked), default=0.0)
    styles = [{mode: style_of(each.hardware, mode, held) for mode in each.hardware.modes} for each in used]
    different = dict.fromkeys(style for modes in styles for style in modes.values())
    for case in asked:
        for style in different:
            tables.add_plans(case, style)
        for replicates in dict.fromkeys(style.replicates for style in different):
            tables.add_counts(case, replicates)
    stored = {_stored(case): case for case in asked}
    found: dict[str, Any] = {}
    for each, modes in zip(used, styles, strict=True):
        software = _software(tables, each, modes, stored)
        if software["values"]:
            machine = found.setdefault(each.device.name, _machine(each) | {"software": {}})
            machine["software"][each.software] = software
    if not found:
        raise PerfModelError("explore: none of these models can be asked on any of these machines")
    return {
        "terms": list(TERM_NAMES),
        "launches": list(LAUNCHES),
        "models": {case.model.name: _model(case) for case in asked},
        "machines": found,
        "paths": [_path(path) for path in tables.paths.listed()],
        "plans": tables.plans,
        "counts": tables.counts,
        "costs": tables.costs,
        "steps": tables.steps,
        "accepted": tables.script(accepted_script()),
        "combining": _combining(tables, found),
        "draft_costs": [{place: list(ends) for place, ends in held} for held in tables.draft_costs.places],
        "coefficients": tables.coefficients.listed(),
        "parameters": tables.parameters.listed(),
        "constants": tables.constants.listed(),
        "scripts": tables.scripts.listed(),
    }


def _combining(tables: _Tables, machines: dict[str, Any]) -> dict[str, list[int]]:
    """Return the functions that make intervals, by the groups and the further half-widths that they take."""
    groups = {place: moves_with(path) for path, place in tables.paths.places.items()}
    found: dict[str, list[int]] = {}
    for software in (software for machine in machines.values() for software in machine["software"].values()):
        costs = [tables.draft_costs.listed()[place] for place in software["drafts"].values()]
        values = {**software["values"], **{place: ends for held in costs for place, ends in held}}
        uncertain = {groups[place] for place, (low, _, high) in values.items() if low < high}
        beyond = len(software["beyond"])
        for number in range(_GROUPS, len(uncertain) + _GROUPS, _GROUPS):
            if f"{number}|{beyond}" not in found:
                found[f"{number}|{beyond}"] = tables.script(combining_script(number, beyond))
    return found


def _software(
    tables: _Tables, used: Used, styles: Mapping[str, Style], stored: Mapping[str, SharedModel]
) -> dict[str, Any]:
    """Return what the page knows of a machine with one kind of software: modes, values, what drafts cost.

    stored: a case of each of the formats by which drafts cost different times.
    """
    drafting = {
        weights: draft_defaults(used.hardware, case.model, case.formats, None) for weights, case in stored.items()
    }
    hardware = next(iter(drafting.values()))
    modes = {
        mode: [tables.styles.place(style), tables.add_costs(hardware, mode, style)] for mode, style in styles.items()
    }
    taken = dict.fromkeys(place for _, layout in modes.values() for place in tables.taken.get(layout, ()))
    paths = {path: place for path, place in tables.paths.places.items() if place in taken}
    beyond = {mode: beyond_parts(used.hardware, mode) for mode in styles}
    usual = beyond[used.hardware.default_mode]

    def ends(device: Hardware, drafts: bool) -> dict[int, tuple[float, float, float]]:
        chosen = {place: device.values[path] for path, place in paths.items() if path.startswith(_DRAFTS) == drafts}
        return {place: (quantity.low, quantity.value, quantity.high) for place, quantity in chosen.items()}

    return {
        "before": used.hardware.default_mode,
        "beyond": list(usual),
        "spreads": {mode: own[0] for mode, own in beyond.items() if own and own != usual},
        "modes": modes,
        "values": ends(hardware, drafts=False),
        "drafts": {
            weights: tables.draft_costs.place(tuple(ends(device, drafts=True).items()))
            for weights, device in drafting.items()
        },
    }


def _machine(used: Used) -> dict[str, Any]:
    device = used.device
    return {
        "title": device.title,
        "usual": used.software,
        "kept": "+".join(device.replicates),
        "bandwidth": device.values["memory.bandwidth"].value,
        "capacity": device.values["memory.capacity"].value,
    }


def _stored(case: SharedModel) -> str:
    """Return what the costs of drafts of a case go by beside the machine."""
    return f"{case.formats.weights}/{case.formats.activations}"


def _model(case: SharedModel) -> dict[str, Any]:
    model = case.model
    return {"title": model.title, "longest": model.longest_context, "formats": _stored(case)}


def _path(path: str) -> list[Any]:
    parameter = lookup(path)
    unit, slower = (parameter.unit, parameter.slower) if parameter else ("1", 0)
    return [path, unit, moves_with(path), slower, kernels_key(path) or ""]


def _layout(hardware: Hardware, mode: str) -> Hashable:
    """Return all that `SideParameters` reads of a machine but for quantities: which parameters it has."""
    chain: list[Mode] = []
    name: str | None = mode
    while name is not None:
        chain.append(hardware.modes[name])
        name = chain[-1].base
    own = tuple(f"modes.{one.name}." for one in chain)
    paths = frozenset(path for path in hardware.values if not path.startswith("modes.") or path.startswith(own))
    domain = hardware.values["link.domain"].value if "link.domain" in hardware.values else None
    return tuple((one.name, one.kernels) for one in chain), paths, domain, hardware.algorithms.names
