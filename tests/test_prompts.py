"""Prompts: many tokens a sequence by the equations of a step,
and the sums over contexts that they and requests need."""

import json
import math
import runpy
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import equations, estimate, request, sweep
from perfmodel.errors import UsageError, ValueRangeError
from perfmodel.estimates.prompting import EFFICIENCIES, KERNELS
from perfmodel.estimates.sums import summed

ASKED = ("llama-3.1-8b", "h100-sxm")
MODELS = st.sampled_from(["llama-3.1-8b", "qwen3-30b-a3b", "qwen3.5-27b", "gemma-3-27b", "deepseek-v3"])
MODES = st.sampled_from(["graph", "looped", "megakernel", "eager"])


@settings(max_examples=15, deadline=None)
@given(MODELS, MODES, st.sampled_from([1, 3, 64]), st.sampled_from([1, 8]))
def test_a_prompt_of_one_token_is_a_decode_step(model, mode, batch, devices):
    asked = {"batch": batch, "devices": devices, "before": mode, "context": 0}
    step, prompt = estimate(model, "h100-sxm", **asked), estimate(model, "h100-sxm", **asked, prompt=1).prompt
    for side, plain in ((prompt.before, step.before), (prompt.after, step.after)):
        assert side.time_to_first_token == pytest.approx(plain.time_per_step, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(MODELS, MODES, st.integers(1, 9000), st.integers(1, 4000), st.sampled_from([0, 1000]))
def test_a_prompt_is_the_sum_of_its_chunks(model, mode, tokens, chunk, cached):
    asked = {"before": mode, "context": cached}
    prompt = estimate(model, "h100-sxm", **asked, prompt=tokens, chunk=chunk).prompt
    chunk = min(chunk, tokens)
    assert prompt.steps == -(-tokens // chunk)
    assert sum(prompt.before.terms) == pytest.approx(prompt.before.time_to_first_token, rel=1e-9)
    assert prompt.before.tokens_per_second * prompt.before.time_to_first_token == pytest.approx(tokens)
    low, high = prompt.before.low, prompt.before.high
    assert high.time_to_first_token <= prompt.before.time_to_first_token <= low.time_to_first_token
    if prompt.steps <= 12:
        places = range(0, tokens, chunk)
        parts = [
            estimate(model, "h100-sxm", before=mode, context=cached + place, prompt=min(chunk, tokens - place)).prompt
            for place in places
        ]
        assert prompt.before.time_to_first_token == pytest.approx(
            sum(part.before.time_to_first_token for part in parts), rel=1e-9
        )


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 4000)), min_size=1, max_size=4),
    st.integers(0, 50),
    st.integers(1, 7),
    st.integers(1, 3000),
)
@settings(max_examples=60, deadline=None)
def test_sums_of_what_is_straight_in_pieces(bends, first, step, count):
    def function(n):
        return (1.0 + n + sum(abs(slope) * max(n - at, 0) for slope, at in bends), min(n, 100))

    found = summed(function, first, step, count)
    every = [function(first + step * i) for i in range(count)]
    for value, exact in zip(found, zip(*every, strict=True), strict=True):
        assert value == pytest.approx(sum(exact), rel=1e-9)


def test_tokens_see_what_is_before_them():
    for context, tokens, window in ((0, 5, None), (7, 4, 9), (20, 3, 8), (0, 6, 4)):
        each = [context + i if window is None else min(context + i, window) for i in range(tokens)]
        assert equations.tokens_seen(context, tokens, window) == sum(each)
        assert equations.tokens_read(context, tokens, window) >= each[0]


def test_larger_chunks_keep_kernels_busier_and_long_prompts_cost_more_a_token():
    rates = [
        estimate("llama-3-8b", "rtx-4090", weights="q4_0", prompt=512, chunk=chunk).prompt.before.tokens_per_second
        for chunk in (16, 64, 256)
    ]
    assert rates == sorted(rates)
    times = [
        estimate(*ASKED, prompt=tokens, chunk=2048).prompt.before.time_to_first_token / tokens
        for tokens in (4096, 32_768, 100_000)
    ]
    assert times == sorted(times)


