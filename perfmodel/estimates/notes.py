"""Notes: what must be said beside the figures of an answer, each of a kind."""

from collections.abc import Iterator
from typing import Literal, Self

from perfmodel.estimates.placement import expert_layers
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.results import Fits, OnChip, Placed, Speedup
from perfmodel.estimates.splits import nearest_splits, obstacle
from perfmodel.operations import decode_step, total_work
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.storing import formats_of
from perfmodel.operations.work import ON_CHIP

NoteKind = Literal["model", "split", "memory", "tier", "tier-memory", "on-chip", "context", "speed"]
# Kinds of notes without which the figures mislead: they are said on stderr too.
WARNINGS = ("split", "memory", "tier-memory", "context")


class Note(str):
    """A text with a kind, so that nobody has to look for how it begins. "memory": what does not fit."""

    __slots__ = ("kind",)
    kind: NoteKind

    def __new__(cls, kind: NoteKind, text: str) -> Self:
        """Return a note of a kind."""
        note = super().__new__(cls, text)
        note.kind = kind
        return note


def notes_of(
    prepared: Prepared,
    fits: Fits,
    enough: Parallel | None,
    speedup: Speedup,
    context: int,
    on_chip: OnChip | None,
    placed: Placed | None,
) -> tuple[Note, ...]:
    """Return what must be said beside the figures of an answer. enough: the fewest devices that hold the model."""
    return (
        *(Note("model", text) for text in prepared.model.notes),
        *_format_notes(prepared),
        *_split_notes(prepared),
        *_memory_notes(prepared, fits, enough),
        *_on_chip_notes(prepared, on_chip),
        *_tier_notes(prepared, placed),
        *_question_notes(prepared, speedup, context),
    )


def warnings_of(
    prepared: Prepared, fits: Fits, enough: Parallel | None, speedup: Speedup, context: int, placed: Placed | None
) -> tuple[Note, ...]:
    """Return those of the notes without which the figures mislead."""
    notes = (
        *_split_notes(prepared),
        *_memory_notes(prepared, fits, enough),
        *_tier_notes(prepared, placed),
        *_question_notes(prepared, speedup, context),
    )
    return tuple(note for note in notes if note.kind in WARNINGS)


def _format_notes(prepared: Prepared) -> Iterator[Note]:
    from perfmodel.estimates.parts import differences

    formats, model = prepared.formats, prepared.model
    if apart := differences(prepared):
        yield Note("model", apart)
    if formats.weights.startswith("ud-"):
        from perfmodel.specifications.publishedfiles import published_files

        file = published_files().get((model.name, formats.weights))
        said = (
            f"{formats.weights} takes what the published file does, {file.bytes / 1e9:.2f} GB ({file.file})"
            if file
            else f"no file of {model.name} is known, so {formats.weights} is of the usual size"
        )
        yield Note(
            "model", f"{said}; Unsloth chooses each tensor's format anew for each model: the .gguf itself says which"
        )
    if formats.weights == "mxfp4" and prepared.whole.experts:
        whole = total_work(decode_step(model, formats_of(model, "mxfp4_moe", formats.kv), 1))
        yield Note(
            "model",
            "GGUF files in mxfp4 keep attention, embedding and head in q8_0 and the router in 32 bits: with --weights"
            f" mxfp4_moe a step of one sequence reads {float(whole.bytes_read(1, 4096)) / 1e9:.2f} GB at 4,096 tokens",
        )


def _split_notes(prepared: Prepared) -> Iterator[Note]:
    if why := obstacle(prepared.model, prepared.parallel):
        near = " or ".join(str(split) for split in nearest_splits(prepared.model, prepared.parallel))
        yield Note(
            "split", f"cannot be built: {why}; {near} can be. The figures are those of the device that holds most"
        )


