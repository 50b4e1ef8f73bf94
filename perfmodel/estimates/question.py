"""A question: what is asked of `estimate`, with names found, texts read and ranges checked. The one place that does."""

import math
from collections.abc import Mapping
from operator import itemgetter
from types import NoneType
from typing import Any, Unpack

import msgspec

from perfmodel.errors import SpecificationError, UnknownNameError, UnreadableValueError, ValueRangeError, shown
from perfmodel.estimates.capacity import resident_work
from perfmodel.estimates.devices import count, devices_of
from perfmodel.estimates.drafting import Draft, read_draft
from perfmodel.estimates.options import OPTION, OPTIONS, Asked, complete
from perfmodel.estimates.placement import Placement, expert_layers, host_defaults, read_offload, what_does_not_fit
from perfmodel.estimates.prompting import prompt_defaults, read_decoding, read_prompt
from perfmodel.operations.formats import Formats
from perfmodel.operations.parallel import Parallel, read_parallel
from perfmodel.operations.storing import formats_of
from perfmodel.specifications.catalogue import find_hardware, find_model, is_catalogued
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, checked and complete.

    model: the model, found.
    hardware: the device with the software, the profile and the what-ifs applied; after_hardware: the same with the
    software that the after side runs, the same object where that is the one before.
    parallel: how the devices share the work.
    batch: sequences in a step [-].
    context: tokens in the cache that the step reads, per sequence [-].
    formats: storage formats of weights and cache.
    before, after: launch modes of both sides.
    loop_at_most: iterations one looped call may hold [-], None for no limit.
    loop_only: what may be looped, None for all.
    placement: what streams from a slower memory tier, None for nothing.
    draft: what is drafted in a step, None for nothing.
    prompt: tokens of the prompt and of a chunk [-], None for no prompt.
    decoding: sequences that decode beside each chunk, and the context of each [-], None for none.
    arguments: what was given, as `estimate` takes it, so that it can be asked again with changes.
    """

    model: Model
    hardware: Hardware
    after_hardware: Hardware
    parallel: Parallel
    batch: int
    context: int
    formats: Formats
    before: str
    after: str
    loop_at_most: int | None
    loop_only: str | None
    placement: Placement | None
    draft: Draft | None
    prompt: tuple[int, int] | None
    decoding: tuple[int, int] | None
    arguments: dict[str, Any]

    @property
    def step(self) -> str:
        """Return what one step is, '' for a decode step, in which each sequence gets a token."""
        return self.model.step


def read_question(model: str | Model, hardware: str | Hardware, **asked: Unpack[Asked]) -> Question:
    """Return the question that the arguments of `estimate` ask.

    Raises PerfModelError (a name, file or value that cannot be used), with one line that says what can.
    """
    given = complete(asked)
    batch, context = count(given["batch"], "batch"), count(given["context"], "context")
    key = _key(model, hardware, given)
    try:
        known = _KNOWN.get(key)
    except TypeError:  # a value that is no key
        key = known = None
    if known is not None:
        arguments = known.arguments | {"batch": batch, "context": context}
        return msgspec.structs.replace(known, batch=batch, context=context, arguments=arguments)
    question = _read(model, hardware, given, batch, context)
    if key is not None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = question
    return question


# Questions that were read, by all that was given but the workload: at another batch or context they are the same.
_KNOWN: dict[tuple[Any, ...] | None, Question] = {}
_MOST_KNOWN = 1024
_FIXED = itemgetter(*(option.name for option in OPTIONS if option.name not in ("batch", "context")))


def _key(model: str | Model, hardware: str | Hardware, given: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return what a question is known by, None where reading it again may give another, as files and workloads may."""
    if given["offload"] is not None or given["parameters"] or given["profile"] or given["after_profile"]:
        return None
    if isinstance(model, str) and not is_catalogued("models", model):
        return None
    values = _FIXED(given)
    return model, hardware, values, tuple(map(type, values))