def test_the_head_is_for_the_last_token_alone():
    asked = {"parameters": {"memory.bandwidth": "1e18 B/s"}, "context": 0}
    one = estimate("qwen3-0.6b", "h100-sxm", **asked, prompt=1000).prompt.before
    model = estimate("qwen3-0.6b", "h100-sxm").prepared.model
    head = 2 * 999 * model.hidden * model.vocabulary / 990e12
    assert one.terms.compute > 0
    assert estimate("qwen3-0.6b", "h100-sxm", **asked, batch=1000).before.terms.compute - one.terms.compute < head * 3


def test_what_cannot_be_asked(run):
    with pytest.raises(UsageError, match="--chunk: needs --prompt"):
        estimate(*ASKED, chunk=5)
    with pytest.raises(ValueRangeError, match="takes no prompt"):
        estimate("sdxl-unet", "h100-sxm", prompt=5)
    with pytest.raises(UsageError, match="a grid has no prompts"):
        sweep(*ASKED, prompt=5)
    for words in (("sweep", "--prompt", "1k,2k"), ("sweep", "--chunk", "1:64:x2"), ("compare", "--decoding", "8:4k")):
        refused = run(words[0], *ASKED, *words[1:])
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert "a grid has no prompts" in refused.err
        assert "perfmodel request" in refused.err
    # Of what no grid takes several values, none is told to.
    assert "sweep" not in run("estimate", *ASKED, "--prompt", "1:64:x2").err
    assert "sweep" not in run("estimate", *ASKED, "--chunk", "256,512").err
    assert "sweep" in run("estimate", *ASKED, "--context", "256,512").err
    answer = run("estimate", *ASKED, "--prompt", "x")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)


def test_the_answer_as_json_and_its_context(run):
    answer = json.loads(run("estimate", *ASKED, "--prompt", "2k", "--chunk", 512, "--json").out)
    assert answer["context"] == 0
    assert list(answer["prompt"]) == ["tokens", "chunk", "steps", "before", "after", "speedup", "decoding"]
    assert list(answer["prompt"]["before"]) == [
        "time_to_first_token", "tokens_per_second", "low", "high", "bound", "terms"
    ]  # fmt: skip
    assert (answer["prompt"]["tokens"], answer["prompt"]["steps"]) == (2048, 4)
    assert "prompts.share" in {assumption["name"] for assumption in answer["assumptions"]}
    assert json.loads(run("estimate", *ASKED, "--json").out)["context"] == 4096
    assert "prompt of 2,048 tokens, 4 steps" in run("estimate", *ASKED, "--prompt", "2k", "--chunk", 512).out


def test_measured_prompts(repository):
    """The figures of docs/validation.md: 15 % in the median and 90 % in a band of width 2.5, sources left out."""
    program = runpy.run_path(str(repository / "validation" / "prompts.py"))
    errors = [error for row, error in program["left_out"](lambda row: row.source) if not row.served]
    assert len(errors) == 134
    assert median(map(abs, errors)) < math.log(1.15)
    assert sum(abs(error) <= math.log(2.5) / 2 for error in errors) / len(errors) >= 0.9
    # What a user gets: the package's values serve as well as those that the program fits.
    for kernels in ("library", "ggml-int8", "apple"):
        share, half, overlap = (ends[1] for ends in KERNELS[kernels])
        reached = (share, half, EFFICIENCIES.get(kernels, (0, 1e18))[1])
        own = [row for row in program["rows"]() if row.kernels == kernels and not row.saving and not row.served]
        assert median(abs(row.off(reached, overlap)) for row in own) < math.log(1.15)


def test_blocks_are_unpacked_where_no_matrix_units_take_bytes():
    """Unpacking adds about the time to write the weights in 16 bits; decode steps and loops take blocks as they are."""
    asked = {"weights": "q4_k_m", "software": "ggml", "prompt": 512}
    volta, packed = (
        estimate("llama-3-8b", "v100-sxm-32gb", **asked, parameters=parameters).prompt
        for parameters in ({}, {"prompts.unpacked": 0})
    )
    written = 2 * 7.5e9 / 0.9e12
    extra = volta.before.time_to_first_token - packed.before.time_to_first_token
    assert written * 0.8 < extra < written * 2.5
    assert volta.after.time_to_first_token == packed.after.time_to_first_token
    names = {
        name: {a.name: a.value for a in estimate("llama-3-8b", "rtx-4090", **asked | {"software": name}).assumptions}
        for name in ("ggml-2024", "ggml-2025")
    }
    assert [names[name]["prompts.unpacked"] for name in sorted(names)] == [1, 0]


