"""How a model is stored: every matrix by its name and layer, as published, as a file type of ggml, or as asked for."""

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from perfmodel.errors import UnknownNameError, shown
from perfmodel.numbers.choices import added
from perfmodel.operations.formats import Formats, plain_formats
from perfmodel.operations.step import decode_step, embedding_elements, parameter_count
from perfmodel.specifications.filetypes import BYTES_PER_TOKEN_OF_VOCABULARY, FILE_TYPES, Quantised, block_format
from perfmodel.specifications.formats import STORAGE_FORMATS, head_format, storage_format
from perfmodel.specifications.mixers import Attention, DeltaAttention, KeyedDeltaAttention
from perfmodel.specifications.model import Layer, Model
from perfmodel.specifications.recipes import EVERYTHING, EXPERTS, LINEAR, Recipe, named
from perfmodel.specifications.storage import PARTS, Mix, Module, Storage, assigned, read_weights, spelled, uniform

if TYPE_CHECKING:
    from perfmodel.specifications.publishedfiles import PublishedFile

# Families whose ggml files keep query, key and value in one tensor.
_FUSED = frozenset(("bloom", "chatglm", "falcon", "gpt2", "gpt_bigcode", "gpt_neox", "mpt", "phi", "phi3"))
# Matrices that are no linear modules, so that checkpoints convert them only by name.
_NO_LINEAR = ("router", "index_weight", "streams_weights")
# Experts that are trained in 4 bits are never stored wider: what of them a file keeps, by the format they are published
# in.
_NARROW_EXPERTS = {"mxfp4": "mxfp4", "int4": "q4_0"}
# Matrices that ggml's files leave in 16 bits, and those that have another part's role.
_LEFT_ALONE = ("stream_", "correction_", "laurel_", "layer_input_projection")


@lru_cache(maxsize=256)
def modules_of(model: Model) -> tuple[Module, ...]:
    """Return all matrices of `model`, the embedding first; a tied embedding is the head."""
    step = decode_step(model, plain_formats("bf16"), 1)
    found = [] if model.step else [Module(None, "embedding", "embedding", model.hidden, embedding_elements(model))]
    layers = [(None, step.before), *enumerate(step.layers), (None, step.after)]
    for layer, operations in layers:
        for operation in operations:
            if operation.columns:
                experts = operation.work.experts[0].count if operation.work.experts else 0
                size = operation.elements
                found.append(Module(layer, operation.name, operation.part, operation.columns, size, experts))
    return tuple(found)


@lru_cache(maxsize=1024)
def formats_of(model: Model, weights: str | None, kv: str | None) -> Formats:
    """Return the storage formats of a query: those asked for, else those the model is published in.

    weights: a format, which is that of every matrix but the head, which files of that format may keep in another; a
    file type of ggml; or PART=FORMAT+PART=FORMAT, where parts that are not named keep what they are published in. A
    format that only the experts are published in is that of every other matrix too, the head included.
    """
    cache = storage_format(kv or model.kv_format, "--kv").name
    published = _published(model)
    if weights is None:
        return Formats(published, cache, model.activations)
    asked = read_weights(weights)
    if isinstance(asked, str):
        return Formats(_whole(model, asked, published), cache, model.activations)
    for part, _ in asked:
        if not any(module.part == part for module in modules_of(model)):
            there = [one for one in PARTS if any(module.part == one for module in modules_of(model))]
            raise UnknownNameError(f"--weights: {part}: {model.name} has none; it has {', '.join(there)}")
    chosen = published
    for part, name in asked:
        chosen = _with_part(model, chosen, part, name)
    return Formats(msgspec.structs.replace(chosen, name=spelled(asked)), cache, model.activations)


def _published(model: Model) -> Storage:
    if model.storage is not None:
        return model.storage
    plain = storage_format(model.weight_format, "--weights").name
    return uniform(plain) if model.recipe is None else _resolved(model, model.recipe)


def _whole(model: Model, name: str, published: Storage) -> Storage:
    """Return the storage where all is stored as `name`."""
    if name == published.name and model.storage is not None:
        return published
    if name in FILE_TYPES:
        if model.step:
            raise UnknownNameError(
                f"--weights: {shown(name)} is a type of GGUF files, which hold decoders, and {model.name} is none;"
                " ask for"
                " a format of blocks, such as q4_k"
            )
        return _as_file(model, name)
    experts_alone = name == published.experts and published.experts != published.attention and model.recipe is not None
    head = name if experts_alone else head_format(name, model.activations)
    router = () if model.step else (("router", ((model.activations, 1.0),)),)
    return msgspec.structs.replace(uniform(name), head=head, embedding=head, operations=router)


def _with_part(model: Model, storage: Storage, part: str, name: str) -> Storage:
    """Return `storage` with one part stored as `name`; the head and a tied embedding are one table."""
    source = _as_file(model, name) if name in FILE_TYPES else uniform(name)
    within = {module.operation for module in modules_of(model) if module.part == part}
    operations = {operation: mix for operation, mix in storage.operations if operation not in within}
    operations |= {operation: mix for operation, mix in source.operations if operation in within}
    layers = tuple(
        (index, kept)
        for index, found in storage.layers
        if (kept := tuple((operation, mix) for operation, mix in found if operation not in within))
    )
    parts = {part: getattr(source, part)}
    if model.tied and part in ("head", "embedding"):
        parts = {"head": getattr(source, part), "embedding": getattr(source, part)}
    return msgspec.structs.replace(storage, operations=tuple(sorted(operations.items())), layers=layers, **parts)