def _read(model: str | Model, hardware: str | Hardware, given: Mapping[str, Any], batch: int, context: int) -> Question:
    """Return a question read anew."""
    _check_texts(model, hardware, given)
    at_most = None if given["loop_at_most"] is None else count(given["loop_at_most"], "loop_at_most")
    chosen = find_model(model) if isinstance(model, str) else model
    if chosen.head:
        raise ValueRangeError(
            f"{chosen.name} is a draft head ({chosen.head}), which drafts for the model that it was trained for: give"
            " it as --drafter"
        )
    device, after_device = devices_of(find_hardware(hardware) if isinstance(hardware, str) else hardware, given)
    parallel = _parallel(given, chosen, device)
    formats = formats_of(chosen, given["weights"], given["kv"])
    tokens, chunk = (None if given[name] is None else count(given[name], name) for name in ("prompt", "chunk"))
    prompt = read_prompt(tokens, chunk, chosen)
    drafts = count(given["draft"], "draft")

    def with_defaults(device: Hardware) -> Hardware:
        # The matrices of a network see many positions of an input, as those of a prompt see many tokens.
        if prompt is not None or chosen.step:
            device = prompt_defaults(device, formats, network=bool(chosen.step))
        if not drafts:
            return device
        from perfmodel.estimates.draftcosts import draft_defaults

        return draft_defaults(device, chosen, formats, given["drafter"])

    same = after_device is device
    device = with_defaults(device)
    after_device = device if same else with_defaults(after_device)
    draft = read_draft(
        drafts,
        given["drafter"],
        number(given["accepted"], "accepted"),
        number(given["acceptance"], "acceptance"),
        chosen,
        device,
        formats,
        given["weights"],
    )
    placement = _placement(given["offload"], chosen, device, parallel, formats, batch, context)
    device = host_defaults(device, placement)
    return Question(
        model=chosen,
        hardware=device,
        after_hardware=device if same else host_defaults(after_device, placement),
        parallel=parallel,
        batch=batch,
        context=context,
        formats=formats,
        before=given["before"] or device.default_mode,
        after=given["after"],
        loop_at_most=at_most,
        loop_only=given["loop_only"],
        placement=placement,
        draft=draft,
        prompt=prompt,
        decoding=read_decoding(given["decoding"], prompt, drafts),
        arguments={"model": model, "hardware": hardware, **given},
    )


def _parallel(given: Mapping[str, Any], model: Model, device: Hardware) -> Parallel:
    """Return how the devices share the model: as it is told, else each matrix over all of them."""
    devices = given["devices"]
    told = read_parallel(given["parallel"], model, devices)
    if told is not None:
        return told
    return Parallel(tensor=device.devices if devices is None else count(devices, "devices"))


def number(value: object, name: str) -> float | None:
    """Return `value` of the option `name` as a float, None for None.

    Raises ValueRangeError unless it is a number in its range.
    """
    if value is None:
        return None
    option = OPTION[name]
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = math.nan
    if not option.least <= found <= option.most:
        raise ValueRangeError(f"--{name}: {shown(value)} is not a number from {option.least} to {option.most:,}")
    return found


def _placement(
    offload: str | None, model: Model, device: Hardware, parallel: Parallel, formats: Formats, batch: int, context: int
) -> Placement | None:
    """Return what streams from a slower tier; a tier that is named alone takes what does not fit at the workload."""
    if offload is None:
        return None
    placement = read_offload(offload, device)
    if placement is not None and placement.experts and not expert_layers(model):
        raise ValueRangeError(f"--offload: {model.name} has no routed experts; weights=host moves its weights")
    if placement is None:
        resident = resident_work(model, formats, parallel, device.replicates)
        sequences, available = parallel.resident_sequences(batch), device.values["memory.capacity"].value
        placement = what_does_not_fit(offload.strip(), resident.works, sequences, context, available)
    return placement if placement.weights or placement.experts or placement.kv else None


def _check_texts(model: object, hardware: object, given: Mapping[str, Any]) -> None:
    """Raise a PerfModelError unless names, formats and modes are texts, each of which names one thing."""
    for what, value, kind in (("model", model, Model), ("hardware", hardware, Hardware)):
        if not isinstance(value, str | kind):
            raise UnknownNameError(f"{what}: {shown(value)} is neither a name nor a {kind.__name__}")
    for option in OPTIONS:
        value = given[option.name]
        if option.kind not in ("weights", "format", "mode", "profile", "text") or option.name == "parallel":
            continue
        if not isinstance(value, str | NoneType):
            raise SpecificationError(f"{option.name}: {shown(value)} is not a text")
        if option.kind != "text" and isinstance(value, str) and "," in value:
            raise UnreadableValueError(
                f"{option.flag}: {shown(value)} names several, and one is asked for; perfmodel compare and perfmodel"
                " sweep"
                " take them"
            )
