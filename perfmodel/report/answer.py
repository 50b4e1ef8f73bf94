"""An Estimate as a document: what a person reads after asking a question."""

from collections.abc import Callable

from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.breakeven import PAYS
from perfmodel.estimates.notes import why_slower
from perfmodel.estimates.results import Assumption, Figures, Prompt, PromptSide, Side
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report.facts import Beside, facts, how_sure, measured_nearby
from perfmodel.report.pictures.captions import counted
from perfmodel.report.text import Document, Table, to_plain
from perfmodel.report.words import how_many, percent, ranged, rate, shortened, term_label, time
from perfmodel.units import format_quantity

_NAMES = {
    "layer-fused": "one kernel a layer",
    "looped": "looping",
    "megakernel-generated": "a generated megakernel",
    "megakernel": "a megakernel",
}


def verdict(answer: Estimate) -> str:
    """Return the one line that answers the question."""
    value, low, high = (f"{x:.3g}" for x in (answer.speedup.value, answer.speedup.low, answer.speedup.high))
    name = _NAMES.get(answer.after.mode, answer.after.mode)
    name = name[0].upper() + name[1:]
    if answer.speedup.value < 1:
        against = f"{value} x ({low} to {high}) against {answer.before.mode}"
        return f"{name} would lose, {against}{why_slower(answer.prepared)}."
    losses = {term: getattr(answer.before.terms, term) for term in TERM_NAMES if term != "stream"}
    worst = max(losses, key=losses.__getitem__)
    share = losses[worst] / answer.before.time_per_step
    last, end = answer.breakeven_batch, ""
    if last is not None:
        end = f"; it stops paying (under {PAYS} x) above batch {last:,}"
    elif answer.speedup.value >= PAYS and answer.fits.fits:
        end = f"; it pays ({PAYS} x or more) at every batch that fits"
    return f"{name} brings {value} x ({low} to {high}): {percent(share)} of the step is {worst}{end}."


def software_told(answer: Estimate) -> str:
    """Return what is said of the software, '' where the device's own file says all of both sides."""
    named = answer.asked.arguments.get("software") or answer.asked.arguments.get("profile")
    before, after = (_stack(side) for side in (answer.before, answer.after))
    if before == after:
        return f"; software {before}" + ("" if named else ", the default") if before else ""
    return f"; software {before or 'of the device'}, after {after or 'of the device'}"


def _stack(side: Side) -> str:
    return " with ".join(name for name in (side.software, side.profile) if name)


_LONGEST = 52  # of what was measured, for a table of 80 columns


def document(answer: Estimate, beside: Beside | None = None) -> Document:
    """Return the whole answer as a document whose first line is the verdict."""
    beside = beside or Beside()
    parts: list[str | Table] = [
        verdict(answer),
        how_sure(answer),
        _question(answer),
        _figures(answer),
        _terms(answer),
        Table(("", ""), facts(answer, beside)),
        _parts(answer),
    ]
    if answer.prompt is not None:
        parts.insert(4, _prompt(answer.prompt))
    if answer.nearby:
        rows = [(shortened(what, _LONGEST), step, source) for what, step, source in measured_nearby(answer)]
        parts.append(Table(("measured nearby", "a step", "source"), rows, frozenset({1})))
    parts.append(_assumptions(answer.assumptions))
    # That it does not fit stands in the table above, and the command line says it on stderr.
    parts += [f"note: {note}" for note in answer.notes if note.kind != "memory"]
    return Document(parts)


def short_text(answer: Estimate) -> str:
    """Return the answer in short: the verdict, the question, the main figures, and what misleads without being said."""
    parts: list[str | Table] = [verdict(answer), _question(answer), _figures(answer)]
    return to_plain(Document([*parts, *(f"note: {note}" for note in answer.warnings)])).rstrip("\n")


