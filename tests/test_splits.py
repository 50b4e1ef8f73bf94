"""Splits that can be built: which they are, that answers say so, and the fewest devices against brute force."""

import json

import pytest

from perfmodel import estimate, solve
from perfmodel.analysis.roots import NoSolutionError
from perfmodel.estimates.capacity import resident_work
from perfmodel.estimates.question import formats_of
from perfmodel.estimates.splits import fewest, obstacle, splits, tensor_splits
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.catalogue import find_hardware, find_model, names
from perfmodel.sweeps.sweeps import sweep

# Shapes from the models' config.json: heads, key and value heads, widths, experts, layers.
CANNOT = [
    ("llama-3.1-8b", Parallel(tensor=3), "tp=3 does not divide 32 heads"),
    ("llama-3.1-8b", Parallel(tensor=64), "tp=64 does not divide 32 heads"),
    ("llama-3.1-8b", Parallel(pipeline=33), "pp=33 is more than 32 layers"),
    ("qwen2.5-7b", Parallel(tensor=8), "tp=8 does not divide 28 heads"),
    ("qwen2.5-7b", Parallel(tensor=7), "tp=7 does not divide 4 key and value heads"),
    ("llama-2-13b", Parallel(tensor=5), "tp=5 does not divide the feed-forward width of 13,824"),
    ("mixtral-8x7b", Parallel(tensor=4, data=2, expert=8, pipeline=33), "pp=33 is more than 32 layers"),
    ("mixtral-8x7b", Parallel(data=3, expert=3), "ep=3 does not divide 8 experts"),
    ("gpt-oss-120b", Parallel(data=128), "128 devices of an expert do not divide its width of 2,880"),
    ("gpt-oss-120b", Parallel(data=128, expert=128), ""),
    ("llama-3.1-8b", Parallel(tensor=32), ""),  # 8 key and value heads, each kept four times
    ("llama-3.1-8b", Parallel(tensor=2, pipeline=5), ""),  # stages of 6 and 7 layers
    ("deepseek-v3", Parallel(data=256, expert=256), ""),
]


@pytest.mark.parametrize(("model", "parallel", "why"), CANNOT)
def test_what_can_be_built(model, parallel, why):
    assert obstacle(find_model(model), parallel) == why


def test_splits_of_a_number_are_all_that_can_be_built():
    model = find_model("deepseek-v3")
    for devices in (1, 6, 8, 61, 64):
        found = list(splits(model, devices, most_data=devices))
        assert all(not obstacle(model, split) and split.devices == devices for split in found)
        assert len(set(found)) == len(found)
        shapes = {(split.tensor, split.data, split.pipeline) for split in found}
        assert shapes == {
            (tensor, data, pipeline)
            for tensor in range(1, devices + 1)
            for data in range(1, devices + 1)
            for pipeline in range(1, 62)
            if tensor * data * pipeline == devices
            and any(
                not obstacle(model, Parallel(tensor=tensor, data=data, pipeline=pipeline, expert=expert))
                for expert in range(1, tensor * data + 1)
            )
        }


def _brute(model, resident, batch, context, available):
    """Return the least number of at most 64 devices, every way to share tried."""
    mixture = any(getattr(getattr(layer, "feed_forward", None), "chosen", 0) for layer in model.layers)
    for devices in range(1, 65):
        for tensor in range(1, devices + 1):
            for data in range(1, min(batch if mixture else 1, devices) + 1):
                pipeline = devices // (tensor * data) if tensor * data <= devices else 0
                if tensor * data * pipeline != devices:
                    continue
                for expert in range(1, tensor * data + 1) if mixture else (1,):
                    split = Parallel(tensor=tensor, data=data, pipeline=pipeline, expert=expert)
                    if not obstacle(model, split) and resident(split).bytes_resident(batch, context) <= available:
                        return devices
    return None


