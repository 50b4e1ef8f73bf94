"""Recipes: what a checkpoint's quantisation says about its modules, by name, and which format a module then has."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec

# Classes of modules that a rule can name, besides names: all matrices but routers, head included; routed experts; every
# matrix and the embedding.
LINEAR, EXPERTS, EVERYTHING = "Linear", "Experts", "Everything"
CLASSES = (LINEAR, EXPERTS, EVERYTHING)


class Rule(msgspec.Struct, frozen=True):
    """A storage format, and the modules it is for: classes, names, parts of names, with `*`, or `re:` and a pattern."""

    format: str
    targets: tuple[str, ...]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a checkpoint is quantised. plain: the format of what is not; ignored: targets that no rule may convert.

    said: what it is called where one is named, such as its method.
    """

    plain: str
    rules: tuple[Rule, ...]
    ignored: tuple[str, ...] = ()
    said: str = ""

    def matcher(self) -> "Matcher":
        """Return what finds the format of a module."""
        together: dict[str, list[str]] = {}
        for rule in self.rules:
            together.setdefault(rule.format, []).extend(rule.targets)
        rules = tuple((name, _sorted_targets(targets)) for name, targets in together.items())
        return Matcher(self.plain, rules, _sorted_targets(self.ignored))


class Published(msgspec.Struct, frozen=True):
    """How a checkpoint is stored. plain: the format of what is not quantised; kv: of the cache where one is named."""

    plain: str
    recipe: Recipe | None = None
    kv: str | None = None


class ModuleNames(msgspec.Struct, frozen=True):
    """All that checkpoints may call a module. layer: its index, None outside the layers; within: names in its layer."""

    layer: int | None
    within: tuple[str, ...]

    def whole(self) -> Iterator[str]:
        """Yield all names from the model's root on."""
        for root in _ROOTS if self.layer is not None else ("", *_ROOTS):
            block = "" if self.layer is None else f"{'h' if root == 'transformer.' else 'layers'}.{self.layer}."
            yield from (f"{root}{block}{name}" for name in self.within)


class _Targets(msgspec.Struct, frozen=True):
    """Targets by sort: names within a layer by its index, runs of words and classes, and patterns for whole names."""

    layered: dict[int, frozenset[str]]
    words: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]


class Matcher(msgspec.Struct, frozen=True):
    """The rules of a recipe, their targets sorted for look-up."""

    plain: str
    rules: tuple[tuple[str, _Targets], ...]
    ignored: _Targets

    def format_of(self, module: ModuleNames, classes: Sequence[str]) -> str:
        """Return the storage format of a module.

        classes: of `CLASSES`, those it belongs to. What is ignored is plain; of several rules the most specific one
        holds: a name before a pattern, a longer one before a shorter one, a class last.
        """
        if _matched(self.ignored, module, classes) is not None:
            return self.plain
        best: tuple[int, int] = (0, 0)
        found = self.plain
        for name, targets in self.rules:
            rank = _matched(targets, module, classes)
            if rank is not None and rank > best:
                best, found = rank, name
        return found

    def tells_apart(self) -> tuple[bool, bool]:
        """Return whether a target names one layer of many, and whether one names a single expert of a layer."""
        found = [self.ignored, *(targets for _, targets in self.rules)]
        patterns = [pattern.pattern for targets in found for pattern in targets.patterns]
        layers = any(targets.layered for targets in found) or any(re.search(r"\d|\\d", text) for text in patterns)
        names = [name for targets in found for held in targets.layered.values() for name in held]
        return layers, any(re.search(r"experts(\\?\.)\d", text) for text in [*names, *patterns])


def _matched(kinds: _Targets, module: ModuleNames, classes: Sequence[str]) -> tuple[int, int] | None:
    """Return how specific the most specific of the targets that fits is, None where none does."""
    found = [(1, CLASSES.index(one)) for one in classes if one in kinds.words]
    if module.layer is not None and (named_here := kinds.layered.get(module.layer)):
        found += [(3, 100 + len(run)) for run in _leading(module.within) & named_here]
    if kinds.words:
        found += [(3, len(run)) for run in _runs(module.within) & kinds.words]
    for pattern in kinds.patterns:
        if any(pattern.match(name) for name in module.whole()):
            found.append((2, len(pattern.pattern)))
    return max(found, default=None)


