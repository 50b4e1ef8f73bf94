"""Counts held against those of the `transformers` library, kept in tests/oracle/*.json; `make oracle` counts anew."""

import json
from collections import Counter
from pathlib import Path

import pytest

from perfmodel import PerfModelError, find_model
from perfmodel.operations import decode_step, embedding_elements, parameter_count, total_work
from perfmodel.operations.formats import plain_formats
from perfmodel.specifications.huggingface import model_from_config
from perfmodel.specifications.huggingface.readers import KNOWN_TYPES
from perfmodel.specifications.mixers import Attention, CompressedAttention, LatentAttention

FOLDER = Path(__file__).parent / "oracle"
PLAIN = plain_formats("bf16")


def kept(section):
    return json.loads((FOLDER / f"{section}.json").read_text(encoding="utf-8"))


DECODERS = kept("decoders")
SMALL, TYPES = DECODERS["decoders"], DECODERS["types"]
VARIED = {family: rows for family, rows in kept("varied")["varied"].items() if family in SMALL}
PUBLISHED, WRAPPED = kept("published")["published"], kept("wrappers")["wrappers"]

# Why a count here is another than that of the library.
NO_CORRECTION = "the library's router always has a correction; here it has one where topk_method noaux_tc says so"
NO_KEYS = "the published files hold keys and values of layers that share caches, which the library leaves out"
PARAMETERS = {
    "deepseek_v3": NO_CORRECTION, "deepseek_v32": NO_CORRECTION, "glm_moe_dsa": NO_CORRECTION,
    "sarvam_mla": NO_CORRECTION,
    "kimi_k25": NO_CORRECTION, "gemma3n_text": NO_KEYS, "gemma3n": NO_KEYS, "gemma-3n-e2b": NO_KEYS,
    "gemma-3n-e4b": NO_KEYS,
}  # fmt: skip
DIFFERING = {
    "longcat_flash": {"experts"},  # the library makes gates and ups for experts that have no weights
    "mllama": {"embedding", "rest"},  # eight rows of the embedding, which have none in the head, are with the rest here
}
CACHES = {
    "falcon": "the library keeps keys and values for every head, whatever num_kv_heads says",
    "deepseek_v32": "index keys are kept in fp8 with a scale here",
    "glm_moe_dsa": "index keys are kept in fp8 with a scale here",
    "deepseek_v4": "the library counts a key twice, as key and value, and keeps the tokens of a group that is not full",
}  # fmt: skip
ABSORBED = "latent attention is decoded absorbed here; the library expands every cached token to all heads in each step"
STATES = "the library multiplies states by matrices, which are elementwise work here"
FLOPS = {
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "minicpm3",
    "mistral4", "sarvam_mla", "youtu", "bailing_hybrid", "kimi_linear"), ABSORBED),
    **dict.fromkeys(("bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "jamba", "mamba", "mamba2", "minimax",
    "nemotron_h", "olmo_hybrid", "qwen3_5_moe_text", "qwen3_5_text",
                     "qwen3_next", "lfm2", "lfm2_moe", "lfm3", "lara_mini"), STATES),
    "llama4_text": "the library runs every expert for every token",
    "minimax_m3_vl_text": "the library masks what its index leaves out, and multiplies it all the same",
    "gemma3n_text": "the router of the streams runs twice, elementwise here",
    "deepseek_v4": "weights of streams and masks are multiplied whole by the library",
}  # fmt: skip


def read(config):
    return model_from_config(config, name="counted", source="tests/oracle", where="config.json")


def operations(model):
    return list(decode_step(model, PLAIN, 1).all_operations())


def parts(model):
    found = Counter(rest=model.other_parameters)
    if not model.tied:
        found["embedding"] += embedding_elements(model)
    for operation in operations(model):
        name = operation.name
        part = {"head": "embedding" if model.tied else "head"}.get(name, "rest")
        if name in ("expert_gate", "expert_up", "expert_down"):
            part = "experts"
        elif name in ("shared_gate", "shared_up", "shared_down"):
            part = "shared"
        found[part] += operation.elements
    return {part: count for part, count in sorted(found.items()) if count}


def differences(ours, theirs):
    return {part: (ours.get(part), theirs.get(part)) for part in {*ours, *theirs} if ours.get(part) != theirs.get(part)}


@pytest.mark.parametrize("family", SMALL)
def test_parameters_by_part(family):
    differing = differences(parts(read(SMALL[family]["config"])), SMALL[family]["parameters"])
    assert set(differing) == DIFFERING.get(family, {"rest"} if family in PARAMETERS else set())


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_catalogue_at_full_size(name):
    theirs = {part: count for part, count in PUBLISHED[name].items() if part != "tower"}
    if "experts" not in theirs and "shared" in theirs:  # a block of its own, named as if beside experts
        theirs["rest"] += theirs.pop("shared")
    assert set(differences(parts(find_model(name)), theirs)) == ({"rest"} if name in PARAMETERS else set())


# Configs that others made, with what the library counts of them.
@pytest.mark.parametrize(
    ("name", "parameters", "tower"),
    [
        ("gemma4-26b-a4b", 27_311_373_086, None),
        ("gemma4-31b", 30_697_345_340, None),
        ("glm-5.2-fp8", 743_911_218_432, None),
        ("qwen3-vl-8b", 8_190_735_360, 566_949_104),
    ],
)
def test_cases_of_other_hands(name, parameters, tower):
    config = json.loads((FOLDER.parent / "cases" / "families" / f"{name}.json").read_text(encoding="utf-8"))
    model = read(config)
    assert parameter_count(model) == parameters
    assert [part.parameters for part in model.towers][:1] == ([tower] if model.towers else [])


