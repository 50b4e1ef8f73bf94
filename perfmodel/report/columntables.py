"""The columns of each command, in the order of its CSV, and what those mean that mean something of their own there."""

from typing import Any

import msgspec

from perfmodel.estimates.answered import ALONE
from perfmodel.estimates.requests import Request
from perfmodel.report.columnwords import column_words
from perfmodel.report.drawncolumns import PICTURES, TRACE
from perfmodel.sweeps.choosing import Chosen
from perfmodel.sweeps.columns import ROW_COLUMNS
from perfmodel.sweeps.comparisons import Choice

Own = dict[str, tuple[str, str]]


class ColumnTable(msgspec.Struct, frozen=True):
    """The columns of some commands. said: what must be known beside the table; own: meanings of their own."""

    commands: tuple[str, ...]
    columns: tuple[str, ...]
    said: str = ""
    own: Own = {}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return name, unit and meaning of each column."""
        return [(name, *column_words(name, self.own)) for name in self.columns]


def _of(record: type, *left_out: str) -> tuple[str, ...]:
    """Return the columns that a record makes: its fields, and dotted those of records in it."""
    found: list[str] = []
    for field in msgspec.structs.fields(record):
        if field.name in left_out:
            continue
        inner: Any = field.type
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            found += [f"{field.name}.{name}" for name in _of(inner)]
        elif field.name in ("low", "high") and inner == dict[str, float]:
            found += [f"{field.name}.{name}" for name in _SERVED]
        else:
            found.append(field.name)
    return tuple(found)


_SERVED = ("time_per_token", "tokens_per_second", "tokens_per_second_per_sequence", "tokens_per_second_per_device")
_ANSWER = (*ROW_COLUMNS, *ALONE)
_SOLUTION: Own = {
    "question": ("", "the named question, if one was asked"),
    "unknown": ("", "what was looked for"),
    "unit": ("", "unit of `value`, `stands` and `exact`; 1 for none"),
    "value": ("as `unit` says", "the value that reaches the target"),
    "stands": ("as `unit` says", "what the unknown is in the question; empty for no limit"),
    "figure": ("", "the figure that has a target"),
    "target": ("as `target_unit` says", "what the figure shall be"),
    "target_unit": ("", "unit of `target` and `reached`; 1 for none"),
    "reached": ("as `target_unit` says", "the figure at `value`"),
    "exact": ("as `unit` says", "the root where a whole number may be broken"),
    "method": ("", "how it was found"),
    "formula": ("", "the unknown written out, where it has a closed form"),
    "latex": ("", "the same as LaTeX"),
    "parameters": ("-", "weights of the model found, where its size was asked"),
}
_INFLUENCE: Own = {
    "name": ("", "the parameter, batch or context"),
    "value": ("as `unit` says", "its value"),
    "low": ("as `unit` says", "its low end"),
    "high": ("as `unit` says", "its high end"),
    "unit": ("", "unit of these; 1 for none"),
    "kind": ("", "kind of value: datasheet, measured, derived, assumed or given"),
    "before": ("-", "per cent of change of the rate before for one per cent more of it"),
    "after": ("-", "the same of the rate after"),
    "speedup": ("-", "the same of the speed-up"),
    "at_low": ("that of `figure`", "the figure with this one at its low end"),
    "at_high": ("that of `figure`", "the figure with this one at its high end"),
    "share": ("-", "its share of the variance of the figure"),
    "swing": ("that of `figure`", "distance between `at_low` and `at_high`"),
    "figure": ("", "the figure that is looked at"),
    "base": ("that of `figure`", "the figure as answered"),
}
_CHOICE: Own = {
    "tokens_per_second_before": ("tok/s", "tokens of the whole batch before"),
    "low_before": ("tok/s", "pessimistic end of that rate"),
    "high_before": ("tok/s", "optimistic end of that rate"),
    "tokens_per_second_per_sequence_before": ("tok/s", "tokens of one sequence before"),
    "fraction_of_peak_before": ("-", "share of the datasheet bandwidth before"),
    "low": ("tok/s", "pessimistic end of `tokens_per_second`"),
    "high": ("tok/s", "optimistic end of `tokens_per_second`"),
    "to_best": ("-", "its rate over that of the best choice of its batch and context"),
    "against": ("", "the mode that `gain` is against"),
    "gain": ("-", "rate over that of the mode `against`"),
    "gain_low": ("-", "pessimistic end of `gain`"),
    "gain_high": ("-", "optimistic end of `gain`"),
    "per_device": ("tok/s", "rate after over the devices"),
    "per_watt": ("tok/s/W", "rate after over the power limit of all devices"),
    "per_purchase": ("tok/s/USD", "rate after over the purchase price of all devices"),
    "per_rental": ("tok/USD", "tokens after for a dollar of rental"),
    "energy_before": ("J", "energy of a million tokens before, at the power limit"),
    "energy_after": ("J", "energy of a million tokens after, at the power limit"),
    "price_before": ("USD", "rental for a million tokens before"),
    "price_after": ("USD", "rental for a million tokens after"),
}
_CHOSEN: Own = {
    "draft": ("-", "tokens that are drafted in a step; 0 for none"),
    "meets": ("", "which sides keep the limits: both, before or after"),
    "devices_after": ("-", "fewest devices of this machine that give as many tokens a second with looped layers"),
}
_REQUEST: Own = {
    "context": ("-", "tokens that are cached before the prompt"),
    "time_per_token": ("s", "mean time of a further token, while the context grows"),
    "tokens_per_second": ("tok/s", "tokens generated, of all requests of the batch"),
    "tokens_per_second_per_sequence": ("tok/s", "tokens generated, of one request"),
    "energy.before": ("J", "energy of one request before, at the power limit; empty where it is unknown"),
    "energy.after": ("J", "the same after"),
    "price.before": ("USD", "rental for one request before; empty where it is unknown"),
    "price.after": ("USD", "the same after"),
}
_ADVICE: Own = {
    "options": ("", "what to add to the command"),
    "time_per_step": ("s", "time of a step after the change"),
    "gain": ("-", "rate after the change over the rate today"),
    "alone": ("", "true for a single change, false for a pair"),
}
_PLAIN: dict[str, Own] = {
    "explain": {
        "side": ("", "before or after"),
        "mode": ("", "launch mode"),
        "formula": ("", "one addend of the time of a step, in symbols"),
        "numbers": ("", "the same with numbers"),
        "time": ("s", "what it comes to"),
    },
    "explain-gap": {
        "explanation": ("", "what would explain the measurement"),
        "parameter": ("", "a parameter that would differ"),
        "value": ("as `unit` says", "what it would be"),
        "unit": ("", "its unit; 1 for none"),
        "deviations": ("-", "standard deviations of the catalogue between that and its value"),
        "after.time_per_step": ("s", "time of a step after, from there"),
        "speedup.value": ("-", "how many times as fast the after side is, from there"),
        "speedup.low": ("-", "its pessimistic end"),
        "speedup.high": ("-", "its optimistic end"),
    },
    "calibrate": {
        "parameter": ("", "a parameter that was fitted"),
        "unit": ("", "unit of the next three; 1 for none"),
        "low": ("as `unit` says", "its low end after the fit"),
        "value": ("as `unit` says", "its value after the fit"),
        "high": ("as `unit` says", "its high end after the fit"),
        "told": ("-", "share by which the rows narrowed its spread"),
        "identified": ("", "true where the rows say something of it"),
    },
    "conditional": {
        "treatment": ("", "the way to run the layers"),
        "time_per_step": ("s", "expected time of a step"),
        "low.time_per_step": ("s", "its pessimistic end"),
        "high.time_per_step": ("s", "its optimistic end"),
        "tokens_per_second": ("tok/s", "tokens of the whole batch"),
        "kernel_calls": ("-", "expected kernel calls of a step"),
        "speedup": ("-", "how many times as fast as running every layer always"),
    },
    "loops": {
        "body": ("", "the calls of the loop's body, or of a call that stays alone"),
        "count": ("-", "how often it runs"),
        "layers": ("", "decoder layers it covers, first and last"),
        "reason": ("", "why it is a loop, or stays outside"),
    },
    "models list": {
        "name": ("", "name in the catalogue"),
        "title": ("", "name as its publisher writes it"),
        "family": ("", "family of shapes"),
        "parameters": ("-", "parameters, counted from the shapes"),
        "active": ("-", "parameters that a token uses"),
        "layers": ("-", "decoder layers"),
        "hidden": ("-", "width of the hidden state"),
        "weight_format": ("", "format it is published in"),
        "source": ("", "where the shapes are from"),
    },
    "models show": {
        "name": ("", "operation"),
        "kind": ("", "kind of operation"),
        "times": ("-", "how often it runs in a step"),
        "parameters": ("-", "parameters it holds"),
        "parameters_used": ("-", "parameters that one token uses"),
        "bytes_read": ("B", "bytes it reads in a step of one sequence, without the cache"),
        "cache_bytes_per_token": ("B", "bytes of cache that it reads for each token in it"),
        "flops": ("FLOP", "operations for one token, without the cache"),
        "flops_per_cached_token": ("FLOP", "operations for each token in the cache"),
    },
    "models check": {
        "name": ("", "model"),
        "parameters": ("-", "parameters, counted from the shapes"),
        "published": ("-", "parameters that were published"),
        "difference": ("-", "counted over published, less 1"),
        "fault": ("", "what is wrong; empty for nothing"),
    },
    "hardware list": {
        "name": ("", "name in the catalogue"),
        "title": ("", "name as its maker writes it"),
        "vendor": ("", "its maker"),
        "year": ("-", "year it came out"),
        "status": ("", "whether it can be had"),
        "bandwidth": ("B/s", "datasheet bandwidth of the memory"),
        "capacity": ("B", "memory"),
        "bf16": ("FLOP/s", "datasheet rate in bf16, or in fp16 where there is no bf16"),
        "default_mode": ("", "launch mode before looping where none is asked"),
        "modes": ("", "launch modes it has"),
    },
    "hardware show": {
        "name": ("", "key, as `--set` takes it"),
        "value": ("as `unit` says", "its value"),
        "low": ("as `unit` says", "its low end"),
        "high": ("as `unit` says", "its high end"),
        "unit": ("", "unit of the numbers; 1 for none"),
        "kind": ("", "kind of value: datasheet, measured, derived, assumed or given"),
        "source": ("", "where it is from"),
        "note": ("", "what else to know of it"),
    },
    "hardware check": {
        "name": ("", "device"),
        "key": ("", "the value that is doubtful"),
        "severity": ("", "error or doubt"),
        "message": ("", "what is wrong"),
    },
}
_VALIDATED: Own = {
    "id": ("", "name of the row"),
    "source_id": ("", "name of its source in the validation set"),
    "trust": ("", "how far the source is to be trusted, A to D"),
    "class": ("", "kind of software and format"),
    "stack": ("", "the software measured"),
    "profile": ("", "profile of the prediction; empty for first principles"),
    "measured": ("s", "time of a step as measured"),
    "predicted": ("s", "time of a step as predicted"),
    "low": ("s", "shortest time of the range"),
    "high": ("s", "longest time of the range"),
    "error": ("-", "predicted over measured, less 1"),
    "inside": ("", "true where the measurement is inside the range"),
    "width": ("-", "longest over shortest time of the range"),
    "source": ("", "where the measurement was published"),
}
_VALIDATION = (
    "id", "source_id", "trust", "class", "stack", "profile", "model", "hardware", "devices", "parallel",
    "weight_format", "kv_format", "batch", "context", "mode", "measured", "predicted", "low", "high", "error",
    "inside", "width",
    "kernel_calls", *(name.removeprefix("before.") for name in ROW_COLUMNS if name.startswith("before.terms.")),
    "source",
)  # fmt: skip
_ADVISED = ("rank", "change", "options", "gain.value", "gain.low", "gain.high", "time_per_step", "alone", "fits")
_CURVES = (
    "fits", "peak.tokens_per_second",
    *(f"{side}.{figure}.{end}" for figure in ("tokens_per_second", "fraction_of_peak") for side in ("before", "after")
      for end in ("value", "low", "high")),
    "speedup.value", "speedup.low", "speedup.high",
)  # fmt: skip

TABLES: tuple[ColumnTable, ...] = (
    ColumnTable(
        ("estimate", "sweep"),
        _ANSWER,
        f"A sweep has a column for each parameter that it sets, and no `{'`, `'.join(ALONE)}`.",
    ),
    ColumnTable(
        ("solve",), tuple(_SOLUTION), "Behind these stand the columns of `estimate`, at the value found.", _SOLUTION
    ),
    ColumnTable(("report",), ("change",), "Behind it stand the columns of `estimate`."),
    ColumnTable(("request",), _of(Request, "answer"), "", _REQUEST),
    ColumnTable(("compare",), _of(Choice, "settings"), "Behind `mode` stands each parameter that is set.", _CHOICE),
    ColumnTable(("choose",), _of(Chosen), "", _CHOSEN),
    ColumnTable(("advise",), _ADVISED, "", _ADVICE),
    ColumnTable(("sensitivity",), tuple(_INFLUENCE), "", _INFLUENCE),
    ColumnTable(("validate",), _VALIDATION, "", _VALIDATED),
    *(ColumnTable((name,), tuple(own), "", own) for name, own in _PLAIN.items()),
    ColumnTable(("trace",), tuple(TRACE), "`pricing` is there with `--model` and `--hardware`.", TRACE),
    *(
        ColumnTable(
            tuple(f"plot {kind}" for kind in kinds),
            tuple(own) or _CURVES,
            "" if own else "The first column is the axis: devices, context or batch.",
            own,
        )
        for kinds, own in PICTURES.items()
    ),
)


def header_of(command: str) -> tuple[str, ...]:
    """Return the columns of a command."""
    return next(table.columns for table in TABLES if command in table.commands)