def _memory_notes(prepared: Prepared, fits: Fits, enough: Parallel | None) -> Iterator[Note]:
    if fits.fits:
        return
    would_do = (
        "No number of devices would do."
        if enough is None
        else f"{enough.devices:,} would do"
        + (f", as {enough}." if enough.tensor < enough.devices or enough.expert > 1 else ".")
    )
    each = f"each of {prepared.devices:,} {prepared.hardware.name}" if prepared.devices > 1 else prepared.hardware.name
    yield Note(
        "memory",
        f"does not fit: {each} has {fits.bytes_available / 1e9:.1f} GB, and {fits.bytes_needed / 1e9:.1f} GB are"
        f" needed. {would_do} The figures are as if it fitted",
    )


def _on_chip_notes(prepared: Prepared, on_chip: OnChip | None) -> Iterator[Note]:
    if on_chip is not None and on_chip.fits == "split":
        yield Note(
            "on-chip",
            f"the activations of {', '.join(name for name, _ in prepared.after.schedule.split)} do not fit on the chip,"
            " not even those of one sequence. So its stages are kernel calls of their own",
        )
    elif on_chip is not None and on_chip.fits == "tiled":
        through = f", and {on_chip.spilled / 1e6:.3g} MB of each stage go through memory" if on_chip.spilled else ""
        yield Note(
            "on-chip",
            f"the fused kernels would hold {on_chip.bytes_needed / 1e6:.3g} MB on the chip, which has"
            f" {on_chip.bytes_available / 1e6:.3g} MB. So {on_chip.prefetch / 1e6:.3g} MB are left to fetch weights"
            f" ahead{through}",
        )


def _tier_notes(prepared: Prepared, placed: Placed | None) -> Iterator[Note]:
    if placed is not None:
        capacity = prepared.hardware.values.get(f"tiers.{placed.tier}.capacity")
        yield Note("tier", _moved(placed, mixture=expert_layers(prepared.model) > 0))
        if capacity is not None and placed.bytes > capacity.value:
            yield Note(
                "tier-memory",
                f"does not fit into {placed.tier} memory either, which has {capacity.value / 1e9:.1f} GB. The figures"
                " are as if it did",
            )
    kept = dict(prepared.resident.works[0].weights).get(ON_CHIP, 0.0)
    room = prepared.hardware.values.get("on_chip.capacity")
    if room is not None and kept > room.value:
        yield Note(
            "tier",
            f"the weights do not stay on the chip: they are {kept / 1e6:.1f} MB on each device, which has"
            f" {room.value / 1e6:.1f} MB. The figures are as if they did",
        )


def _moved(placed: Placed, *, mixture: bool) -> str:
    """Return what is in a slower memory, and what becomes of it; mixture: whether there are routed experts."""
    experts = placed.experts if mixture else 0.0
    shares = {"the weights": placed.weights, "the routed experts": experts, "the cache": placed.kv}
    held = [f"{100 * share:.1f} % of {what}" for what, share in shares.items() if share]
    *others, last = held or ["nothing"]
    said = f"{', '.join(others)} and {last}" if others else last
    size = f", {placed.bytes / 1e9:.1f} GB of weights for each device," if placed.bytes else ""
    if placed.compute:
        return f"{said}{size} stay in {placed.tier} memory, and the {placed.tier} computes the experts there"
    return f"{said}{size} stream from {placed.tier} memory in each step"


def why_slower(prepared: Prepared) -> str:
    """Return why the after side loses, '' where it launches its calls one by one as the side before does."""
    return ": its stages cost more than the boundaries it removes" if prepared.after.plan.fused_calls else ""


def _question_notes(prepared: Prepared, speedup: Speedup, context: int) -> Iterator[Note]:
    longest = prepared.model.longest_context
    if longest is not None and context > longest:
        yield Note(
            "context", f"context {context:,} is longer than the {longest:,} tokens {prepared.model.name} was made for"
        )
    if speedup.value < 1:
        after, before = prepared.after.mode.name, prepared.before.mode.name
        yield Note("speed", f"{after} is slower than {before} here{why_slower(prepared)}")
