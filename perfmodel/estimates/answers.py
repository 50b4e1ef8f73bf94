"""The estimate: specifications, operations, calls and equations put together. The only room that does."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel._layout import ShownInNotebooks
from perfmodel.estimates.bestdrafts import best_drafts
from perfmodel.estimates.columns import COUNTS, FIGURES, answer_numbers
from perfmodel.estimates.notes import WARNINGS, Note, notes_of
from perfmodel.estimates.parts import Part, parts_of
from perfmodel.estimates.placement import bytes_in_tier
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.question import Question, read_question
from perfmodel.estimates.results import (
    Assumption,
    Drafting,
    Figures,
    Fits,
    LoopFound,
    OnChip,
    Peak,
    Placed,
    Side,
    Speedup,
    flattened,
)
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.terms import TERM_NAMES, Terms
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model

if TYPE_CHECKING:
    import pandas
    import polars


class Estimate(msgspec.Struct, ShownInNotebooks, frozen=True, eq=False):
    """How fast the model decodes on the machine before and after looping, why, and how sure that is.

    parallel: how the devices share the work, as `--parallel` takes it; on_chip: None where nothing is fused or the
    device does not say what it has; placement: None where nothing streams from a slower tier; draft: None where nothing is drafted. Base units: s, B, FLOP,
    tok/s. `to_dict` gives exactly what `perfmodel estimate --json` prints. asked, prepared: the question, which is not
    part of that.
    """

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    weight_format: str
    kv_format: str
    bytes_per_step: int
    flops_per_step: int
    peak: Peak
    before: Side
    after: Side
    speedup: Speedup
    fits: Fits
    loops: tuple[LoopFound, ...]
    assumptions: tuple[Assumption, ...]
    notes: tuple[Note, ...]
    parallel: str
    on_chip: OnChip | None
    placement: Placed | None
    parts: tuple[Part, ...]
    draft: Drafting | None
    asked: Question
    prepared: Prepared

    def replace(self, **changes: Any) -> "Estimate":
        """Return the estimate of the same question with some arguments of `estimate` changed."""
        return estimate(**(self.asked.arguments | changes))

    @property
    def warnings(self) -> tuple[Note, ...]:
        """Return the notes without which the figures mislead."""
        return tuple(note for note in self.notes if note.kind in WARNINGS)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain dicts, lists, numbers and texts, in base units."""
        plain: dict[str, Any] = {
            name: msgspec.to_builtins(getattr(self, name))
            for name in self.__struct_fields__
            if name not in ("asked", "prepared", "notes")
        }
        for side in ("before", "after"):
            plain[side]["terms"] = getattr(self, side).terms._asdict()
        notes = {"notes": [str(note) for note in self.notes]}
        return {name: notes.get(name, plain.get(name)) for name in self.__struct_fields__[:-2]}

    def rows(self) -> list[dict[str, Any]]:
        """Return the answer as one flat row with dotted names.

        Loops, parts, assumptions, notes, what is on chip and the best numbers of drafts are left out.
        """
        left_out = ("loops", "parts", "assumptions", "notes", "on_chip", "placement")
        plain = {name: value for name, value in self.to_dict().items() if name not in left_out}
        plain["draft"] = drafts_of(self.prepared)
        for side in ("before", "after"):
            plain[side]["time_drafting"] = plain[side]["time_drafting"] or 0.0
        return [dict(flattened(plain))]

    def to_pandas(self) -> "pandas.DataFrame":
        """Return `rows` as a pandas DataFrame (pandas is not a dependency of this package)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def to_polars(self) -> "polars.DataFrame":
        """Return `rows` as a polars DataFrame (polars is not a dependency of this package)."""
        import polars

        return polars.DataFrame(self.rows())


def estimate(
    model: str | Model,
    hardware: str | Hardware,
    *,
    devices: int | None = None,
    batch: int = 1,
    context: int = 4096,
    weights: str | None = None,
    kv: str | None = None,
    before: str | None = None,
    after: str = "looped",
    draft: int = 0,
    accepted: float | None = None,
    acceptance: float | None = None,
    drafter: str | None = None,
    parallel: str | Mapping[str, Any] | Parallel | None = None,
    loop_at_most: int | None = None,
    loop_only: str | None = None,
    offload: str | None = None,
    profile: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Estimate:
    """Estimate how fast `model` generates tokens on `hardware`, before and after looping.

    model: catalogue name, path of a model TOML or config.json, or a Model.
    hardware: catalogue name, path of a hardware TOML, or a Hardware.
    devices: devices that share the work [-]; None takes all of a system, else one.
    batch: sequences in a step [-]
    context: tokens in the cache that the step reads, per sequence [-]
    weights, kv: storage formats; None takes those the model is published in.
    before, after: launch modes; None takes the device's own for before.
    draft: tokens drafted in a step [-]; drafter: what drafts them: "mtp", "eagle", "ngram" or a model.
    accepted: drafts accepted on the average, without the target's own token [-]; acceptance: in its place, the chance
    that a draft is accepted if those before it are [-].
    loop_at_most: iterations one looped call may hold [-]; None for no limit.
    parallel: how the devices share the work, such as "tp=8,ep=8" or {"tp": 4, "dp": 2} (see `read_parallel`); tensor
    parallelism where nothing is said.
    loop_only: what may be looped, as calls and layers of `perfmodel loops`: "decoder_layer_2" or "3-60"; None for all.
    offload: what streams from a slower memory tier: "host" for what does not fit, or "experts=host,weights=host:0.5";
    None for nothing.
    profile: overrides of a software stack, by name or path of a TOML file.
    parameters: what-ifs by dotted path, such as {"modes.graph.boundary": "2us", "memory.bandwidth": 4e12}.
    Raises PerfModelError (a name, file or value that cannot be used), with one line that says what can.

    >>> round(estimate("llama-3.1-8b", "sn40l", devices=8).after.fraction_of_peak, 1)
    0.7
    """
    return answer_to(
        read_question(
            model,
            hardware,
            devices=devices,
            batch=batch,
            context=context,
            weights=weights,
            kv=kv,
            before=before,
            after=after,
            draft=draft,
            accepted=accepted,
            acceptance=acceptance,
            drafter=drafter,
            parallel=parallel,
            loop_at_most=loop_at_most,
            loop_only=loop_only,
            offload=offload,
            profile=profile,
            parameters=parameters,
        )
    )


def answer_to(asked: Question) -> Estimate:
    """Return the answer to a question."""
    prepared, batch, context = prepare_question(asked), asked.batch, asked.context
    numbers = answer_numbers(prepared, batch, context)
    size, flops, needed, peak, peak_rate = numbers[:_COUNTS]
    *ratio, drafting_before, drafting_after = numbers[_COUNTS + 2 * _SIDE :]
    before = _side(prepared.before, numbers[_COUNTS : _COUNTS + _SIDE], drafting_before)
    after = _side(prepared.after, numbers[_COUNTS + _SIDE : _COUNTS + 2 * _SIDE], drafting_after)
    speedup = Speedup(*ratio)
    enough, on_chip, placed = prepared.fewest_split(batch, context), prepared.after.on_chip(batch), _placed(prepared)
    fits = _fits(prepared, needed, enough)
    return Estimate(
        prepared.model.name,
        prepared.hardware.name,
        prepared.devices,
        batch,
        context,
        prepared.formats.weights,
        prepared.formats.kv,
        round(size),
        round(flops),
        Peak(peak, peak_rate),
        before,
        after,
        speedup,
        fits,
        prepared.loops,
        prepared.assumptions,
        notes_of(prepared, fits, enough, speedup, context, on_chip, placed),
        str(prepared.parallel),
        on_chip,
        placed,
        parts_of(prepared, batch, context),
        _drafting(prepared, batch, context),
        asked,
        prepared,
    )


_COUNTS, _TERMS, _FIGURES = len(COUNTS), len(TERM_NAMES), len(FIGURES)
_SIDE = _TERMS + 3 * _FIGURES


def _side(side: PreparedSide, numbers: tuple[float, ...], drafting: float) -> Side:
    """Return one side of the answer, of its numbers as `perfmodel.estimates.columns.ANSWER` has them."""
    terms = numbers[:_TERMS]
    value, low, high = (Figures(*numbers[start : start + _FIGURES]) for start in range(_TERMS, _SIDE, _FIGURES))
    return Side(
        side.mode.name,
        side.plan.kernel_calls,
        value.time_per_step,
        value.tokens_per_second,
        value.tokens_per_second_per_sequence,
        value.fraction_of_peak,
        TERM_NAMES[terms.index(max(terms))],
        low,
        high,
        Terms(*terms),
        time_drafting=drafting if side.plan.drafted else None,
    )


def _drafting(prepared: Prepared, batch: int, context: int) -> Drafting | None:
    draft = prepared.draft
    if draft is None:
        return None
    best = best_drafts(prepared, batch, context)
    return Drafting(draft.tokens, draft.drafter, draft.accepted, draft.tokens_per_step, *best)


def drafts_of(prepared: Prepared) -> dict[str, Any]:
    """Return the columns of a row that say what is drafted, without their common name."""
    draft = prepared.draft
    if draft is None:
        return {"tokens": 0, "drafter": "", "accepted": 0.0, "tokens_per_step": 1.0}
    return {name: getattr(draft, name) for name in ("tokens", "drafter", "accepted", "tokens_per_step")}


def _fits(prepared: Prepared, needed: float, enough: Parallel | None) -> Fits:
    available = prepared.hardware.values["memory.capacity"].value
    return Fits(needed <= available, round(needed), round(available), enough.devices if enough is not None else None)


def _placed(prepared: Prepared) -> Placed | None:
    placement = prepared.placement
    if placement is None:
        return None
    return Placed(
        placement.tier,
        placement.weights,
        placement.experts,
        round(max(bytes_in_tier(placement.tier, work) for work in prepared.resident.works)),
    )
