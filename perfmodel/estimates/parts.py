"""Parts: what a model consists of, in which format each part is stored, and how much of it a step reads."""

from functools import lru_cache

import msgspec

from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.results import ModelPart
from perfmodel.numbers.choices import added
from perfmodel.operations import Formats, Operation, decode_step, embedding_elements, parameter_count
from perfmodel.operations.formats import stored
from perfmodel.operations.storing import formats_of, modules_of
from perfmodel.operations.work import Work
from perfmodel.specifications.filetypes import BYTES_PER_TOKEN_OF_VOCABULARY, FILE_TYPES
from perfmodel.specifications.model import Model
from perfmodel.specifications.storage import PARTS


class _Counted(msgspec.Struct, frozen=True):
    """A part before a workload is given. extra: bytes besides those of the work [B]."""

    part: str
    format: str
    parameters: int
    work: Work
    extra: float = 0.0


@lru_cache(maxsize=256)
def _counted(model: Model, formats: Formats) -> tuple[tuple[_Counted, ...], Work]:
    """Return the parts that a model has, and the work of a step on caches and state."""
    operations: dict[str, list[Operation]] = {}
    whole = Work()
    for operation in decode_step(model, formats, 1).all_operations():
        operations.setdefault(operation.part, []).append(operation)
        whole = whole + Work(caches=operation.work.caches, state=operation.work.state)
    found = []
    for part in (*PARTS, "other"):
        own = operations.get(part, [])
        work = sum((Work(weights=o.work.weights, experts=o.work.experts) for o in own), Work())
        name = _named(part, model, formats) if part != "other" or model.step else formats.vectors
        found.append(_Counted(part, name, sum(o.elements for o in own), work, _vocabulary(part, model, formats)))
    # A network of blocks has no embedding; its tables are among the rest.
    tables = _tables(model, formats)
    if model.step:
        found[-1] = msgspec.structs.replace(
            found[-1], parameters=found[-1].parameters + tables.parameters, extra=found[-1].extra + tables.extra
        )
    else:
        found[PARTS.index("embedding")] = tables
    found += _apart(model, formats)
    return tuple(one for one in found if one.parameters), whole


def _apart(model: Model, formats: Formats) -> list[_Counted]:
    """What no plain step runs, as bytes beside the work: towers in the plain format, a draft head as it is published.

    ggml's files hold neither.
    """
    if formats.weights in FILE_TYPES:
        return []
    from perfmodel.operations.apart import draft_work

    published = formats_of(model, None, None)
    plain = formats.activations if model.recipe is None else model.recipe.plain
    towers = sum(tower.parameters or 0 for tower in model.towers)
    drafts, work = draft_work(model, published)
    size = added(size for _, size in stored(towers, ((plain, 1.0),)))
    return [
        _Counted("tower", plain, towers, Work(), size),
        _Counted("draft", published.weights, drafts, Work(), _bytes_stored(work)),
    ]


def _tables(model: Model, formats: Formats) -> _Counted:
    """Tables of which a step reads a row a token; a tied one is the head's."""
    mix = formats.mix("embedding", "embedding")
    elements = model.other_parameters + (0 if model.tied else embedding_elements(model))
    return _Counted("embedding", _joined(dict(mix)), elements, Work(), added(size for _, size in stored(elements, mix)))


def _vocabulary(part: str, model: Model, formats: Formats) -> float:
    """Bytes of the texts of tokens and merges, which stand in a GGUF file too [B]."""
    return (
        BYTES_PER_TOKEN_OF_VOCABULARY * model.vocabulary
        if part == "other" and formats.weights in FILE_TYPES and model.storage is None
        else 0.0
    )


def _named(part: str, model: Model, formats: Formats) -> str:
    """Return the formats of a part's matrices."""
    shares: dict[str, float] = {}
    for module in modules_of(model):
        if module.part == part:
            own = formats if module.layer is None else formats.in_layer(module.layer)
            for name, share in own.mix(module.operation, part):
                shares[name] = shares.get(name, 0.0) + share * module.elements
    return _joined(shares) or formats.weights


def _joined(shares: dict[str, float]) -> str:
    return "+".join(sorted((name for name, share in shares.items() if share), key=lambda name: -shares[name]))


def differences(prepared: Prepared) -> str:
    """Return where the tensors beside a model's file differ from what is counted, '' where they agree within 1 %."""
    model, formats = prepared.model, prepared.formats
    if not (model.stored or model.storage) or formats.storage != formats_of(model, None, formats.kv).storage:
        return ""
    if model.storage is not None:
        held, counted = model.published_parameters or 0, parameter_count(model)
        if abs(held - counted) <= 0.001 * held:
            return ""
        return f"the tensors of the file hold {held:,} numbers, its layers as they are understood {counted:,}"
    found = dict(model.stored)
    counts = {part.part: part.bytes for part in parts_of(prepared, 0, 0) if part.part != "kv"}
    if "total" in found:
        counts = {"total": sum(counts.values())}
    elif model.tied and "head" not in found:
        found["head"] = found.pop("embedding", 0)
    apart = [
        f"{part} {found.get(part, 0) / 1e9:.4g} for {counts.get(part, 0) / 1e9:.4g} GB"
        for part in dict.fromkeys([*found, *counts])
        if abs(found.get(part, 0) - counts.get(part, 0)) > 0.01 * found.get(part, 0) + 5e6
        and part not in ("tower", "draft")
    ]
    return f"tensors beside the config hold other bytes than are counted: {', '.join(apart)}" if apart else ""


def _bytes_stored(work: Work) -> float:
    return added(size for _, size in work.weights) + added(bank.count * bank.bytes for bank in work.experts)


def parts_of(prepared: Prepared, batch: int, context: int) -> tuple[ModelPart, ...]:
    """Return the parts of a question's model at a batch [-] and context [tokens], whole, whatever shares it."""
    counted, caches = _counted(prepared.model, prepared.formats)
    found = [
        ModelPart(
            one.part,
            one.format,
            one.parameters,
            round(_bytes_stored(one.work) + one.extra),
            round(one.work.bytes_read(batch, context)),
        )
        for one in counted
    ]
    kept, read = caches.bytes_resident(batch, context), caches.cache_bytes(batch, context)
    if caches.caches or caches.state:
        found.append(ModelPart("kv", prepared.formats.kv, 0, round(kept), round(read)))
    return tuple(found)