@pytest.mark.parametrize("family", WRAPPED)
def test_towers_are_counted_or_named(family):
    theirs = dict(WRAPPED[family]["parameters"])
    towers = theirs.pop("tower", 0)
    model = read(WRAPPED[family]["config"])
    differing = differences(parts(model), theirs)
    assert set(differing) == DIFFERING.get(family, {"rest"} if family in PARAMETERS else set())
    counted = [tower.parameters for tower in model.towers]
    assert bool(counted) == bool(towers)
    assert None in counted or sum(counted) == towers


@pytest.mark.parametrize("family", [family for family in SMALL if "steps" in SMALL[family]])
def test_cache_and_state_of_a_sequence(family):
    model = read(SMALL[family]["config"])
    work = total_work(decode_step(model, PLAIN, 1))
    state = sum(o.work.state / (4 if o.kind == "state_update" else 2) for o in operations(model))
    for step in SMALL[family]["steps"]:
        ours = (work.bytes_resident(1, step["context"]) - work.bytes_resident(1, 0)) / 2
        # The library keeps one token less than a window, since the step's own is the last.
        theirs = step["cache"] + sum(_entry(model, window) for window in _sliding(model) if step["context"] >= window)
        assert (ours == theirs) == (family not in CACHES), (ours, theirs)
        if family not in ("deepseek_v4", "minimax"):  # whose states the library keeps elsewhere
            assert state == step["state"]


def _sliding(model):
    return [
        c.window
        for o in operations(model)
        for c in o.work.caches
        if c.window is not None and not c.whole and not c.shared
    ]


def _entry(model, window):
    caches = [
        c for o in operations(model) for c in o.work.caches if c.window == window and not c.whole and not c.shared
    ]
    return sum(c.bytes for c in caches) / len(caches) / 2


@pytest.mark.parametrize("family", [family for family in SMALL if "steps" in SMALL[family]])
def test_multiplications_of_a_step(family):
    listed = operations(read(SMALL[family]["config"]))
    # A matrix: two FLOPs an element; its biases are added, not multiplied.
    products = sum(2 * (o.work.flops - o.active) for o in listed if o.kind in ("linear", "expert", "head"))
    for step in SMALL[family]["steps"]:
        tokens = step["context"] + 1
        attended = sum(c.flops * min(tokens, c.window or tokens) for o in listed for c in o.work.caches)
        assert (products + attended == step["flops"]) == (family not in FLOPS), (products + attended, step["flops"])


# Keys that the library reads otherwise, and why.
ALWAYS_ONE = "the library always has one shared expert"
TWO_TABLES = "the library keeps two tables, whatever tie_word_embeddings says"
VARIED_OTHERWISE = {
    ("deepseek_v4", "n_shared_experts"): ALWAYS_ONE, ("hy_v3", "num_shared_experts"): ALWAYS_ONE,
    ("bailing_hybrid", "tie_word_embeddings"): TWO_TABLES, ("kimi_linear", "tie_word_embeddings"): TWO_TABLES,
    ("nemotron_h", "tie_word_embeddings"): TWO_TABLES, ("nemotron_h", "attention_bias"): "the library has none",
    ("mpt", "expansion_ratio"): "the library always takes 4",
}  # fmt: skip
UNCOMPARED = ("gemma3n_text", "longcat_flash")  # count what no step reads, see above


@pytest.mark.parametrize("family", VARIED)
def test_what_a_key_changes(family):
    """A model with one key changed, or left out, has the library's parameters and windows,
    or is refused in one line."""
    base, answered = SMALL[family]["config"], 0
    for key, value, parameters, windows in VARIED[family]:
        config = {k: v for k, v in base.items() if k != key} if value == "absent" else base | {key: value}
        try:
            model = read(config)
        except PerfModelError as refusal:
            assert "\n" not in str(refusal)
            continue
        answered += 1
        known = (family, key) in VARIED_OTHERWISE or family in UNCOMPARED
        more = 4096 if family in PARAMETERS else 0  # a number an expert and layer
        assert known or 0 <= parameters - parameter_count(model) <= more, (key, value)
        if family not in (
            "nemotron_h",
            "rwkv",
            *UNCOMPARED,
        ):  # whose layers of other kinds have caches there that stay empty
            assert windows_of(model) == dict(windows), (key, value)
    assert answered > 0.3 * len(VARIED[family])


def windows_of(model):
    found = Counter()
    for layer in model.layers:
        for mixer in (layer.mixer, layer.beside):
            if isinstance(mixer, LatentAttention):
                found[None] += 1
            elif isinstance(mixer, Attention | CompressedAttention) and not getattr(mixer, "shares_cache", False):
                found[mixer.window] += 1
    return found


def test_every_type_of_the_library_is_answered_or_refused_in_one_line():
    answered = [name for name in TYPES if name in KNOWN_TYPES]
    assert len(answered) >= 60
    for name in TYPES:
        if name not in KNOWN_TYPES:
            with pytest.raises(PerfModelError, match=r"is not known|is a draft head") as refusal:
                read({"model_type": name, "hidden_size": 64})
            assert "\n" not in str(refusal.value)
    listed = [line.split(",") for line in (FOLDER / "types.csv").read_text(encoding="utf-8").splitlines()[1:]]
    assert {name: answer for name, answer, _ in listed} == {
        name: "answered" if name in KNOWN_TYPES else "refused" for name in TYPES
    }