@pytest.mark.parametrize(
    ("model", "hardware", "batch", "published"),
    [
        # huggingface.co/stabilityai/stable-diffusion-xl-1.0-tensorrt: 3358.87 and 1772.29 ms for 40 steps, 192.02 and
        # 102.8 ms for 4 without guidance; onnxruntime pulls 17788 and 22834: 861 and 572 ms for 50 and the decoder.
        ("sdxl-unet", "a100-sxm-80gb", 2, 84.0e-3),
        ("sdxl-unet", "h100-sxm", 2, 44.3e-3),
        ("sdxl-unet", "a100-sxm-80gb", 1, 48.0e-3),
        ("sdxl-unet", "h100-sxm", 1, 25.7e-3),
        ("sd-1.5-unet", "a100-sxm-80gb", 2, 16.7e-3),
        ("sd-1.5-unet", "h100-sxm", 2, 10.9e-3),
        ("sdxl-unet", "a10", 2, 314e-3),
    ],
)
def test_unets_take_what_is_published(model, hardware, batch, published):
    assert estimate(model, hardware, batch=batch).before.time_per_step == pytest.approx(published, rel=0.35)


def test_a_recurrent_step_has_one_position():
    """Its matrices see one row of an input, so that the law of prompts says nothing of it."""
    plain, other = (
        estimate("lstm-ptb-medium", "a100-sxm-80gb", batch=64, parameters=parameters).before.time_per_step
        for parameters in ({}, {"prompts.share": 0.01})
    )
    assert plain == pytest.approx(other, rel=1e-9)


@settings(max_examples=12, deadline=None)
@given(MODELS, MODES, st.integers(1, 64), st.sampled_from([0, 300, 9000]), st.sampled_from([1, 64, 1000]))
def test_a_chunk_beside_sequences_that_decode_is_one_step(model, mode, others, cached, chunk):
    """Weights once: no shorter than either alone, no longer than both;
    with a token of a prompt it is a larger batch."""
    asked = {"before": mode, "context": 0}
    alone = estimate(model, "h100-sxm", **asked, prompt=chunk).prompt
    both = estimate(model, "h100-sxm", **asked, prompt=chunk, decoding=f"{others}:{cached}").prompt
    step = estimate(model, "h100-sxm", batch=others, **asked | {"context": cached})
    for side in ("before", "after"):
        one, other = getattr(alone, side).time_to_first_token, getattr(step, side).time_per_step
        mixed = getattr(both, side).time_to_first_token
        assert one * (1 - 1e-9) <= mixed
        assert mixed == pytest.approx(getattr(both.decoding, side))
        if chunk == 1000:
            assert mixed <= (one + other) * (1 + 1e-9)
    if chunk == 1 and cached == 0:
        larger = estimate(model, "h100-sxm", batch=others + 1, **asked)
        assert both.before.time_to_first_token == pytest.approx(larger.before.time_per_step, rel=1e-9)


def test_a_request_beside_others():
    asked = ("llama-3.1-8b", "h100-sxm")
    alone, beside = (
        request(*asked, generate=64, prompt=512, chunk=256, **more) for more in ({}, {"decoding": "32:4k"})
    )
    assert beside.before.time_to_first_token > alone.before.time_to_first_token
    # Its later steps are those of 33 sequences.
    one, many = (estimate(*asked, batch=batch, context=544).before.time_per_step for batch in (1, 33))
    assert alone.before.time_per_token == pytest.approx(one, rel=1e-3)
    assert many < beside.before.time_per_token < estimate(*asked, batch=33, context=4096).before.time_per_step
    assert beside.fits.bytes_needed - alone.fits.bytes_needed == pytest.approx(32 * 4096 * 131072, rel=1e-6)


def test_what_cannot_decode_beside(run):
    for words, code, said in (
        (("--decoding", 4), 2, "--decoding: needs --prompt"),
        (("--prompt", 8, "--decoding", "4:x"), 2, "--decoding: 'x' is not a whole number from 0"),
        (("--prompt", 8, "--decoding", "0"), 1, "--decoding"),
        (("--prompt", 8, "--decoding", 4, "--draft", 2, "--drafter", "mtp", "--accepted", 1), 2, "without --draft"),
    ):
        answer = run("estimate", *ASKED, *words)
        assert (answer.code, answer.out) == (code, ""), answer
        assert said in answer.err
        assert answer.err.count("\n") == 1