_LAYER = r"(.*\.)?(?:layers|h|blocks)\.(\d{1,6})(?:\.(.*))?"


def _sorted_targets(targets: Iterable[str]) -> _Targets:
    """Return the targets by sort; what names a layer of anything but the decoder, such as a tower's, is left out."""
    layered: dict[int, set[str]] = {}
    words: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    for target in targets:
        if target.startswith("re:"):
            patterns.append(re.compile(target[3:]))
        elif "*" in target:
            # `*` is any text; the name may go on on both sides by whole words.
            middle = ".*".join(re.escape(word) for word in target.split("*"))
            patterns.append(re.compile(rf"(?:.*\.)?{middle}(?:\..*)?$"))
        elif (found := re.fullmatch(_LAYER, target)) is None:
            words.update((target, *(target.removeprefix(root) for root in _ROOTS if target.startswith(root))))
        elif (found[1] or "model.") in _ROOTS:
            layered.setdefault(int(found[2]), set()).add(found[3] or "")
    by_layer = {layer: frozenset(names) for layer, names in layered.items()}
    return _Targets(by_layer, frozenset(words), tuple(patterns))


@lru_cache(maxsize=4096)
def _leading(names: tuple[str, ...]) -> frozenset[str]:
    """Return the leading runs of words of dotted names, from none to all."""
    return frozenset(
        ".".join(words[:stop]) for words in (name.split(".") for name in names) for stop in range(len(words) + 1)
    )


@lru_cache(maxsize=4096)
def _runs(names: tuple[str, ...]) -> frozenset[str]:
    """Return all runs of whole words of dotted names: `self_attn` is one of self_attn.q_proj."""
    return frozenset(
        ".".join(words[start:stop])
        for words in (name.split(".") for name in names)
        for start in range(len(words))
        for stop in range(start + 1, len(words) + 1)
    )


# Where a decoder stands in a checkpoint, alone or beside the towers of a multimodal model.
_ROOTS = ("model.", "model.language_model.", "language_model.model.", "language_model.", "transformer.", "backbone.")
_SHARED = ("mlp.shared_experts", "mlp.shared_expert", "feed_forward.shared_expert", "mixer.shared_experts")
_EXPERTS = ("mlp.experts", "block_sparse_moe.experts", "feed_forward.experts", "mixer.experts")
_GATE, _UP, _DOWN = ("gate_proj", "gate_up_proj", "w1"), ("up_proj", "gate_up_proj", "w3"), ("down_proj", "w2")
_FUSED = (
    "self_attn.qkv_proj",
    "self_attn.W_pack",
    "attention.wqkv",
    "attn.c_attn",
    "attn.Wqkv",
    "attention.query_key_value",
    "self_attention.query_key_value",
)


