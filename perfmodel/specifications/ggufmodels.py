"""The header of a GGUF file to a Model: layers as its tensors show them, each matrix in the format it has there."""

import re
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.ggufmixers import ByLayer, mixer_of
from perfmodel.specifications.ggufs import Header, Tensor
from perfmodel.specifications.model import Experts, FeedForward, Layer, Model
from perfmodel.specifications.storage import Mix, Module, assigned

# Names of file types by the number in general.file_type (enum llama_ftype, include/llama.h).
_FILE_TYPES = {
    0: "fp32",
    1: "fp16",
    2: "q4_0",
    3: "q4_1",
    7: "q8_0",
    8: "q5_0",
    9: "q5_1",
    10: "q2_k",
    11: "q3_k_s",
    12: "q3_k_m",
    13: "q3_k_l",
    14: "q4_k_s",
    15: "q4_k_m",
    16: "q5_k_s",
    17: "q5_k_m",
    18: "q6_k",
    19: "iq2_xxs",
    20: "iq2_xs",
    21: "q2_k_s",
    22: "iq3_xs",
    23: "iq3_xxs",
    24: "iq1_s",
    25: "iq4_nl",
    26: "iq3_s",
    27: "iq3_m",
    28: "iq2_s",
    29: "iq2_m",
    30: "iq4_xs",
    31: "iq1_m",
    32: "bf16",
    36: "tq1_0",
    37: "tq2_0",
    38: "mxfp4_moe",
}
# A tensor of a layer: operations whose matrix it is, and their part.
_MATRICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "attn_q": ("attention", ("query",)),
    "attn_k": ("attention", ("key",)),
    "attn_v": ("attention", ("value",)),
    "attn_qkv": ("attention", ("query", "key", "value")),
    "attn_output": ("attention", ("output",)),
    "attn_gate": ("attention", ("in_projection",)),
    "ssm_in": ("attention", ("in_projection",)),
    "ssm_x": ("attention", ("state_projection",)),
    "ssm_dt": ("attention", ("step_projection",)),
    "ssm_ba": ("attention", ("step_projection",)),
    "ssm_alpha": ("attention", ("step_projection",)),
    "ssm_beta": ("attention", ("step_projection",)),
    "ssm_out": ("attention", ("out_projection",)),
    "shortconv.in_proj": ("attention", ("in_projection",)),
    "shortconv.out_proj": ("attention", ("out_projection",)),
    "attn_q_a": ("attention", ("query_down",)),
    "attn_q_b": ("attention", ("query_up",)),
    "attn_kv_a_mqa": ("attention", ("kv_down",)),
    "attn_kv_b": ("attention", ("query_absorb", "value_up")),
    "attn_k_b": ("attention", ("query_absorb",)),
    "attn_v_b": ("attention", ("value_up",)),
    "ffn_gate": ("dense", ("gate",)),
    "ffn_up": ("dense", ("gate", "up")),
    "ffn_down": ("dense", ("down",)),
    "ffn_gate_inp": ("other", ("router",)),
    "ffn_gate_exps": ("experts", ("expert_gate",)),
    "ffn_up_exps": ("experts", ("expert_up",)),
    "ffn_gate_up_exps": ("experts", ("expert_gate", "expert_up")),
    "ffn_down_exps": ("experts", ("expert_down",)),
    "ffn_gate_shexp": ("shared", ("shared_gate",)),
    "ffn_up_shexp": ("shared", ("shared_up",)),
    "ffn_down_shexp": ("shared", ("shared_down",)),
    "ffn_gate_inp_shexp": ("shared", ("shared_scale",)),
}
# Tensors of two dimensions that are no matrix.
_TABLES = ("ssm_conv1d", "shortconv.conv", "ssm_a", "ssm_d")
_OUTSIDE = {"token_embd.weight": ("embedding", "embedding"), "output.weight": ("head", "head")}
_LAYER = re.compile(r"blk\.(\d{1,5})\.(.+)")
_MOST_LAYERS = 1_000


def model_from_gguf(header: Header, *, name: str, source: str, where: str, **described: Any) -> Model:
    """Return the Model that the header of a GGUF file describes, with each matrix in the format it has there.

    where: the file, for messages. described: further fields of Model that the header does not hold.
    Raises SpecificationError for tensors that make no layer of attention and feed-forward blocks.
    """
    file = _by_layer(header, where)
    table = file.outside.get("token_embd.weight")
    if table is None or len(table.shape) != 2:
        raise SpecificationError(
            f"{where}: has no token_embd.weight, the embedding of a decoder; it may be a tower or an adapter"
        )
    hidden, vocabulary = table.shape
    layers = tuple(_layer(file, index, hidden) for index in range(len(file.layers)))
    left_out = header.keys.get(f"{file.architecture}.nextn_predict_layers", 0)
    longest = header.keys.get(f"{file.architecture}.context_length")
    tied = "output.weight" not in file.outside
    kept = [*file.outside.values(), *(tensor for layer in file.layers for tensor in layer.values())]
    notes = (f"layers of a draft head are left out: {left_out}",) if left_out else ()
    own = {
        "title": " ".join(str(header.keys.get("general.name", name)).split())[:200],
        "notes": notes,
        "published_parameters": sum(t.elements for t in kept if not t.name.startswith("rope_")),
    }
    return Model(
        name=name,
        source=source,
        family=file.architecture.replace("-", "_"),
        hidden=hidden,
        vocabulary=vocabulary,
        layers=layers,
        tied=tied,
        norm_elements=2 if "output_norm.bias" in file.outside else 1,
        final_norm="output_norm.weight" in file.outside,
        head_bias="output.bias" in file.outside,
        other_parameters=sum(t.elements for n, t in file.outside.items() if n == "position_embd.weight"),
        storage=_storage(header, file, tied=tied),
        longest_context=longest if isinstance(longest, int) and longest > 0 else None,
        **(own | {key: value for key, value in described.items() if value is not None}),
    )