def _question(answer: Estimate) -> str:
    devices = how_many(answer.devices, answer.hardware)
    # Tensor parallelism alone is what the number of devices says.
    shared = f" ({answer.parallel})" if "," in answer.parallel else ""
    text = (
        f"{answer.model} on {devices}{answer.hardware}{shared}, batch {answer.batch:,}, context"
        f" {answer.context:,}\nweights {answer.weight_format}, cache {answer.kv_format}{software_told(answer)}"
    )
    draft = answer.draft
    if draft is not None:
        text = (
            f"{text}; {draft.tokens} drafts a step by {draft.drafter}, {draft.accepted:.3g} accepted:"
            f" {draft.tokens_per_step:.3g} tokens a step; best are {draft.best_before} drafts before,"
            f" {draft.best_after}"
            " after"
        )
    return f"{text}; a step is one {answer.asked.step} of each input of the batch" if answer.asked.step else text


def _figures(answer: Estimate) -> Table:
    sides = (answer.before, answer.after)

    def row(
        label: str, show: Callable[[Figures | Side], str], *, low: str = "low", high: str = "high"
    ) -> tuple[str, ...]:
        return (label, *(ranged(show(side), show(getattr(side, low)), show(getattr(side, high))) for side in sides))

    def step_time(f: Figures | Side) -> str:
        return format_quantity(f.time_per_step, "s")

    rows = [
        # The pessimistic end is the longest time.
        row("time per step", step_time, low="high", high="low"),
        row(f"{counted(answer)}s per second", lambda f: rate(f.tokens_per_second)),
        row("fraction of peak", lambda f: percent(f.fraction_of_peak, 1)),
        ("kernel calls", *(f"{side.kernel_calls:,}" for side in sides)),
        ("bound by", *(term_label(side.bound) for side in sides)),
    ]
    if answer.draft is not None:
        rows.insert(1, ("of it drafting", *(format_quantity(side.time_drafting or 0.0, "s") for side in sides)))
    if answer.batch > 1:
        rows.insert(2, row("for each sequence", lambda f: f"{f.tokens_per_second_per_sequence:,.4g}"))
    return Table(("", f"before: {answer.before.mode}", f"after: {answer.after.mode}"), rows)


def _prompt(prompt: Prompt) -> Table:
    sides = (prompt.before, prompt.after)
    steps = f"{prompt.steps} step{'' if prompt.steps == 1 else 's'}"

    def first(side: PromptSide) -> str:
        return ranged(*(format_quantity(end.time_to_first_token, "s") for end in (side, side.high, side.low)))

    rows = [
        ("time to first token", *map(first, sides)),
        ("tokens per second", *(rate(side.tokens_per_second) for side in sides)),
        ("bound by", *(side.bound for side in sides)),
    ]
    if prompt.decoding is not None:
        beside = prompt.decoding
        rows.append((f"a token of {beside.sequences:,} beside", *(time(one) for one in (beside.before, beside.after))))
    return Table((f"prompt of {prompt.tokens:,} tokens, {steps}", "before", "after"), rows)


def _terms(answer: Estimate) -> Table:
    def cells(side: Side, term: str) -> tuple[str, str]:
        spent = getattr(side.terms, term)
        return time(spent), percent(spent / side.time_per_step, 1)

    rows = [
        (term_label(term), *cells(answer.before, term), *cells(answer.after, term))
        for term in TERM_NAMES
        if getattr(answer.before.terms, term) or getattr(answer.after.terms, term)
    ]
    return Table(("where the time goes", "before", "", "after", ""), rows, frozenset({1, 2, 3, 4}))


def _parts(answer: Estimate) -> Table:
    rows = [
        (
            part.part,
            part.format,
            f"{part.parameters:,}" if part.parameters else "",
            format_quantity(part.bytes, "B"),
            format_quantity(part.bytes_per_step, "B") if part.bytes_per_step else "",
        )
        for part in answer.parts
    ]
    return Table(("part", "format", "parameters", "stored", "read a step"), rows, frozenset({2, 3, 4}))


def _assumptions(assumptions: tuple[Assumption, ...]) -> Table:
    rows = []
    for a in assumptions:
        value, low, high = (format_quantity(x, a.unit) for x in (a.value, a.low, a.high))
        rows.append((a.name, ranged(value, low, high), a.kind))
    return Table(("assumption", "value (low to high)", "kind"), rows, spare=(2,))