def _under(parents: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{parent}.{name}" for parent in parents for name in names)


# How checkpoints call the matrix of an operation, within its layer.
_NAMES: dict[str, tuple[str, ...]] = {
    "query": ("self_attn.q_proj", "attention.wq", "attn.q_proj", "mixer.q_proj", *_FUSED),
    "key": ("self_attn.k_proj", "attention.wk", "attn.k_proj", "mixer.k_proj", *_FUSED),
    "value": ("self_attn.v_proj", "attention.wv", "attn.v_proj", "mixer.v_proj", *_FUSED),
    "output": (
        "self_attn.o_proj",
        "self_attn.out_proj",
        "self_attn.dense",
        "attention.wo",
        "attention.dense",
        "self_attention.dense",
        "attn.out_proj",
        "attn.c_proj",
        "mixer.o_proj",
    ),
    "query_down": ("self_attn.q_a_proj", "self_attn.fused_qkv_a_proj_with_mqa"),
    "kv_down": ("self_attn.kv_a_proj_with_mqa", "self_attn.fused_qkv_a_proj_with_mqa"),
    "query_up": ("self_attn.q_b_proj",),
    "query_absorb": ("self_attn.kv_b_proj",),
    "value_up": ("self_attn.kv_b_proj",),
    "index_query": ("self_attn.indexer.wq_b",),
    "index_key": ("self_attn.indexer.wk",),
    "index_weight": ("self_attn.indexer.weights_proj",),
    "in_projection": (
        "mixer.in_proj",
        "mamba.in_proj",
        "linear_attn.in_proj_qkvz",
        "linear_attn.in_proj_qkv",
        "conv.in_proj",
    ),
    "linear_in_projection": ("self_attn.qkv_proj", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "state_projection": ("mixer.x_proj", "mamba.x_proj"),
    "step_projection": (
        "mixer.dt_proj",
        "mamba.dt_proj",
        "linear_attn.in_proj_ba",
        "linear_attn.in_proj_b",
        "self_attn.b_proj",
    ),
    "decay_projection": ("self_attn.f_proj", "self_attn.forget_gate.f_proj"),
    "decay_down": ("self_attn.f_a_proj", "self_attn.forget_gate.f_a_proj"),
    "decay_up": ("self_attn.f_b_proj", "self_attn.forget_gate.f_b_proj"),
    "output_gate_projection": ("self_attn.g_proj", "self_attn.output_gate"),
    "output_gate_down": ("self_attn.g_a_proj",),
    "output_gate_up": ("self_attn.g_b_proj",),
    "head_gate": ("self_attn.g_proj", "self_attn.gate_proj"),
    "key_value": ("self_attn.kv_proj", "attn.wkv"),
    "output_down": ("self_attn.o_a_proj", "attn.wo_a"),
    "output_up": ("self_attn.o_b_proj", "attn.wo_b"),
    "compressor_entries": ("self_attn.compressor.kv_proj", "attn.compressor.wkv"),
    "compressor_gates": ("self_attn.compressor.gate_proj", "attn.compressor.wgate"),
    "index_compressor_entries": ("self_attn.compressor.indexer.kv_proj", "attn.indexer.compressor.wkv"),
    "index_compressor_gates": ("self_attn.compressor.indexer.gate_proj", "attn.indexer.compressor.wgate"),
    "cross_query": ("encoder_attn.q_proj", "cross_attn.q_proj"),
    "cross_output": ("encoder_attn.out_proj", "cross_attn.o_proj"),
    "layer_input_gate": ("per_layer_input_gate",),
    "layer_input_up": ("per_layer_projection",),
    "out_projection": ("mixer.out_proj", "mamba.out_proj", "linear_attn.out_proj", "conv.out_proj"),
    "linear_out_projection": ("self_attn.out_proj", "self_attn.o_proj"),
    "gate": _under(("mlp", "feed_forward"), _GATE),
    "up": (
        *_under(("mlp", "feed_forward"), _UP),
        "mlp.fc1",
        "mlp.fc_in",
        "mlp.c_fc",
        "mlp.dense_h_to_4h",
        "fc1",
        "mixer.up_proj",
    ),
    "down": (
        *_under(("mlp", "feed_forward"), _DOWN),
        "mlp.fc2",
        "mlp.fc_out",
        "mlp.c_proj",
        "mlp.dense_4h_to_h",
        "fc2",
        "mixer.down_proj",
    ),
    "router": ("mlp.gate", "block_sparse_moe.gate", "mlp.router", "feed_forward.router", "mixer.gate", "router"),
    "shared_gate": _under(_SHARED, _GATE),
    "shared_up": _under(_SHARED, _UP),
    "shared_down": _under(_SHARED, _DOWN),
    "shared_scale": ("mlp.shared_expert_gate",),
    "latent_down": ("mixer.fc1_latent_proj",),
    "latent_up": ("mixer.fc2_latent_proj",),
    "expert_gate": _under(_EXPERTS, _GATE),
    "expert_up": _under(_EXPERTS, _UP),
    "expert_down": _under(_EXPERTS, _DOWN),
    "head": ("lm_head", "embed_out", "output_layer"),
    "embedding": ("embed_tokens", "wte", "embeddings"),
}


@lru_cache(maxsize=4096)
def _within(operation: str, part: str, expert: int | None) -> tuple[str, ...]:
    parents = ("self_attn.", "linear_attn.", "mixer.") if part == "attention" else ("",)
    names = _NAMES.get(operation) or tuple(f"{parent}{operation}" for parent in parents)
    if expert is None:
        return names
    return (*names, *(name.replace(".experts.", f".experts.{expert}.") for name in names))


def named(operation: str, part: str, layer: int | None, expert: int | None = None) -> ModuleNames:
    """Return all that checkpoints may call the module that holds the matrix of `operation`, of a part of the model.

    layer: its index, None outside the layers; expert: which one of the routed experts, None for what is none.
    """
    return ModuleNames(layer, _within(operation, part, expert))