def _by_layer(header: Header, where: str) -> ByLayer:
    architecture = header.keys.get("general.architecture")
    if not isinstance(architecture, str):
        raise SpecificationError(f"{where}: has no general.architecture, which says what its tensors are")
    file = ByLayer(where, architecture, header.keys, {}, ())
    count = file.number("block_count") - file.number("nextn_predict_layers", 0)
    if not 0 < count <= _MOST_LAYERS:
        raise SpecificationError(f"{where}: {architecture}.block_count: {count} layers; 1 to {_MOST_LAYERS} are known")
    outside: dict[str, Tensor] = {}
    layers: tuple[dict[str, Tensor], ...] = tuple({} for _ in range(count))
    for tensor in header.tensors:
        found = _LAYER.fullmatch(tensor.name)
        if found is None:
            outside[tensor.name] = tensor
        elif int(found[1]) < count:
            layers[int(found[1])][found[2]] = tensor
    return msgspec.structs.replace(file, outside=outside, layers=layers)


def _layer(file: ByLayer, index: int, hidden: int) -> Layer:
    tensors = file.layers[index]
    for name, tensor in tensors.items():
        stem = name.removesuffix(".weight")
        if len(tensor.shape) > 1 and stem not in (*_MATRICES, *_TABLES) and name.endswith(".weight"):
            raise SpecificationError(
                f"{file.where}: tensor {shown(tensor.name)} is not understood; layers of attention and feed-forward"
                f" blocks are: {', '.join(list(_MATRICES)[:5])} and the like"
            )
    norms = [
        name
        for name in ("attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm")
        if f"{name}.weight" in tensors
    ]
    # Some architectures call the norm before the feed-forward block the one after attention.
    placed = "both" if len(norms) == 4 else "before" if "attn_norm" in norms else "after"
    mixer, beside = mixer_of(file, index, hidden)
    block = _feed_forward(file, index)
    parallel = "two-norms" if "attn_norm_2.weight" in tensors else "one-norm" if norms == ["attn_norm"] else ""
    if not norms or mixer is None or block is None:
        parallel = ""
    return Layer(mixer=mixer, beside=beside, feed_forward=block, norms=placed, parallel=parallel)


def _feed_forward(file: ByLayer, index: int) -> FeedForward | Experts | None:
    tensors = file.layers[index]
    if "ffn_gate_inp.weight" in tensors:
        up, shared = tensors.get("ffn_up_exps.weight"), tensors.get("ffn_up_shexp.weight")
        down = tensors.get("ffn_down_exps.weight")
        if down is None or len(down.shape) != 3:
            raise SpecificationError(
                f"{file.where}: layer {index} has a router and no blk.{index}.ffn_down_exps.weight"
            )
        return Experts(
            count=down.shape[2],
            chosen=file.number("expert_used_count"),
            intermediate=down.shape[0],
            gated="ffn_gate_exps.weight" in tensors or up is None,
            bias="ffn_down_exps.bias" in tensors,
            router_bias="ffn_gate_inp.bias" in tensors or "exp_probs_b.bias" in tensors,
            shared=shared.shape[-1] if shared is not None else 0,
            shared_gate="ffn_gate_inp_shexp.weight" in tensors,
        )
    down, up = tensors.get("ffn_down.weight"), tensors.get("ffn_up.weight")
    if down is None or up is None:
        return None
    width = down.shape[0]
    gated = "ffn_gate.weight" in tensors or up.shape[-1] == 2 * width
    return FeedForward(intermediate=width, gated=gated, bias="ffn_down.bias" in tensors)


def _storage(header: Header, file: ByLayer, *, tied: bool) -> Any:
    """Return the storage of the file: layers are alike, a matrix with several formats has each with its share."""
    found: list[tuple[Module, Mix]] = []
    for name, (part, operation) in _OUTSIDE.items():
        tensor = file.outside.get(name)
        if tensor is not None:
            found.append((Module(None, operation, part, tensor.shape[0], tensor.elements), ((tensor.format, 1.0),)))
            if tied:
                found.append((Module(None, "head", "head", tensor.shape[0], tensor.elements), ((tensor.format, 1.0),)))
    vectors: dict[str, int] = {}
    for index, tensors in enumerate(file.layers):
        for name, tensor in tensors.items():
            stem, mix = name.removesuffix(".weight"), ((tensor.format, 1.0),)
            if len(tensor.shape) == 1 or stem in _TABLES:
                vectors[tensor.format] = vectors.get(tensor.format, 0) + tensor.elements
            if stem not in _MATRICES or not name.endswith(".weight"):
                continue
            part, operations = _MATRICES[stem]
            if stem == "attn_qkv" and "attn_gate.weight" in tensors:
                operations = ("in_projection",)
            for operation in operations:
                if operation == "gate" and stem == "ffn_up" and "ffn_gate.weight" in tensors:
                    continue
                found.append((Module(index, operation, part, tensor.shape[0], tensor.elements), mix))
    kind = _FILE_TYPES.get(header.keys.get("general.file_type", -1), "")
    storage = assigned(kind, found, alike=True)
    return msgspec.structs.replace(storage, vectors=max(vectors, key=lambda v: vectors[v], default=""))
