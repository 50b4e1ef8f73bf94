"""What one side takes from a device for its calls: what serialises them, and what each call and each step costs."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from perfmodel import equations
from perfmodel.estimates.counts import Further
from perfmodel.estimates.machinerates import Chain, Fixed
from perfmodel.estimates.onchiproom import room_paths, room_with
from perfmodel.estimates.plan import Plan
from perfmodel.estimates.taking import Taking
from perfmodel.numbers.choices import Number


class BoundaryPaths(NamedTuple):
    """The paths of a call boundary: the whole of it, or its parts; what hides a share of it, and how often."""

    whole: str | None
    bare: str | None = None
    ramp: str | None = None
    tail: str | None = None
    hidden: str | None = None
    covered: str | None = None


class CallParameters:
    """The parameters of the calls of a plan, by path.

    crossing: the path of handing activations to a host that computes, None where none does.
    """

    def __init__(self, taking: Taking, plan: Plan, crossing: str | None) -> None:
        self._plan, self._crossing = plan, crossing
        fused, mode = plan.fused_calls > 0, taking.take_mode
        self._chain = [
            mode(key, "chain", needed=key == "stage") if fused else None for key in ("stage", "prefetch", "overlap")
        ]
        self._chain.append(mode("collective_overlap", "chain") if plan.collectives else None)
        self._losses = _loss_paths(taking, plan)
        self._room = [taking.take(path, "chain") for path in room_paths(taking.hardware.values)] if plan.limited else []
        self._boundary = _boundary_paths(taking)
        self._fill = mode("fill", "boundary") if fused else None
        # What was measured of the mode it is based on says nothing of a mode's own kernels.
        self._factor = mode("factor", "host") if taking.own("factor") else None
        self._counted = None if taking.fused else mode("calls", "boundary")
        self._host, self._issue, self._beside = (mode(key, "host") for key in ("host", "issue", "beside"))
        self._further, self._drafting = (
            [taking.take(f"drafts.{key}", "drafts") for key in keys] if plan.drafted else []
            for keys in (("most_tokens", "independence"), ("verify", "host"))
        )

    def chain(self, numbers: Mapping[str, Number]) -> Chain:
        """Return what serialises calls, with each path in use at its number [base units]."""
        serial = Chain(*(_number(path, numbers) for path in (*self._chain, *self._losses)))
        return msgspec.structs.replace(serial, room=room_with(self._room, numbers)) if self._room else serial

    def further(self, numbers: Mapping[str, Number]) -> Further | None:
        """Return how further tokens of a sequence count, None where a step has one; each path in use at its number."""
        return Further(*(numbers[path] for path in self._further)) if self._further else None

    def fixed(self, numbers: Mapping[str, Number], drafts: Number = None) -> Fixed:
        """Return the cost of calls and step, with each path in use at its number [base units].

        drafts: of a step [-], None for those of the plan.
        """
        whole, bare, ramp, tail, hidden = (_number(path, numbers) for path in self._boundary[:-1])
        covered = 1.0 if self._boundary.covered is None else numbers[self._boundary.covered]
        if self._boundary.whole:
            bare, ramp, tail = whole, 0.0, 0.0
        boundary = equations.call_boundary(bare, ramp, tail, hidden, covered)
        host = planning = _number(self._host, numbers)
        if self._drafting:
            verify, draft = (numbers[path] for path in self._drafting)
            host = host + equations.drafting_host_time(verify, draft, self._plan.drafts if drafts is None else drafts)
        if self._crossing is not None:
            host = host + equations.crossings_time(self._plan.host_layers, numbers[self._crossing])
        counted, factor, beside = (
            None if path is None else numbers[path] for path in (self._counted, self._factor, self._beside)
        )
        first, issue = _number(self._fill, numbers), _number(self._issue, numbers)
        return Fixed(boundary, first, host, issue, counted, factor, planning, beside)


def _number(path: str | None, numbers: Mapping[str, Number]) -> Number:
    return 0.0 if path is None else numbers[path]


def _loss_paths(taking: Taking, plan: Plan) -> list[str | None]:
    """Return the paths of what a plain call loses with a matrix, with experts, a fused stage with one, a sequence."""
    mode = taking.take_mode
    held = [(call.fused, stage.matrix) for call in plan.calls for _, stages in call.segments for stage in stages]
    plain = {matrix for fused, matrix in held if not fused}
    return [
        mode("matrix", "chain") if "matrix" in plain else None,
        (mode("experts", "chain") or mode("matrix", "chain")) if "experts" in plain else None,
        mode("stage_matrix", "chain") if plan.fused_calls > 0 and any(matrix for _, matrix in held) else None,
        mode("sequence", "chain"),
    ]


def _boundary_paths(taking: Taking) -> BoundaryPaths:
    mode = taking.take_mode
    whole = mode("boundary", "boundary")
    if whole is None:
        keys = ("bare", "ramp", "tail", "hidden", "covered")
        return BoundaryPaths(None, *(mode(key, "boundary", needed=key in ("bare", "ramp")) for key in keys))
    if not taking.own("hidden"):
        return BoundaryPaths(whole)
    return BoundaryPaths(whole, hidden=mode("hidden", "boundary"), covered=mode("covered", "boundary"))