def _as_file(model: Model, file_type: str) -> Storage:
    """Return the storage of a GGUF file of `file_type`.

    Layers are alike: a matrix that some layers store wider has both formats, each with its share. A kernel takes the
    block format as an argument, as it takes the address.
    """
    from perfmodel.specifications.publishedfiles import USUAL_SIZES, published_files, scaled, stored_size

    kind = _quantised(model)
    narrow = _NARROW_EXPERTS.get(_published(model).experts.partition("-")[0]) if kind.experts > 1 else None

    def block(module: Module, role: str) -> str:
        if module.operation.startswith(_LEFT_ALONE) or module.operation.endswith("streams_weights"):
            return "fp16"
        if model.family in _FUSED and role in ("query", "key", "value"):
            role = "qkv"
        layer = module.layer if module.layer is not None else kind.layers - 1
        chosen = block_format(file_type, role, layer, module.columns, kind)
        wider = narrow and module.experts and STORAGE_FORMATS[chosen].bits > STORAGE_FORMATS[narrow].bits
        return narrow if narrow and wider else chosen

    def mix(module: Module) -> Mix:
        shares: dict[str, float] = {}
        for role, share in _roles(model, module):
            name = block(module, role)
            shares[name] = shares.get(name, 0.0) + share
        return tuple(shares.items())

    found = [(module, mix(module)) for module in modules_of(model)]
    tied = 1 if model.tied else 0  # The embedding comes first, and is the head once more.
    if (published := published_files().get((model.name, file_type))) is not None:
        found = [*found[:tied], *scaled(found[tied:], _tensor_bytes(model, published))]
    elif kind.experts == 1 and (factor := USUAL_SIZES.get(file_type)):
        found = [*found[:tied], *scaled(found[tied:], factor * added(stored_size(*one) for one in found[tied:]))]
    return msgspec.structs.replace(assigned(file_type, found, alike=True), vectors="fp32")


def _tensor_bytes(model: Model, file: "PublishedFile") -> float:
    """Return the bytes of a published file that are matrices of the model, without vocabulary, vectors, draft head."""
    from perfmodel.operations.apart import draft_parameter_count

    counted, draft = parameter_count(model), draft_parameter_count(model) if file.draft else 0
    vectors = counted - model.other_parameters - sum(module.elements for module in modules_of(model))
    vectors += 0 if not model.tied or model.step else embedding_elements(model)
    whole = (file.bytes - BYTES_PER_TOKEN_OF_VOCABULARY * model.vocabulary) * counted / (counted + draft)
    return whole - 4.0 * vectors


def _roles(model: Model, module: Module) -> tuple[tuple[str, float], ...]:
    """Return the roles of a matrix in ggml's files, each with its share: they cut that into linear attention."""
    layer = model.layers[module.layer] if module.layer is not None else None
    mixer = layer.mixer if isinstance(layer, Layer) else None
    if module.operation == "in_projection" and isinstance(mixer, DeltaAttention):
        # attn_qkv, which is chosen for like a value, and attn_gate.
        gate = mixer.value_heads * mixer.value_dim
        share = gate / (2 * mixer.key_heads * mixer.key_dim + 2 * gate)
        return (("qkv", 1 - share), ("in_projection", share))
    if module.operation == "in_projection" and isinstance(mixer, KeyedDeltaAttention):
        return (("query", 1 / 3), ("key", 1 / 3), ("value", 1 / 3))
    return ((module.operation.removeprefix("shared_"), 1.0),)


def _quantised(model: Model) -> Quantised:
    layers = [layer for layer in model.layers if isinstance(layer, Layer)]
    attention = next((layer.mixer for layer in layers if isinstance(layer.mixer, Attention)), None)
    experts = max((block.count for one in layers for block in one.mixtures), default=1)
    shared = attention.heads // attention.kv_heads if attention else 1
    large = model.family in ("llama", "qwen2") and len(layers) == 80 and shared > 1
    return Quantised(len(layers), experts, shared, model.tied, large, model.family == "falcon")


def _resolved(model: Model, recipe: Recipe) -> Storage:
    """Return the storage of a checkpoint: each matrix in the format that the recipe gives the module of its name."""
    matcher = recipe.matcher()
    by_layer, by_expert = matcher.tells_apart()
    made: dict[tuple[str, str, bool, int | None], Mix] = {}
    # Linear attention with a gate of its own stands where attention does, and its matrices are called alike.
    gated = {m.layer for m in modules_of(model) if m.operation.startswith(("decay_", "output_gate_"))}

    def mix(module: Module) -> Mix:
        # Where no layer is named, one stands for all that have such a matrix.
        key = (module.operation, module.part, module.layer is None, module.layer if by_layer else None)
        if key not in made:
            made[key] = worked_out(module)
        return made[key]

    def worked_out(module: Module) -> Mix:
        called = module.operation
        if called in ("in_projection", "out_projection") and module.layer in gated:
            called = f"linear_{called}"
        classes = [EVERYTHING]
        if module.part != "embedding" and not module.operation.endswith(_NO_LINEAR):
            classes.append(LINEAR)
        if module.part == "experts":
            classes.append(EXPERTS)
        # Likewise one expert stands for all.
        numbers = range(module.experts if by_expert else 1) if module.experts else (None,)
        counted: dict[str, int] = {}
        for number in numbers:
            name = matcher.format_of(named(called, module.part, module.layer, number), classes)
            counted[name] = counted.get(name, 0) + 1
        return tuple((name, count / sum(counted.values())) for name, count in counted.items())

    storage = assigned("", [(module, mix(module)) for module in modules_of(model)], alike=False)
    if model.tied:
        # One table: where the head is converted, so is the embedding.
        storage = msgspec.structs.replace(storage, embedding=storage.head)
    return storage
