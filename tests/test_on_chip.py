"""What fused kernels hold on chip: whole, tiled or split; and loops over some bodies only."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import equations, estimate, find_model
from perfmodel.errors import PerfModelError
from perfmodel.estimates.question import formats_of
from perfmodel.operations import decode_step, pipeline_stages
from perfmodel.operations.parallel import Parallel
from perfmodel.schedule.calls import Cutting
from perfmodel.schedule.cutting import fused_step, make_pipeline, make_schedule
from perfmodel.schedule.made import schedule_of

NO_SCRATCHPADS = {"on_chip.shared_per_unit": 1.0}
HELD = 45_056  # what the widest stage of Llama 3.1 8B has in and out for a sequence [B]


def llama(room, **question):
    parameters = NO_SCRATCHPADS | {"on_chip.capacity": float(room)} | question.pop("parameters", {})
    return estimate("llama-3.1-8b", "h100-sxm", parameters=parameters, **question)


def test_the_widest_stage_of_a_dense_layer():
    """down: its input of 14,336, the residual of 4,096 and its output of 4,096 activations, two bytes each."""
    assert (
        llama(50e6, parameters={"modes.looped.prefetch": 0.0}).on_chip.bytes_needed == 2 * (14_336 + 2 * 4_096) == HELD
    )


@pytest.mark.parametrize(
    ("room", "fits", "prefetch", "calls"),
    [
        (50e6, "whole", 1_000_000, 4),
        (1e6, "tiled", 1_000_132 - HELD, 4),
        (50e3, "tiled", 50_132 - HELD, 4),
        (40e3, "split", 0, 163),
    ],
)
def test_whole_tiled_split(room, fits, prefetch, calls):
    answer = llama(room)
    assert (answer.on_chip.fits, answer.on_chip.prefetch, answer.after.kernel_calls) == (fits, prefetch, calls)
    said = {"tiled": "the fused kernels would hold ", "split": "the activations of "}.get(fits)
    assert (
        [note for note in answer.notes if note.kind == "on-chip" and note.startswith(said)]
        if said
        else not any(note.kind == "on-chip" for note in answer.notes)
    )
    assert bool(answer.loops) == (fits != "split")
    assert answer.to_dict()["on_chip"]["fits"] == fits


@pytest.mark.parametrize("room", [None, 40e3, 50e6, 30e3])
@pytest.mark.parametrize("stages", [1, 3])
@pytest.mark.parametrize(("kernels", "loops"), [("layer", True), ("layer", False), ("step", True), ("tuned", False)])
def test_what_is_made_once_is_what_would_be_made_anew(room, stages, kernels, loops):
    """Devices with room share their calls; one with too little has its own."""
    model = find_model("llama-3.1-8b")
    formats, way = formats_of(model, None, None), Parallel(pipeline=stages)
    cut = pipeline_stages(decode_step(model, formats, way), model.hidden, formats, stages)
    cutting = Cutting(kernels, loops, room=room)
    anew = make_pipeline(cut, cutting)
    assert schedule_of(model, formats, way, (), cutting) == anew
    assert bool(anew.split) == (kernels != "tuned" and room is not None and room < HELD)


def test_a_stage_without_room_moves_what_a_plain_call_moves():
    """With next to no room every fused stage streams all its activations."""
    crowded, free = (llama(room, batch=4096, context=16) for room in (46e3, 1e12))
    assert crowded.on_chip.spilled == pytest.approx(4096 * HELD, rel=1e-3)
    assert free.on_chip.spilled == 0
    model = find_model("llama-3.1-8b")
    step = decode_step(model, formats_of(model, None, None), 1)
    stages = fused_step(step).calls[1].segments[0].stages
    plain = [call.segments[0].stages[0] for count, call in make_schedule(step, Cutting("tuned")).calls if count == 32]
    held = sum(stage.held for stage in stages)
    assert held + sum(stage.work.activations for stage in stages) == sum(stage.work.activations for stage in plain)
    # All but what the room keeps of each stage.
    more = 32 * (4096 * held - len(stages) * 46_132)
    assert crowded.after.terms.stream - free.after.terms.stream == pytest.approx(more / (0.92 * 3.35e12), rel=1e-6)


@given(
    st.sampled_from([1, 3, 32, 700, 5000]),
    st.lists(st.floats(5e4, 5e9), min_size=2, max_size=4, unique=True),
    st.sampled_from(["looped", "megakernel"]),
)
@settings(max_examples=40, deadline=None)
def test_less_room_is_never_faster(batch, rooms, mode):
    times = [llama(room, batch=batch, after=mode).after for room in sorted(rooms)]
    assert all(less.time_per_step >= more.time_per_step * (1 - 1e-12) for less, more in pairwise(times))
    assert all(less.low.time_per_step >= more.low.time_per_step * (1 - 1e-12) for less, more in pairwise(times))


def test_a_split_kernel_is_slower_unless_its_stages_cost_more_than_boundaries():
    assert llama(40e3).after.time_per_step > llama(46e3).after.time_per_step
    dear = {"modes.looped.stage": "30us", "modes.looped.prefetch": "0B"}
    assert llama(40e3, parameters=dear).after.time_per_step < llama(46e3, parameters=dear).after.time_per_step


def test_a_megakernel_is_cut_around_what_is_split():
    whole, cut = (
        estimate(
            "jamba-1.5-mini", "h100-sxm", after="megakernel", parameters=NO_SCRATCHPADS | {"on_chip.capacity": room}
        )
        for room in (50e6, 1e5)
    )
    assert whole.after.kernel_calls == 1
    assert cut.on_chip.fits == "split"
    assert cut.after.kernel_calls > 1


def test_a_device_that_says_nothing_has_no_limit():
    answer = estimate("llama-3.1-8b", "m2-ultra", batch=10_000)
    assert answer.on_chip is None
    assert estimate("llama-3.1-8b", "h100-sxm", after="graph").on_chip is None


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9))
def test_window_and_spill_share_the_room(prefetch, room, held):
    window, spilled = equations.prefetch_room(prefetch, room, held), equations.spilled_bytes(held, room)
    assert 0 <= window <= prefetch
    assert window + held - spilled <= room * (1 + 1e-12) + 1e-6
    assert not (window > 0 and spilled > 0)


@pytest.mark.parametrize(
    ("only", "calls", "loops"),
    [
        (None, 6, 2),
        ("decoder_layer_2", 8, 1),
        ("decoder_layer", 63, 1),
        ("3-60", 8, 1),
        ("0-2, 10-19", 54, 2),
        ("decoder_layer,decoder_layer_2", 6, 2),
        ("7", 65, 0),
    ],
)
def test_some_bodies_only(only, calls, loops):
    """DeepSeek-V3: 64 fused calls and an all-gather, of which 3 + 58 are looped if all may be."""
    answer = estimate("deepseek-v3", "h200-sxm", devices=8, loop_only=only)
    whole = estimate("deepseek-v3", "h200-sxm", devices=8)
    assert len(answer.loops) == loops
    assert answer.after.kernel_calls - whole.after.kernel_calls == calls - 6
    assert answer.after.time_per_step >= whole.after.time_per_step
    assert answer.bytes_per_step == whole.bytes_per_step


@pytest.mark.parametrize(
    ("only", "words"),
    [("decoder_layr", "did you mean 'decoder_layer'"), ("3-61", "from 0 to 60"), ("9-3", "range"), ("", "neither")],
)
def test_bodies_that_are_not_there(only, words):
    with pytest.raises(PerfModelError, match="--loop-only") as error:
        estimate("deepseek-v3", "h200-sxm", devices=8, loop_only=only)
    assert words in str(error.value)


def test_looping_some_bodies_of_what_does_not_loop():
    with pytest.raises(PerfModelError, match="after looped"):
        estimate("deepseek-v3", "h200-sxm", after="graph", loop_only="decoder_layer")


def test_loops_prints_bodies_counts_what_stays_outside_and_what_looping_removes(run):
    told = run("loops", "gemma-3-27b").out
    assert "so that looping removes 60" in told
    assert "5 x decoder_layer + decoder_layer_2" in told
    assert "runs once, before the layers" in told
    assert "left alone, as asked" in run("loops", "gemma-3-27b", "--loop-only", "0-30").out


def test_only_what_is_short_of_room_depends_on_it():
    def time(batch, **parameters):
        return estimate(
            "llama-3.1-8b", "h100-sxm", batch=batch, context=1000, parameters=parameters
        ).after.time_per_step

    ample = {"on_chip.capacity": 1e9}
    assert time(1) == time(1, **ample)
    assert time(50_000) > time(50_000, **ample)
