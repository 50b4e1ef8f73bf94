"""GGUF files: the header alone gives the model, every tensor in its own format;
damaged and hostile files are one line."""

import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate, find_model
from perfmodel.errors import PerfModelError
from perfmodel.operations import decode_step, parameter_count, plain_formats
from perfmodel.operations.storing import formats_of
from perfmodel.specifications.filetypes import Quantised, block_format
from perfmodel.specifications.ggufmodels import model_from_gguf
from perfmodel.specifications.ggufs import TENSOR_TYPES, Header, Tensor, read_header
from perfmodel.specifications.gguftables import header_from_table, table_from_header
from perfmodel.specifications.mixers import Attention, DeltaAttention, ShortConvolution, StateSpace
from perfmodel.specifications.modelfiles import load_model

NUMBERS = {name: number for number, name in TENSOR_TYPES.items()}


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(item):
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    if isinstance(item, bool):
        return struct.pack("<I?", 7, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    if item and isinstance(item[0], str):
        return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(map(text, item))
    return struct.pack("<IIQ", 9, 5, len(item)) + struct.pack(f"<{len(item)}i", *item)


def written(keys, tensors, version=3):
    """Return the bytes of a GGUF file without the tensors' data."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    head += b"".join(text(key) + value(item) for key, item in keys.items())
    return head + b"".join(
        text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, NUMBERS[kind], 0)
        for name, shape, kind in tensors
    )


LLAMA = {
    "general.architecture": "llama",
    "general.name": "Llama 3.1 8B",
    "general.file_type": 15,
    "llama.block_count": 32,
    "llama.context_length": 131072,
    "llama.embedding_length": 4096,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "tokenizer.ggml.tokens": ["a", "b"],
    "tokenizer.ggml.token_type": [1] * 5000,
}


def llama_tensors(file_type="q4_k_m"):
    kind = Quantised(32, 1, 4, tied=False)
    found = [
        ("token_embd.weight", (4096, 128256), block_format(file_type, "embedding", 0, 4096, kind)),
        ("output.weight", (4096, 128256), block_format(file_type, "head", 0, 4096, kind)),
        ("output_norm.weight", (4096,), "fp32"),
        ("rope_freqs.weight", (64,), "fp32"),
    ]
    for layer in range(32):
        for name, role, shape in (
            ("attn_q", "query", (4096, 4096)),
            ("attn_k", "key", (4096, 1024)),
            ("attn_v", "value", (4096, 1024)),
            ("attn_output", "output", (4096, 4096)),
            ("ffn_gate", "gate", (4096, 14336)),
            ("ffn_up", "up", (4096, 14336)),
            ("ffn_down", "down", (14336, 4096)),
        ):
            found.append((f"blk.{layer}.{name}.weight", shape, block_format(file_type, role, layer, shape[0], kind)))
        found += [(f"blk.{layer}.{name}.weight", (4096,), "fp32") for name in ("attn_norm", "ffn_norm")]
    return found


@pytest.fixture
def llama(tmp_path):
    path = tmp_path / "llama-q4_k_m.gguf"
    path.write_bytes(written(LLAMA, llama_tensors()))
    return path


def test_a_file_is_its_model(llama):
    model, catalogue = load_model(llama), find_model("llama-3.1-8b")
    assert parameter_count(model) == parameter_count(catalogue)
    assert model.layers == catalogue.layers
    assert formats_of(model, None, None).storage == formats_of(catalogue, "q4_k_m", None).storage
    answer = estimate(str(llama), "rtx-4090")
    assert answer.bytes_per_step == estimate("llama-3.1-8b", "rtx-4090", weights="q4_k_m").bytes_per_step
    assert answer.weight_format == "q4_k_m"
    assert estimate(str(llama.parent), "rtx-4090").bytes_per_step == answer.bytes_per_step


def test_parts_are_the_stored_tensors(llama):
    stored = sum(t.bytes for t in read_header(llama).tensors if not t.name.startswith("rope"))
    parts = estimate(str(llama), "rtx-4090").parts
    assert sum(p.bytes for p in parts if p.part != "kv") == pytest.approx(stored, abs=len(parts))


def test_a_file_can_be_asked_in_another_format(llama):
    assert estimate(str(llama), "rtx-4090", weights="q8_0").weight_format == "q8_0"
    parts = {p.part: p.format for p in estimate(str(llama), "rtx-4090", weights="head=q8_0").parts}
    assert (parts["head"], parts["dense"]) == ("q8_0", "q4_k+q6_k")


def test_an_imported_file_is_the_same_model(llama, tmp_path, run):
    out = tmp_path / "llama.toml"
    assert run("models", "import", str(llama), "-o", str(out), "--name", "my-llama").code == 0
    assert "blk.{0-3,6,9,12,15,18,21,24,27-31}.attn_v.weight 4096x1024 q6_k" in out.read_text(encoding="utf-8")
    a, b = (estimate(str(path), "rtx-4090") for path in (llama, out))
    assert (a.bytes_per_step, a.parts, b.model) == (b.bytes_per_step, b.parts, "my-llama")


def test_shards_are_one_model(tmp_path):
    tensors = llama_tensors()
    for number, part in enumerate((tensors[:100], tensors[100:]), 1):
        keys = (LLAMA if number == 1 else {}) | {"split.count": 2, "split.no": number - 1}
        (tmp_path / f"m-{number:05d}-of-00002.gguf").write_bytes(written(keys, part))
    first = tmp_path / "m-00001-of-00002.gguf"
    assert parameter_count(load_model(first)) == parameter_count(find_model("llama-3.1-8b"))
    assert parameter_count(load_model(tmp_path)) == parameter_count(find_model("llama-3.1-8b"))
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    with pytest.raises(PerfModelError, match="no such file"):
        load_model(first)


def mixture(architecture="gpt-oss"):
    keys = {
        "general.architecture": architecture,
        "general.file_type": 38,
        f"{architecture}.block_count": 2,
        f"{architecture}.embedding_length": 2880,
        f"{architecture}.attention.head_count": 64,
        f"{architecture}.attention.head_count_kv": 8,
        f"{architecture}.attention.key_length": 64,
        f"{architecture}.attention.sliding_window": 128,
        f"{architecture}.expert_count": 32,
        f"{architecture}.expert_used_count": 4,
    }
    tensors = [
        ("token_embd.weight", (2880, 201088), "q8_0"),
        ("output.weight", (2880, 201088), "q8_0"),
        ("output_norm.weight", (2880,), "fp32"),
    ]
    for layer in range(2):
        for name, shape, kind in (
            ("attn_q.weight", (2880, 4096), "q8_0"),
            ("attn_q.bias", (4096,), "fp32"),
            ("attn_k.weight", (2880, 512), "q8_0"),
            ("attn_k.bias", (512,), "fp32"),
            ("attn_v.weight", (2880, 512), "q8_0"),
            ("attn_v.bias", (512,), "fp32"),
            ("attn_output.weight", (4096, 2880), "q8_0"),
            ("attn_output.bias", (2880,), "fp32"),
            ("attn_sinks.weight", (64,), "fp32"),
            ("attn_norm.weight", (2880,), "fp32"),
            ("post_attention_norm.weight", (2880,), "fp32"),
            ("ffn_gate_inp.weight", (2880, 32), "fp32"),
            ("ffn_gate_inp.bias", (32,), "fp32"),
            ("ffn_gate_exps.weight", (2880, 2880, 32), "mxfp4"),
            ("ffn_gate_exps.bias", (2880, 32), "fp32"),
            ("ffn_up_exps.weight", (2880, 2880, 32), "mxfp4"),
            ("ffn_up_exps.bias", (2880, 32), "fp32"),
            ("ffn_down_exps.weight", (2880, 2880, 32), "mxfp4"),
            ("ffn_down_exps.bias", (2880, 32), "fp32"),
        ):
            tensors.append((f"blk.{layer}.{name}", shape, kind))
    return keys, tensors


def test_a_mixture_with_biases_and_windows(tmp_path):
    path = tmp_path / "gpt-oss.gguf"
    path.write_bytes(written(*mixture()))
    model, catalogue = load_model(path), find_model("gpt-oss-20b")
    assert model.layers == catalogue.layers[:2]
    assert parameter_count(model) == model.published_parameters
    answer = estimate(model, "rtx-4090")
    assert answer.weight_format == "mxfp4_moe"
    assert sum(p.bytes for p in answer.parts if p.part != "kv") == pytest.approx(
        sum(t.bytes for t in read_header(path).tensors), rel=1e-9
    )


@pytest.mark.parametrize(
    ("keys", "tensors", "said"),
    [
        ({}, None, "general.architecture"),
        ({"general.architecture": "llama"}, None, "block_count"),
        (LLAMA | {"llama.block_count": 5000}, None, "5000 layers"),
        (LLAMA | {"llama.attention.head_count": 7}, None, "7 heads do not share 8"),
        (LLAMA, [("output.weight", (4096, 10), "q6_k")], "token_embd.weight"),
        (LLAMA, [*llama_tensors(), ("blk.3.ssm_in.weight", (4096, 8), "fp16")], "blk.3.ssm_in.weight"),
        (LLAMA, [*llama_tensors(), ("blk.3.time_mix_key.weight", (4096, 8), "fp16")], "blk.3.time_mix_key.weight"),
        (LLAMA, [("token_embd.weight", (100, 10), "q6_k")], "rows of 100"),
        (LLAMA, [("token_embd.weight", (0, 10), "fp16")], "shape"),
        (LLAMA | {"split.count": 3}, None, "one of 3 files"),
    ],
)
def test_what_makes_no_model_is_one_line(tmp_path, keys, tensors, said):
    path = tmp_path / "m.gguf"
    path.write_bytes(written(keys, llama_tensors() if tensors is None else tensors))
    with pytest.raises(PerfModelError) as raised:
        load_model(path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ends within its header"),
        (b"GGML" + bytes(64), "is no GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "is it damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 2**40), "is it damaged"),
        (b"GGUF" + struct.pack(">IQQ", 3, 1, 1), "little endian"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63), "has a text of"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**62), "has a list of"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1), "has a list of"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 77), "type 77"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("t") + struct.pack("<I", 9), "9 dimensions"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, data, said):
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(PerfModelError, match="gguf") as raised:
        load_model(path)
    assert said in str(raised.value)


def test_a_file_cut_anywhere_is_refused(llama):
    whole = llama.read_bytes()
    for length in range(0, len(whole), 997):
        llama.write_bytes(whole[:length])
        with pytest.raises(PerfModelError):
            load_model(llama)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_bytes_crash_the_reader(tmp_path_factory, noise, place):
    path = tmp_path_factory.mktemp("noise") / "m.gguf"
    whole = written(LLAMA | {"tokenizer.ggml.token_type": [1]}, llama_tensors()[:12])
    path.write_bytes(whole[:place] + noise + whole[place + len(noise) :])
    try:
        load_model(path)
    except PerfModelError as error:
        assert "\n" not in str(error)


def test_a_table_holds_a_header():
    keys, tensors = mixture()
    header = Header(keys, tuple(Tensor(*tensor) for tensor in tensors))
    again = header_from_table(table_from_header(header), "x")
    assert set(again.tensors) == set(header.tensors)
    assert model_from_gguf(again, name="m", source="s", where="x").layers == (
        model_from_gguf(header, name="m", source="s", where="x").layers
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "has no tensors"),
        ({"tensors": ["output.weight"]}, "is no line"),
        ({"tensors": [5]}, "is no line"),
        ({"tensors": ["a 4x4x4x4x4 fp16"]}, "4 dimensions"),
        ({"tensors": ["a 4 fp17"]}, "fp17"),
        ({"tensors": ["blk.{3-x}.a 4 fp16"]}, "layers that are no numbers"),
        ({"tensors": ["blk.{3--9}.a 4 fp16"]}, "layers that are no numbers"),
    ],
)
def test_lines_that_are_no_tensors(table, said):
    with pytest.raises(PerfModelError) as raised:
        header_from_table(table, "x")
    assert said in str(raised.value)


# Architectures of ggml whose files are made from the catalogue: each matrix and norm under the name it has there.
TENSORS = {
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "query_down": "attn_q_a",
    "query_up": "attn_q_b",
    "kv_down": "attn_kv_a_mqa",
    "query_absorb": "attn_k_b",
    "value_up": "attn_v_b",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "router": "ffn_gate_inp",
    "expert_gate": "ffn_gate_exps",
    "expert_up": "ffn_up_exps",
    "expert_down": "ffn_down_exps",
    "shared_gate": "ffn_gate_shexp",
    "shared_up": "ffn_up_shexp",
    "shared_down": "ffn_down_shexp",
    "mixer_norm": "attn_norm",
    "feed_forward_norm": "ffn_norm",
    "mixer_output_norm": "post_attention_norm",
    "feed_forward_output_norm": "post_ffw_norm",
    "query_norm": "attn_q_norm",
    "key_norm": "attn_k_norm",
    "query_down_norm": "attn_q_a_norm",
    "kv_down_norm": "attn_kv_a_norm",
    "in_projection": "ssm_in",
    "state_projection": "ssm_x",
    "out_projection": "ssm_out",
    "state_output_norm": "ssm_norm",
    "shared_scale": "ffn_gate_inp_shexp",
}


def recurrent(o, mixer, hidden):
    """Return the tensors of an operation of a recurrent mixer, as name, shape and type;
    None where it has one of its own."""
    delta, state = isinstance(mixer, DeltaAttention), isinstance(mixer, StateSpace)
    if o.name == "convolution" and isinstance(mixer, ShortConvolution):
        return [("shortconv.conv.weight", (mixer.taps, mixer.width), "fp32")]
    if o.name in ("in_projection", "out_projection") and isinstance(mixer, ShortConvolution):
        rows = o.elements // o.columns
        return [(f"shortconv.{'in' if o.name == 'in_projection' else 'out'}_proj.weight", (o.columns, rows), "fp16")]
    if delta and o.name == "in_projection":
        gate = mixer.value_heads * mixer.value_dim
        mixed = 2 * mixer.key_heads * mixer.key_dim + gate
        return [("attn_qkv.weight", (hidden, mixed), "fp16"), ("attn_gate.weight", (hidden, gate), "fp16")]
    if delta and o.name == "step_projection":
        return [(f"ssm_{name}.weight", (hidden, mixer.value_heads), "fp16") for name in ("alpha", "beta")]
    if delta and o.name == "state_update":
        return [("ssm_a", (mixer.value_heads,), "fp32"), ("ssm_dt.bias", (mixer.value_heads,), "fp32")]
    if o.name == "convolution" and (delta or state):
        biased = state and mixer.convolution_bias
        channels = o.elements // (mixer.convolution + biased)
        bias = [("ssm_conv1d.bias", (channels,), "fp32")] if biased else []
        return [("ssm_conv1d.weight", (mixer.convolution, channels), "fp32"), *bias]
    if state and o.name == "state_update":
        if mixer.version == 1:
            return [("ssm_a", (mixer.state, mixer.inner), "fp32"), ("ssm_d", (mixer.inner,), "fp32")]
        return [
            ("ssm_a", (1, mixer.heads), "fp32"),
            ("ssm_d", (1, mixer.heads), "fp32"),
            ("ssm_dt.bias", (mixer.heads,), "fp32"),
        ]
    if state and o.name == "step_projection":
        return [("ssm_dt.weight", (o.columns, mixer.inner), "fp16"), ("ssm_dt.bias", (mixer.inner,), "fp32")]
    if state and o.name == "state_norm":
        widths = (("dt", mixer.step_rank), ("b", mixer.state), ("c", mixer.state))
        return [(f"ssm_{name}_norm.weight", (width,), "fp32") for name, width in widths]
    return None


def made(model, architecture, **keys):
    """Return the header of a file of `model`, from the operations of a step."""
    step = decode_step(model, plain_formats("fp16"), 1)
    found = [Tensor("token_embd.weight", (model.hidden, model.vocabulary), "fp16")]
    found += [] if model.tied else [Tensor("output.weight", (model.hidden, model.vocabulary), "fp16")]
    found += [Tensor("output_norm.weight", (model.hidden,), "fp32")]
    for index, operations in enumerate(step.layers):
        for o in operations:
            if not o.elements:
                continue
            layer = model.layers[index]
            own = next((one for m in (layer.beside, layer.mixer) if (one := recurrent(o, m, model.hidden))), None)
            if own is not None:
                found += [Tensor(f"blk.{index}.{name}", shape, kind) for name, shape, kind in own]
                continue
            name = f"blk.{index}.{TENSORS[o.name]}"
            if not o.columns:
                found.append(Tensor(f"{name}.weight", (o.elements,), "fp32"))
                continue
            experts = o.work.experts[0].count if o.work.experts else 1
            mixture = next((x.work.experts[0].count for x in operations if x.work.experts), 0)
            mixer = model.layers[index].mixer
            biased = o.name in ("query", "key", "value") and getattr(mixer, "query_key_value_bias", False)
            rows = mixture if o.name == "router" else o.elements // (o.columns + biased) // experts
            shape = (o.columns, rows, experts) if experts > 1 else (o.columns, rows)
            found.append(Tensor(f"{name}.weight", shape, "fp16"))
            if biases := o.elements - rows * o.columns * experts:
                found.append(Tensor(f"{name}.bias", (biases,), "fp32"))
    spelled = {"general.architecture": architecture, f"{architecture}.block_count": len(model.layers)}
    spelled[f"{architecture}.embedding_length"] = model.hidden
    return Header(spelled | {f"{architecture}.{key.replace('__', '.')}": v for key, v in keys.items()}, tuple(found))


@pytest.mark.parametrize(
    ("name", "architecture", "keys"),
    [
        ("gemma-2-9b", "gemma2", {"attention__sliding_window": 4096}),
        ("gemma-3-27b", "gemma3", {"attention__sliding_window": 1024}),
        ("qwen2.5-7b", "qwen2", {}),
        ("qwen3-30b-a3b", "qwen3moe", {"expert_used_count": 8}),
        ("mixtral-8x7b", "llama", {"expert_used_count": 2}),
        ("olmo-2-7b", "olmo2", {}),
        (
            "deepseek-v3",
            "deepseek2",
            {
                "expert_used_count": 8,
                "attention__kv_lora_rank": 512,
                "attention__key_length_mla": 192,
                "attention__key_length": 576,
                "attention__value_length_mla": 128,
                "attention__value_length": 512,
                "rope__dimension_count": 64,
            },
        ),
    ],
)
def test_files_of_other_architectures(name, architecture, keys):
    model = find_model(name)
    mixer = model.layers[0].mixer
    heads = {"attention__head_count": mixer.heads, "attention__head_count_kv": getattr(mixer, "kv_heads", 1)}
    if not hasattr(mixer, "kv_rank"):
        heads["attention__key_length"] = mixer.head_dim
    found = model_from_gguf(made(model, architecture, **(heads | keys)), name="m", source="s", where="x")
    assert parameter_count(found) == parameter_count(model) == found.published_parameters
    assert found.layers == model.layers
    assert found.tied == model.tied


@pytest.mark.parametrize(
    ("name", "architecture", "keys"),
    [
        ("qwen3.5-27b", "qwen35", {}),
        ("qwen3.5-35b-a3b", "qwen35moe", {"expert_used_count": 8}),
        ("qwen3-next-80b-a3b", "qwen3next", {"expert_used_count": 10}),
        ("mamba2-2.7b", "mamba2", {}),
        ("granite-4.0-h-1b", "granitehybrid", {}),
        ("granite-4.0-h-tiny", "granitehybrid", {"expert_used_count": 6}),
        ("nemotron-h-8b", "nemotron_h", {}),
        ("jamba-v0.1", "jamba", {"expert_used_count": 2}),
        ("lfm2-8b-a1b", "lfm2moe", {"expert_used_count": 4}),
    ],
)
def test_files_with_recurrent_layers(name, architecture, keys):
    model = find_model(name)
    mixers = [layer.mixer for layer in model.layers]
    full = next((mixer for mixer in mixers if isinstance(mixer, Attention)), None)
    state = next((mixer for mixer in mixers if isinstance(mixer, StateSpace | DeltaAttention)), None)
    if full is not None:
        shared = [full.kv_heads if isinstance(mixer, Attention) else 0 for mixer in mixers]
        keys = keys | {"attention__head_count": full.heads, "attention__head_count_kv": shared}
        keys |= {"attention__key_length": full.head_dim}
    if isinstance(state, StateSpace):
        sizes = (state.inner, state.state, state.heads or state.step_rank, state.groups)
    elif state is not None:
        sizes = (state.value_heads * state.value_dim, state.key_dim, state.value_heads, state.key_heads)
    if state is not None:
        names = ("ssm__inner_size", "ssm__state_size", "ssm__time_step_rank", "ssm__group_count")
        keys = keys | dict(zip(names, sizes, strict=True)) | {"ssm__conv_kernel": state.convolution}
    found = model_from_gguf(made(model, architecture, **keys), name="m", source="s", where="x")
    assert parameter_count(found) == parameter_count(model) == found.published_parameters
    assert [layer.mixer for layer in found.layers] == [
        msgspec.structs.replace(mixer, rotary=True) if isinstance(mixer, Attention) else mixer for mixer in mixers
    ]
    step = decode_step(found, formats_of(found, None, None), 1)
    assert {name for o in step.all_operations() for name, _ in o.work.weights} == {"fp16", "fp32"}


def test_a_file_of_qwen_3_5_stores_each_projection_in_its_format():
    model = find_model("qwen3.5-27b")
    header = made(model, "qwen35", ssm__inner_size=6144, ssm__state_size=128, ssm__time_step_rank=48,
                  ssm__group_count=16, ssm__conv_kernel=4, attention__head_count=24, attention__head_count_kv=4,
                  attention__key_length=256)  # fmt: skip
    wider = tuple(Tensor(t.name, t.shape, "q8_0") if "attn_qkv" in t.name else t for t in header.tensors)
    storage = model_from_gguf(Header(header.keys, wider), name="m", source="s", where="x").storage
    mix = dict(storage.mix("attention", "in_projection"))
    assert mix["q8_0"] == pytest.approx(10240 / 16384)
