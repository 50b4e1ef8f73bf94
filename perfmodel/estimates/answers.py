"""The estimate: specifications, operations, calls and equations put together. The only room that does."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

import msgspec

from perfmodel._layout import Framed, ShownInNotebooks, function_at
from perfmodel.estimates.answered import Answered
from perfmodel.estimates.columns import ANSWER_OF_SIDE, COUNTS, answer_numbers, drafts_of, side_of
from perfmodel.estimates.conditioning import ready
from perfmodel.estimates.known import Known
from perfmodel.estimates.notes import Note, notes_of, warnings_of
from perfmodel.estimates.question import Question, read_question
from perfmodel.estimates.results import FIELDS, Assumption, Fits, Peak, PerSide, Prompt, Side, Speedup, flattened
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model


class Estimate(Answered, ShownInNotebooks, Framed, frozen=True, eq=False, dict=True):
    """How fast the model decodes on the machine before and after looping, why, and how sure that is.

    Base units: s, B, FLOP, tok/s. `to_dict` gives exactly what `perfmodel estimate --json` prints.
    """

    @property
    def bytes_per_step(self) -> int:
        """Bytes that count as peak [B], each once, of all devices."""
        return round(self.numbers[0])

    @property
    def flops_per_step(self) -> int:
        """Operations of the step [FLOP], of all devices."""
        return round(self.numbers[1])

    @property
    def peak(self) -> Peak:
        """The step if memory bandwidth were the only limit."""
        return Peak(*self.numbers[_FIRST - 2 : _FIRST])

    @cached_property
    def before(self) -> Side:
        """The side before."""
        return side_of(self.prepared, "before", self.batch, self.numbers)

    @cached_property
    def after(self) -> Side:
        """The side after."""
        return side_of(self.prepared, "after", self.batch, self.numbers)

    @cached_property
    def speedup(self) -> Speedup:
        """The time before over the time after."""
        return Speedup(*self.numbers[_FIRST + 2 * _EACH : -2])

    @cached_property
    def _enough(self) -> Parallel | None:
        return self.prepared.fewest_split(self.batch, self.context)

    @cached_property
    def fits(self) -> Fits:
        """Whether weights and cache fit."""
        needed, available = self.numbers[2], self.prepared.hardware.values["memory.capacity"].value
        enough = self._enough
        if self.asked.decoding is not None:
            needed += self.prepared.resident.cache_bytes(*self.asked.decoding)
            # Who else decodes is known for these devices, not for others.
            enough = enough if needed <= available else None
        return Fits(
            needed <= available, round(needed), round(available), enough.devices if enough is not None else None
        )

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Every parameter that went into the answer."""
        found = self.prepared.assumptions
        if self.prompt is None:
            return found
        known = {assumption.name for assumption in found}
        return (*found, *(one for one in self.prepared.prompt_assumptions if one.name not in known))

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What must be said beside the figures."""
        return notes_of(
            self.prepared, self.fits, self._enough, self.speedup, self.context, self.on_chip, self.placement
        )

    @cached_property
    def prompt(self) -> Prompt | None:
        """How long the prompt takes; None where none is asked."""
        prompt = self.asked.prompt
        if prompt is None:
            return None
        from perfmodel.estimates.prompts import prompt_of

        return prompt_of(self.prepared, self.batch, self.context, *prompt, self.asked.decoding)

    @cached_property
    def breakeven_batch(self) -> int | None:
        """The largest batch that fits at which the after side is still 1.05 times as fast [-].

        None where it is not so at the batch asked, and where it is so at every batch that fits.
        """
        from perfmodel.estimates.breakeven import breakeven_batch

        return breakeven_batch(self.asked, self.prepared, self.fits)

    @property
    def energy(self) -> PerSide:
        """Energy of a million tokens at the power limit of all devices [J]; None where `power.tdp` is unknown."""
        return self._costs("energy")

    @property
    def price(self) -> PerSide:
        """Rental of all devices for a million tokens [USD]; None where `price.rental` is unknown."""
        return self._costs("price")

    def _costs(self, name: str) -> PerSide:
        from perfmodel.estimates.costs import costs_of

        rates = (self.before.tokens_per_second, self.after.tokens_per_second)
        return PerSide(*costs_of(self.prepared.hardware, name, self.devices, *rates))

    def replace(self, **changes: Any) -> "Estimate":
        """Return the estimate of the same question with some arguments of `estimate` changed.

        What a measured step told of the machine and its software stays, unless the measurement itself is changed.
        """
        known = None if "measured" in changes else self.prepared.known
        return answer_to(read_question(**(self.asked.arguments | changes)), known)

    @property
    def warnings(self) -> tuple[Note, ...]:
        """Return the notes without which the figures mislead."""
        return warnings_of(self.prepared, self.fits, self._enough, self.speedup, self.context, self.placement)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain dicts, lists, numbers and texts, in base units."""
        plain = self._plain(name for name in FIELDS if name != "notes")
        if self.prompt is not None:
            for side in ("before", "after"):
                plain["prompt"][side]["terms"] = getattr(self.prompt, side).terms._asdict()
        notes = {"notes": [str(note) for note in self.notes]}
        return {name: notes.get(name, plain.get(name)) for name in FIELDS}

    def _plain(self, names: Iterable[str]) -> dict[str, Any]:
        """Return some fields as plain dicts, lists, numbers and texts; both sides are among them."""
        plain: dict[str, Any] = {name: msgspec.to_builtins(getattr(self, name)) for name in names}
        for side in ("before", "after"):
            plain[side]["terms"] = getattr(self, side).terms._asdict()
        return plain

    def rows(self, columns: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return the answer as one flat row with dotted names.

        Loops, parts, assumptions, notes, what is on chip and the best numbers of drafts are left out.
        columns: those that are looked at, None for all; what none of them shows is not worked out.
        """
        left_out = (
            "schema",
            "loops",
            "parts",
            "assumptions",
            "notes",
            "on_chip",
            "placement",
            "prompt",
            "measured",
            "nearby",
        )
        wanted = None if columns is None else {"before", "after", *(name.partition(".")[0] for name in columns)}
        plain = self._plain(name for name in FIELDS if name not in left_out and (wanted is None or name in wanted))
        plain |= {"draft": drafts_of(self.prepared), "software": self.software or ""}
        for side in ("before", "after"):
            plain[side]["time_drafting"] = plain[side]["time_drafting"] or 0.0
            plain[side] |= {name: plain[side][name] or "" for name in ("software", "profile")}
        return [dict(flattened(plain))]

    def explore(self) -> Any:
        """Return the explorer for this question, which a notebook shows in a frame; `.html` is its page."""
        return function_at("perfmodel.report.explorer.page:explored")(self)


def estimate(
    model: str | Model,
    hardware: str | Hardware,
    *,
    devices: int | None = None,
    batch: int = 1,
    context: int | None = None,
    weights: str | None = None,
    kv: str | None = None,
    before: str | None = None,
    after: str = "looped",
    draft: int = 0,
    accepted: float | None = None,
    acceptance: float | None = None,
    drafter: str | None = None,
    prompt: int | None = None,
    chunk: int | None = None,
    decoding: str | None = None,
    parallel: str | Mapping[str, Any] | Parallel | None = None,
    loop_at_most: int | None = None,
    loop_only: str | None = None,
    offload: str | None = None,
    software: str | None = None,
    profile: str | None = None,
    after_software: str | None = None,
    after_profile: str | None = None,
    calls: int | None = None,
    measured: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Estimate:
    """Estimate how fast `model` generates tokens on `hardware`, before and after looping.

    model: catalogue name, path of a model TOML or config.json, or a Model.
    hardware: catalogue name, path of a hardware TOML, or a Hardware.
    devices: devices that share the work [-]; None takes all of a system, else one.
    batch: sequences in a step [-]
    context: tokens in the cache that the step reads, per sequence [-]; None for 4,096, or for 0 with a prompt.
    weights, kv: storage formats; None takes those the model is published in.
    before, after: launch modes; None takes the device's own for before.
    draft: tokens drafted in a step [-]; drafter: what drafts them: "mtp", "eagle", "ngram" or a model.
    accepted: drafts accepted on the average, without the target's own token [-]; acceptance: in its place, the chance
    that a draft is accepted if those before it are [-].
    prompt: tokens of a prompt, whose time to the first token is asked too [-]; context is what is cached before it;
    chunk: most of them in one step [-], None for all; decoding: sequences that decode beside each chunk, "32" or, with
    the context of each, "32:8k".
    loop_at_most: iterations one looped call may hold [-]; None for no limit.
    parallel: how the devices share the work, such as "tp=8,ep=8" or {"tp": 4, "dp": 2} (see `read_parallel`); tensor
    parallelism where nothing is said.
    loop_only: what may be looped, as calls and layers of `perfmodel loops`: "decoder_layer_2" or "3-60"; None for all.
    offload: what streams from a slower memory tier: "host" for what does not fit, or "experts=host,weights=host:0.5";
    None for nothing.
    software: kind of software, such as "server" or "ggml-2024"; None takes the device's own, else engines.
    profile: overrides of a software stack, by name or path of a TOML file.
    after_software, after_profile: the same of the after side; None where its software is that before.
    calls: kernel calls of a step on one device before, as counted [-]; None for those of the model's operations.
    measured: the before side as measured: a time such as "6.4ms", or a rate such as "150tok/s" over the batch.
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
            prompt=prompt,
            chunk=chunk,
            decoding=decoding,
            parallel=parallel,
            loop_at_most=loop_at_most,
            loop_only=loop_only,
            offload=offload,
            software=software,
            profile=profile,
            after_software=after_software,
            after_profile=after_profile,
            calls=calls,
            measured=measured,
            parameters=parameters,
        )
    )


def answer_to(asked: Question, known: Known | None = None) -> Estimate:
    """Return the answer to a question. known: what a measured step tells, where it is not the question's own."""
    prepared = ready(asked, known)
    return Estimate(asked, prepared, answer_numbers(prepared, asked.batch, asked.context))


# How many numbers of an answer stand before those of a side, and how many each side has.
_FIRST, _EACH = len(COUNTS), len(ANSWER_OF_SIDE)
