"""What each column of CSV, Parquet and data frames holds: its unit and a line of meaning.

A name is read part by part: `before.low.time_per_step` is what `time_per_step` says, at the pessimistic end, before.
"""

from perfmodel.errors import UnknownNameError, nearest, shown
from perfmodel.estimates.devices import AFTER
from perfmodel.specifications.parameters import lookup

# Columns that mean the same wherever they stand: unit ("" for a text, "-" for a number without one) and meaning.
WORDS: dict[str, tuple[str, str]] = {
    "model": ("", "the model's name"),
    "hardware": ("", "the device's name"),
    "devices": ("-", "how many devices share the work"),
    "batch": ("-", "sequences that a step serves at once"),
    "context": ("-", "tokens in the cache that the step reads, per sequence"),
    "weight_format": ("", "storage format of the weights"),
    "kv_format": ("", "storage format of the cache"),
    "parallel": ("", "how the devices share the work, as `--parallel` takes it"),
    "software": ("", "kind and year of the software; empty where the device's own file says all"),
    "profile": ("", "overrides of a software stack over it; empty for none"),
    "bytes_per_step": ("B", "weights, cache and state that a step reads, of all devices, each byte once"),
    "flops_per_step": ("FLOP", "operations of a step, of all devices"),
    "mode": ("", "launch mode"),
    "kernel_calls": ("-", "kernel calls of a step on one device"),
    "time_per_step": ("s", "time of a step"),
    "time_per_token": ("s", "time of a further token of one sequence"),
    "time_to_first_token": ("s", "time from the prompt to the first token"),
    "time": ("s", "time from the prompt to the last token"),
    "tokens_per_second": ("tok/s", "tokens of the whole batch"),
    "tokens_per_second_per_sequence": ("tok/s", "tokens of one sequence"),
    "tokens_per_second_per_device": ("tok/s", "tokens of the whole batch over the devices"),
    "fraction_of_peak": ("-", "time of the bytes at the datasheet bandwidth, over the time of the step"),
    "bound": ("", "the largest of the terms"),
    "time_drafting": ("s", "part of the step that drafts take"),
    "speedup": ("-", "how many times as fast the after side is"),
    "gain": ("-", "rate after over rate before"),
    "fits": ("", "true where weights and cache fit into the memory of each device"),
    "bytes_needed": ("B", "weights and cache on each device"),
    "bytes_available": ("B", "memory of each device"),
    "devices_needed": ("-", "fewest devices that hold the model and can be built; empty where no number does"),
    "tokens": ("-", "tokens that are drafted in a step; 0 for none"),
    "drafter": ("", "what drafts them"),
    "accepted": ("-", "drafts accepted in a step, on average"),
    "tokens_per_step": ("-", "tokens that a sequence gets in a step"),
    "energy": ("J", "energy of a million tokens at the power limit of all devices; empty where it is unknown"),
    "price": ("USD", "rental of all devices for a million tokens; empty where it is unknown"),
    "breakeven_batch": (
        "-",
        "largest batch that fits at which the after side is still 1.05 times as fast; empty where none is, or all are",
    ),
    "evidence.rows": ("-", "published rows like the side before: of its software, launch mode and width of weights"),
    "evidence.sources": ("-", "sources of these rows"),
    "evidence.median_error": ("-", "median over the sources of how far their steps are off, each left out of the fit"),
    "evidence.inside": ("-", "share of their steps inside the predicted range, averaged over the sources"),
    "evidence.text": ("", "how sure the answer is, in words, of both sides"),
    "rank": ("-", "place, 1 for the best"),
    "front": ("", "true where no other choice is better in both rates"),
    "change": ("", "what is changed, in words"),
    "prompt": ("-", "tokens of the prompt"),
    "chunk": ("-", "most tokens of the prompt in one step"),
    "generate": ("-", "tokens generated, the first among them"),
    "name": ("", "name"),
    "value": ("", "value"),
    "low": ("", "pessimistic end"),
    "high": ("", "optimistic end"),
    "unit": ("", "unit of the numbers in this row; 1 for none"),
    "kind": ("", "kind of value: datasheet, measured, derived, assumed or given"),
    "source": ("", "where the value is from"),
    "layers": ("", "decoder layers, first and last"),
    "parameters": ("-", "parameters"),
    "stream": ("s", "reading the bytes of the step"),
    "compute": ("s", "arithmetic that streaming does not hide"),
    "boundary": ("s", "pauses between kernel calls"),
    "collective": ("s", "exchanges between devices that are not hidden"),
    "latency": ("s", "waiting inside kernels, where one stage follows another"),
    "host": ("s", "time of the host that the device waits for"),
}
# What the parts of a dotted name in front of a figure say.
PREFIXES = {
    "before": "before",
    "after": "after",
    "low": "pessimistic end",
    "high": "optimistic end",
    "peak": "at the datasheet bandwidth",
    "terms": "",
    "fits": "",
    "draft": "",
}
_ENDS = {"value": "", "low": "pessimistic end", "high": "optimistic end", "before": "before", "after": "after"}


def column_words(name: str, own: dict[str, tuple[str, str]] | None = None) -> tuple[str, str]:
    """Return the unit and the meaning of a column.

    own: what columns of this table mean where that differs from WORDS. Raises UnknownNameError for a name that is none.

    >>> column_words("before.low.time_per_step")
    ('s', 'before, pessimistic end: time of a step')
    >>> column_words("energy.after")[0], column_words("modes.graph.boundary")[0]
    ('J', 's')
    """
    words = WORDS | (own or {})
    if name in words:
        return words[name]
    parameter = lookup(name.removeprefix(AFTER))
    if parameter is not None:
        return ("-" if parameter.unit == "1" else parameter.unit), "the parameter of this name, as set or swept"
    head, _, rest = name.partition(".")
    figure, _, end = name.rpartition(".")
    if rest and head in PREFIXES:
        unit, meaning = column_words(rest, own)
        return unit, _behind(PREFIXES[head], meaning)
    if figure and end in _ENDS:
        unit, meaning = column_words(figure, own)
        return unit, _behind(_ENDS[end], meaning)
    raise UnknownNameError(f"{shown(name)} is not a column{nearest(name, WORDS)}")


def _behind(said: str, meaning: str) -> str:
    """Return a meaning behind what a part of its name says."""
    if not said:
        return meaning
    return f"{said}, {meaning}" if ": " in meaning else f"{said}: {meaning}"