@pytest.mark.parametrize(
    "any_model", ["mixtral-8x7b", "qwen2.5-72b", "jamba-v0.1", "falcon-40b", "llama-3.1-405b", "sd-1.5-unet", "glm-4.5"]
)
def test_devices_needed_is_the_least_by_brute_force(any_model):
    model = find_model(any_model)
    formats = formats_of(model, None, None)
    known = {}

    def resident(split):
        if split not in known:
            known[split] = resident_work(model, formats, split)
        return known[split]

    sizes = sorted({find_hardware(name).values["memory.capacity"].value for name in names("hardware")})
    taken = sizes[:: max(1, len(sizes) // 30)]
    assert len(taken) >= 30
    for available in taken:
        for batch, context in ((1, 4096), (3, 30_000)):
            found = fewest(model, resident, batch, context, available)
            expected = _brute(model, resident, batch, context, available)
            assert (found.devices if found is not None and found.devices <= 64 else None) == expected


def test_devices_needed_is_the_same_however_the_question_shares():
    answers = [
        estimate("mixtral-8x7b", "rtx-a4500", **shared)
        for shared in ({}, {"devices": 5}, {"devices": 8}, {"parallel": "pp=4"}, {"parallel": "tp=2,ep=2"})
    ]
    assert {answer.fits.devices_needed for answer in answers} == {6}
    assert "6 would do, as tp=2,pp=3" in " ".join(answers[0].notes)
    assert estimate("mixtral-8x7b", "rtx-a4500", parallel="tp=2,pp=3").fits.fits


def test_sweeps_need_the_same_devices_as_single_answers():
    found = sweep(
        "mixtral-8x7b",
        "rtx-a4500",
        batch="1:200:x3",
        context="0,4096,100000",
        columns="model,hardware,batch,context,fits.devices_needed",
    )
    for row in found.rows()[::2]:
        needed = row.pop("fits.devices_needed")
        assert estimate(row.pop("model"), row.pop("hardware"), **row).fits.devices_needed == needed


@pytest.mark.parametrize(
    ("options", "why", "instead"),
    [
        (["--parallel", "tp=3"], "tp=3 does not divide 32 heads", "tp=1,pp=3 can be"),
        (["--devices", "5000"], "tp=5000 does not divide 32 heads", "tp=32 can be"),
        (["--devices", "6"], "tp=6 does not divide 32 heads", "tp=2,pp=3 can be"),
    ],
)
def test_a_split_that_cannot_be_built_is_answered_with_a_note(run, options, why, instead):
    answer = run("estimate", "llama-3.1-8b", "h100-sxm", *options, "--json")
    assert answer.code == 0
    assert answer.err.startswith(f"perfmodel: note: cannot be built: {why}; {instead}")
    assert any(why in note for note in json.loads(answer.out)["notes"])


def test_solve_gives_devices_that_can_be_built():
    model = find_model("qwen2.5-7b")
    assert tensor_splits(model) == [1, 2, 4]
    for rate in (30, 80, 120):
        found = solve("qwen2.5-7b", "a10", unknown="devices", target={"after.tokens_per_second": rate})
        assert found.value in (1, 2, 4)
    with pytest.raises(NoSolutionError, match=r"qwen2\.5-7b can be split over 1, 2, 4"):
        solve("qwen2.5-7b", "a10", unknown="devices", target="after.tokens_per_second=1000000")


def test_sweeps_and_comparisons_note_what_misleads(run):
    for command in ("sweep", "compare"):
        answer = run(command, "llama-3-8b", "h100-sxm", "--devices", "2,3", "--context", "4k,16k")
        assert answer.code == 0
        assert "tp=3: cannot be built: tp=3 does not divide 32 heads" in answer.err.replace("3 x h100-sxm", "tp=3")
        assert "16,384 is longer than the 8,192 tokens llama-3-8b was made for" in answer.err
        assert "tp=2" not in answer.err.replace("tp=2,", "")


def test_explain_gap_says_which_context_it_assumes(run):
    words = ("explain-gap", "llama-2-7b", "a100-sxm-80gb", "--measured", "104.9tok/s")
    assert "note: --context is not given; 4,096 tokens are assumed" in run(*words).err
    assert run(*words, "--context", "105").err == ""
