"""Networks that are no transformers: counts and loops against hand-written expectations, both cases of reused weights,
and broken files."""

import copy
import subprocess
import sys
import tomllib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from perfmodel import PerfModelError, estimate, find_model
from perfmodel._layout import data_folder
from perfmodel.analysis.loopreports import loop_report
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.question import formats_of
from perfmodel.operations import decode_step, parameter_count
from perfmodel.schedule.calls import Cutting
from perfmodel.schedule.cutting import make_schedule
from perfmodel.specifications.modelfiles import load_model
from perfmodel.specifications.networks import model_from_network

NETWORKS = ("sd-1.5-unet", "adm-64-unet", "lstm-ptb-medium", "lstm-ptb-medium-on-chip", "lstm-seq2seq-decoder")


def network(operations, **given):
    """A network of one segment, read from its tables."""
    head = {"step": "step", "activations": "fp16"} | given.pop("network", {})
    return model_from_network(
        {"network": head, "segments": [{"name": "part", "operations": operations} | given]},
        "mine.toml",
        name="mine",
        title="Mine",
        source="a test",
    )


def operations_of(model, devices=1):
    return list(decode_step(model, formats_of(model, None, None), devices).all_operations())


@pytest.mark.parametrize(
    ("operation", "weights", "flops", "reads", "writes"),
    [
        (
            {"kind": "linear", "inputs": 3, "outputs": 5, "positions": 7, "bias": True},
            20,
            7 * (2 * 15 + 5),
            2 * 21,
            2 * 35,
        ),
        # 5 x 5 taps over 8 x 8 outputs; the stride doubles each side of the input.
        (
            {"kind": "convolution", "inputs": 4, "outputs": 6, "kernel": 5, "size": [8, 8], "stride": 2},
            600,
            64 * 1200,
            2 * 4 * 256,
            2 * 6 * 64,
        ),
        (
            {"kind": "convolution", "inputs": 4, "outputs": 6, "kernel": [3, 1], "size": [8, 2], "groups": 2},
            36,
            16 * 72,
            2 * 4 * 16,
            2 * 6 * 16,
        ),
        ({"kind": "normalisation", "width": 10, "positions": 3, "weights": 2}, 20, 120, 60, 60),
        ({"kind": "elementwise", "width": 10, "positions": 3, "inputs": 2, "flops": 5}, 0, 150, 120, 60),
        # 2 heads of 4 over 5 queries and 6 keys: scores and sum, 4 FLOPs an element.
        (
            {"kind": "attention", "heads": 2, "head_dim": 4, "positions": 5, "tokens": 6},
            0,
            4 * 8 * 5 * 6,
            2 * (8 * 5 + 2 * 8 * 6),
            2 * 8 * 5,
        ),
        ({"kind": "custom", "weights": 11, "flops": 13, "reads": 17, "writes": 19}, 11, 13, 17, 19),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_an_operation_is_counted_by_its_shape(operation, weights, flops, reads, writes):
    (found,) = operations_of(network([operation, {"kind": "linear", "name": "reader", "inputs": 1, "outputs": 1}]))[:-1]
    assert (found.elements, found.work.flops, found.reads, found.writes) == (weights, flops, reads, writes)
    assert sum(size for _, size in found.work.weights) == 2 * weights


@pytest.mark.parametrize(
    ("cell", "weights", "state"),
    [("lstm", 4 * 5 * (3 + 5 + 2), 2 * 5), ("gru", 3 * 5 * (3 + 5 + 2), 5), ("rnn", 5 * (3 + 5 + 2), 5)],
)
def test_a_recurrent_cell_reads_its_matrices_and_its_state(cell, weights, state):
    model = network([{"kind": "recurrent", "cell": cell, "inputs": 3, "hidden": 5}])
    assert parameter_count(model) == weights
    work = ask(model, "h100-sxm").whole
    assert work.bytes_read(1, 0) == 2 * weights + 2 * state
    assert work.bytes_read(7, 0) == 2 * weights + 7 * 2 * state


def test_a_projected_lstm():
    """Its hand-over is narrower than its cells: 1024 x 2048 of them, as in the projected LSTMs of arXiv 1402.1128."""
    model = network(
        [{"kind": "recurrent", "cell": "lstm", "inputs": 512, "hidden": 2048, "projection": 512, "biases": 1}]
    )
    assert parameter_count(model) == 4 * 2048 * (512 + 512 + 1) + 2048 * 512
    assert ask(model, "h100-sxm").whole.state == 2 * (2048 + 512)


def test_a_cache_grows_with_context_and_tokens_of_the_step_do_not():
    attention = {"kind": "attention", "heads": 8, "kv_heads": 2, "head_dim": 64}
    reader = {"kind": "linear", "name": "reader", "inputs": 1, "outputs": 1}
    cached, fixed, windowed = (
        ask(network([attention | more, reader]), "h100-sxm").whole
        for more in ({"tokens": "context"}, {"tokens": 100}, {"tokens": "context", "window": 16})
    )
    assert cached.cache_bytes(3, 1000) == 3 * 1000 * 2 * 2 * 64 * 2
    assert windowed.cache_bytes(3, 1000) == 3 * 16 * 2 * 2 * 64 * 2
    assert fixed.cache_bytes(3, 1000) == 0


@pytest.mark.parametrize(
    ("name", "total", "tolerance"),
    [
        ("sd-1.5-unet", 859_520_964, 0),  # num_parameters() in the documentation of diffusers
        ("sdxl-unet", 2_567_463_684, 0),  # as trainers of it print
        ("adm-64-unet", 296e6, 0.0005),  # arXiv 2105.05233, in millions
        ("lstm-ptb-medium", 20e6, 0.02),  # arXiv 1409.2329 and its followers, in millions
        (
            "lstm-seq2seq-decoder",
            192e6,
            0.0006,
        ),  # arXiv 1409.3215: 384M less the encoder's 32M and 160M; it counts no biases
    ],
)
def test_parameters_are_those_published(name, total, tolerance):
    assert parameter_count(find_model(name)) == pytest.approx(total, rel=tolerance)


@pytest.mark.parametrize("name", ["sd-1.5-unet", "sdxl-unet", "adm-64-unet"])
def test_the_flops_of_a_denoising_step_are_those_of_its_convolutions_and_matrices(name):
    """Counted apart from the operations, from the tables of the file: two FLOPs a multiply-add."""
    raw = tomllib.loads((data_folder("models") / f"{name}.toml").read_text(encoding="utf-8"))

    def value(given, arguments):
        return given if isinstance(given, int) else eval(given, {"__builtins__": {}}, arguments)  # noqa: S307 - our own file

    total = 0
    for segment in raw["segments"]:
        body = (
            [(raw["blocks"][b["block"]]["operations"], b) for b in segment["body"] for _ in range(b.get("repeat", 1))]
            if "body" in segment
            else [(segment["operations"], {})]
        )
        for operations, arguments in body:
            for o in operations:
                of = {
                    k: [value(x, arguments) for x in v]
                    if isinstance(v, list)
                    else v
                    if k in ("name", "kind", "block")
                    else value(v, arguments)
                    for k, v in o.items()
                }
                if o["kind"] == "convolution":
                    total += (
                        segment.get("repeat", 1)
                        * 2
                        * of["inputs"]
                        * of["outputs"]
                        * of["kernel"] ** 2
                        * of["size"][0]
                        * of["size"][1]
                    )
                elif o["kind"] == "linear":
                    total += segment.get("repeat", 1) * 2 * of["inputs"] * of["outputs"] * of.get("positions", 1)
                elif o["kind"] == "attention":
                    total += (
                        segment.get("repeat", 1) * 4 * of["heads"] * of["head_dim"] * of["positions"] * of["tokens"]
                    )
    counted = estimate(name, "h100-sxm").flops_per_step
    # Norms, biases and elementwise work are under one per cent.
    assert total < counted < 1.01 * total


# The U-Nets' files name each part by its side and resolution; the middle of one runs at the lowest resolution.
@pytest.mark.parametrize(
    ("name", "loops"),
    [
        # A level whose two residual blocks differ in width has none: the first brings the other width in.
        (
            "sd-1.5-unet",
            [
                ("1-4", ("residual", "transformer"), 2),
                ("16-18", ("residual",), 3),
                ("21-23", ("widening",), 3),
                ("25-28", ("widening", "transformer"), 2),
                ("40-43", ("transformer", "widening"), 2),
            ],
        ),
        # Encoder at 64, 32, 16, 8 (with the middle), decoder at 8, 16, 32, 64: one for each resolution and side.
        (
            "adm-64-unet",
            [
                ("1-3", ("residual",), 3),
                ("6-9", ("attention", "residual"), 2),
                ("13-16", ("attention", "residual"), 2),
                ("20-27", ("attention", "residual"), 4),
                ("28-33", ("widening", "attention"), 3),
                ("38-41", ("attention", "widening"), 2),
                ("47-50", ("attention", "widening"), 2),
                ("56-58", ("widening",), 3),
            ],
        ),
        # Ten transformer layers at the lowest resolution: inside the body of a longer loop where what is around them
        # repeats too, else a loop of their own.
        (
            "sdxl-unet",
            [
                ("1-2", ("residual",), 2),
                ("6-7", ("transformer",), 2),
                ("11-12", ("transformer",), 2),
                ("16-54", ("enter", *["transformer"] * 10, "leave", "residual"), 3),
                ("55-80", ("widening", "enter", *["transformer"] * 10, "leave"), 2),
                ("83-92", ("transformer",), 10),
                ("97-98", ("transformer",), 2),
                ("102-103", ("transformer",), 2),
                ("107-108", ("transformer",), 2),
                ("112-113", ("widening",), 2),
            ],
        ),
        ("lstm-ptb-medium", [("1-2", ("layer",), 2)]),
        ("lstm-seq2seq-decoder", [("1-4", ("layer",), 4)]),
    ],
)
def test_loops_of_networks(name, loops):
    answer = estimate(name, "h100-sxm")
    assert [(loop.layers, loop.body, loop.count) for loop in answer.loops] == loops
    report = loop_report(find_model(name))
    assert (
        sum(len(part.calls) * part.count for part in report.parts) == len(find_model(name).layers) == report.calls_fused
    )
    assert answer.after.kernel_calls == len(report.parts) == report.calls_looped


def test_a_loop_of_a_u_net_stays_within_its_resolution():
    """In each loop every convolution has the same number of outputs to compute."""
    for name in ("sd-1.5-unet", "sdxl-unet", "adm-64-unet"):
        model = find_model(name)
        for loop in estimate(model, "h100-sxm").loops:
            first, last = map(int, loop.layers.split("-"))
            sides = {
                p.positions
                for block in model.layers[first : last + 1]
                for p in block.operations
                if type(p).__name__ in ("Convolution", "Normalisation")
            }
            assert len(sides) == 1, (name, loop.layers)


def test_norms_and_elementwise_work_ride_in_their_neighbours():
    """What stands between two matrices never makes a call of its own in careful kernels,
    and one call together in an engine."""
    body = [
        {"kind": "normalisation", "name": "norm", "width": 8},
        {"kind": "linear", "name": "up", "inputs": 8, "outputs": 8},
        {"kind": "elementwise", "name": "act", "width": 8},
        {"kind": "elementwise", "name": "scale", "width": 8},
        {"kind": "linear", "name": "down", "inputs": 8, "outputs": 8},
        {"kind": "linear", "name": "gate", "inputs": 8, "outputs": 8, "shares_input": True},
        {"kind": "elementwise", "name": "sum", "width": 8},
    ]
    step = decode_step(model := network(body, repeat=3), formats_of(model, None, None), 1)
    calls = {
        style: [call.name for count, call in make_schedule(step, Cutting(style)).calls for _ in range(count)]
        for style in ("separate", "engine", "tuned", "layer")
    }
    assert len(calls["separate"]) == 21
    # The sum at the end of a block runs with the norm of the next one.
    assert sum(count for count, _ in make_schedule(step, Cutting("engine")).calls) == 13
    assert sum(count for count, _ in make_schedule(step, Cutting("tuned")).calls) == 6
    assert calls["layer"] == ["part"] * 3
    (fused,) = (call for _, call in make_schedule(step, Cutting("layer")).calls)
    assert [stage.name for stage in fused.segments[0].stages] == ["up", "down"]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("style", ["primitive", "separate", "engine", "tuned", "layer", "step"])
def test_no_work_is_lost_however_calls_are_cut(name, style):
    step = decode_step(find_model(name), formats_of(find_model(name), None, None), 1)
    schedule = make_schedule(step, Cutting(style, loops=style == "layer"))
    works = [
        stage.work.times(count * segment.iterations)
        for count, call in schedule.calls
        for segment in call.segments
        for stage in segment.stages
    ]
    operations = list(step.all_operations())
    assert sum(w.flops for w in works) == pytest.approx(sum(o.work.flops for o in operations))
    assert sum(size for w in works for _, size in w.weights) == pytest.approx(
        sum(size for o in operations for _, size in o.work.weights)
    )


def test_weights_that_stay_on_chip_are_read_from_there():
    read, kept = (
        estimate(name, "a100-sxm-80gb", parameters={"reach.weights": 1.0})
        for name in ("lstm-ptb-medium", "lstm-ptb-medium-on-chip")
    )
    assert kept.bytes_per_step == 2 * 2 * 2 * 650  # two layers, two states of 650 in 16 bits
    assert read.bytes_per_step == kept.bytes_per_step + 2 * (19_780_400 - 6_500_000)
    assert kept.after.time_per_step < read.after.time_per_step
    # The same bytes at the on-chip bandwidth, 5.4 instead of 2.039 TB/s.
    weights = 2 * 13_280_400 / 0.83
    assert read.after.terms.stream - kept.after.terms.stream == pytest.approx(
        weights / 2.039e12 - weights / 5.4e12, rel=1e-6
    )
    assert {a.name for a in kept.assumptions} - {a.name for a in read.assumptions} == {"on_chip.bandwidth"}
    slower = kept.replace(parameters={"on_chip.bandwidth": "2 TB/s..3 TB/s"})
    assert slower.after.time_per_step > kept.after.time_per_step
    assert (
        slower.after.low.time_per_step - kept.after.low.time_per_step
        > slower.after.high.time_per_step - kept.after.high.time_per_step
    )


def test_weights_that_do_not_stay_on_chip_are_said_so():
    assert any(
        "do not stay on the chip" in note
        for note in estimate("lstm-ptb-medium-on-chip", "a100-sxm-80gb", weights="fp32").notes
    )
    assert not any(
        "do not stay on the chip" in note for note in estimate("lstm-ptb-medium-on-chip", "a100-sxm-80gb").notes
    )
    with pytest.raises(PerfModelError, match=r"on_chip\.bandwidth.*--set"):
        estimate("lstm-ptb-medium-on-chip", "rtx-3090")


@pytest.mark.parametrize("name", NETWORKS)
def test_several_devices_share_the_matrices_and_gather(name):
    one, four = (estimate(name, "h100-sxm", devices=n) for n in (1, 4))
    assert four.bytes_per_step == one.bytes_per_step
    assert four.before.terms.collective > one.before.terms.collective == 0
    if name != "lstm-ptb-medium-on-chip":
        assert four.fits.bytes_needed < one.fits.bytes_needed


@pytest.mark.parametrize("name", NETWORKS)
def test_terms_add_up_and_bounds_hold(name):
    for mode in ("eager", "stream", "graph", "looped", "megakernel"):
        answer = estimate(name, "h100-sxm", before=mode, batch=3)
        side = answer.before
        assert sum(side.terms) == pytest.approx(side.time_per_step)
        assert side.high.time_per_step <= side.time_per_step <= side.low.time_per_step
        assert 0 < side.fraction_of_peak < 1
        assert answer.speedup.low <= answer.speedup.value <= answer.speedup.high


@pytest.mark.parametrize(
    "words",
    [
        ("models", "show"),
        ("models", "check"),
        ("loops",),
        ("estimate", "h100-sxm"),
        ("sweep", "h100-sxm", "--batch", "1,2"),
        ("compare", "h100-sxm", "--modes", "all"),
        ("sensitivity", "h100-sxm"),
        ("explain", "h100-sxm"),
        ("solve", "h100-sxm", "--unknown", "batch", "--target", "after.time_per_step=20ms"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["adm-64-unet", "lstm-ptb-medium-on-chip"])
def test_every_command_takes_a_network(run, words, name):
    at = 2 if words[0] == "models" else 1
    answer = run(*words[:at], name, *words[at:])
    assert answer.code == 0, answer.err
    assert answer.out.strip()
    assert "nan" not in answer.out


def test_a_table_counts_steps(run):
    out = run("estimate", "sd-1.5-unet", "h100-sxm").out
    assert "steps per second" in out
    assert "a step is one denoising step" in out
    assert "tok/s" not in out


def test_the_width_of_a_network_cannot_be_solved_for(run):
    answer = run("solve", "sd-1.5-unet", "h100-sxm", "--unknown", "hidden", "--target", "speedup=1.5")
    assert answer.code == 1
    assert "network of blocks" in answer.err


FILE = """
name = "mine"
source = "a test"
kind = "assumed"

[network]
step = "time step"

[blocks.cell]
arguments = ["width"]
operations = [
    { kind = "normalisation", width = "width" },
    { kind = "linear", name = "up", inputs = "width", outputs = "4*width", bias = true },
    { kind = "convolution", inputs = "width", outputs = 8, kernel = 3, size = [4, 4] },
    { kind = "recurrent", cell = "gru", inputs = "width", hidden = "width + 2" },
    { kind = "attention", heads = 4, head_dim = 8, tokens = "context" },
]

[[segments]]
name = "stack"
repeat = 3
body = [{ block = "cell", width = 16 }]
"""


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (('step = "time step"', ""), ["network", "has no step"]),
        (('kind = "linear"', 'kind = "liner"'), ["blocks.cell.operations[2]", "'liner'", "did you mean 'linear'"]),
        (('outputs = "4*width"', 'outputs = "4*widht"'), ["operations[2]: outputs", "'widht'", "did you mean 'width'"]),
        (('outputs = "4*width"', 'outputs = "4*"'), ["operations[2]: outputs", "''"]),
        (('outputs = "4*width"', "outputs = 0"), ["operations[2]: outputs", "1 to"]),
        (('outputs = "4*width"', "outputs = 1.5"), ["operations[2]: outputs", "whole number"]),
        (('outputs = "4*width"', "output = 3"), ["operations[2]", "'output'", "did you mean 'outputs'"]),
        (("bias = true", "bias = 1"), ["operations[2]: bias", "true or false"]),
        (("size = [4, 4]", "size = 4"), ["operations[3]: size", "list"]),
        (("kernel = 3", "kernel = [3]"), ["operations[3]", "1 dimensions, size 2"]),
        (('cell = "gru"', 'cell = "gruu"'), ["operations[4].cell", "did you mean 'gru'"]),
        (("head_dim = 8", "kv_heads = 3, head_dim = 8"), ["operations[5].kv_heads", "divide"]),
        (('tokens = "context"', 'tokens = "contxt"'), ["operations[5]: tokens", "'contxt'"]),
        (('name = "up"', 'name = "recurrent"'), ["two operations", "'recurrent'"]),
        (("width = 16 }", "width = 16, repeat = 0 }"), ["segment 1 (stack).body[1]: repeat", "1 to 1,000"]),
        (("width = 16 }", "width = 16, repeat = 999 }"), ["more than 1000 blocks"]),
        (('arguments = ["width"]', 'arguments = ["repeat"]'), ["blocks.cell.arguments", "other than block and repeat"]),
        (("repeat = 3", "repeat = 1001"), ["segment 1 (stack): repeat", "1 to 1,000"]),
        (('block = "cell"', 'block = "cel"'), ["segment 1 (stack).body[1]", "did you mean 'cell'"]),
        ((", width = 16", ""), ["segment 1 (stack).body[1]: has no width"]),
        (
            ("width = 16", "width = 16, depth = 2"),
            ["'depth' is not a key of a use of block cell", "block, repeat, width"],
        ),
        (("[network]", "[netwrok]"), ["'netwrok'", "did you mean 'network'"]),
        (("[[segments]]", "[config]\nmodel_type = 'llama'\n[[segments]]"), ["either", "[config]", "[network]"]),
        (('arguments = ["width"]', 'arguments = "width"'), ["blocks.cell: arguments", "list"]),
        (
            ('step = "time step"', 'step = "time step"\nweights = "bf15"'),
            ["network.weights", "'bf15'", "did you mean 'bf16'"],
        ),
        (("width = 16", "width = 999999999"), ["out of range"]),
    ],
)
def test_a_network_file_with_a_fault(run, tmp_path, change, parts):
    path = tmp_path / "mine.toml"
    assert change[0] in FILE
    path.write_text(FILE.replace(*change), encoding="utf-8")
    answer = run("estimate", str(path), "h100-sxm")
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    for part in ("mine.toml", *parts):
        assert part in answer.err


def test_a_network_that_reads_nothing_has_no_peak():
    with pytest.raises(PerfModelError, match="no peak"):
        network([{"kind": "elementwise", "width": 8}])
    with pytest.raises(PerfModelError, match="no peak"):
        network([{"kind": "linear", "inputs": 8, "outputs": 8}], network={"weights_stay_on_chip": True})


def test_the_file_above_is_right(run, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE, encoding="utf-8")
    model = load_model(path)
    assert parameter_count(model) == 3 * (16 + 64 * 17 + 16 * 8 * 9 + 3 * 18 * (16 + 18 + 2))
    assert run("loops", str(path)).code == 0


broken = st.sampled_from(
    [
        None,
        -1,
        0,
        1,
        3,
        7.5,
        10**9,
        10**30,
        float("nan"),
        float("inf"),
        "",
        "width",
        "4*width",
        "width*width*width",
        "x+1",
        "\u0000é",
        "1" * 300,
        True,
        [],
        [1, 2],
        ["width"],
        {},
        {"kind": "linear"},
        [{}],
    ]
)


def paths_of(value, path=()):
    """Every place in nested tables and lists."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from paths_of(inner, (*path, key))


@given(st.data())
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_networks_give_an_answer_or_one_line(data):
    raw = copy.deepcopy(tomllib.loads(FILE))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([p for p in paths_of(raw) if p and p[0] in ("network", "blocks", "segments")]))
        place = raw
        for key in path[:-1]:
            place = place[key]
        action = data.draw(st.sampled_from(["remove", "replace", "add"]))
        if action == "remove":
            place.pop(path[-1])
        elif action == "replace":
            place[path[-1]] = copy.deepcopy(data.draw(broken))
        elif isinstance(place, dict):
            place[
                data.draw(
                    st.sampled_from(
                        [
                            "kind",
                            "name",
                            "repeat",
                            "positions",
                            "groups",
                            "stride",
                            "window",
                            "tied",
                            "unheard_of",
                            "weights",
                            "body",
                            "operations",
                        ]
                    )
                )
            ] = copy.deepcopy(data.draw(broken))
    try:
        model = model_from_network(raw, "mine.toml", name="mine", title="Mine", source="a test")
        answer = estimate(model, "h100-sxm")
    except PerfModelError as error:
        assert "\n" not in str(error)
        return
    assert 0 < answer.after.fraction_of_peak < 1
    assert answer.speedup.low <= answer.speedup.value <= answer.speedup.high


@given(st.text(max_size=30), st.integers(0, len(FILE)), st.integers(0, 40))
@example('"' * 3, 40, 0)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_text_gives_a_model_or_one_line(tmp_path, inserted, at, cut):
    path = tmp_path / "mine.toml"
    path.write_text(FILE[:at] + inserted + FILE[at + cut :], encoding="utf-8", errors="replace")
    try:
        assert load_model(path).layers
    except PerfModelError as error:
        assert "\n" not in str(error)


def test_the_example_of_the_documents(run, tmp_path, repository):
    """An MLP-Mixer-B/16: 59 million parameters in its paper, 59,880,472 in its published checkpoint."""
    text = (repository / "docs" / "models.md").read_text(encoding="utf-8")
    path = tmp_path / "mixer.toml"
    path.write_text(
        text.partition('```toml\nname = "mixer"')[2].partition("```")[0].join(['name = "mixer"', ""]), encoding="utf-8"
    )
    assert parameter_count(load_model(path)) == 59_880_472
    assert [(loop.layers, loop.count) for loop in estimate(load_model(path), "h100-sxm").loops] == [("1-12", 12)]


def test_the_flops_of_stable_diffusion_are_near_those_published():
    """1.67952e12 for a step of two (with classifier-free guidance) in a talk of NVIDIA's on this U-Net,
    which does not say what it counts besides matrices."""
    assert estimate("sd-1.5-unet", "a100-sxm-80gb", batch=2).flops_per_step == pytest.approx(1.67952e12, rel=0.05)


widths = st.sampled_from([8, 16, 24])
random_operations = st.one_of(
    st.builds(
        lambda i, o, p: {"kind": "linear", "inputs": i, "outputs": o, "positions": p}, widths, widths, st.integers(1, 9)
    ),
    st.builds(
        lambda i, o, s: {"kind": "convolution", "inputs": i, "outputs": o, "kernel": 3, "size": [s, s]},
        widths,
        widths,
        st.integers(1, 9),
    ),
    st.builds(
        lambda i, h, c: {"kind": "recurrent", "inputs": i, "hidden": h, "cell": c},
        widths,
        widths,
        st.sampled_from(["lstm", "gru", "rnn"]),
    ),
    st.builds(lambda w: {"kind": "normalisation", "width": w}, widths),
    st.builds(lambda w: {"kind": "elementwise", "width": w}, widths),
    st.builds(lambda t: {"kind": "attention", "heads": 2, "head_dim": 8, "tokens": t}, st.sampled_from([5, "context"])),
    st.builds(lambda w: {"kind": "custom", "weights": w, "flops": w, "state": 8}, widths),
)
random_blocks = st.lists(random_operations, min_size=1, max_size=5).map(
    lambda operations: [o | {"name": f"operation_{i}"} for i, o in enumerate(operations)]
)
reader = [{"kind": "linear", "name": "reader", "inputs": 8, "outputs": 8}]


@given(
    st.lists(st.tuples(random_blocks, st.integers(1, 5)), min_size=1, max_size=6),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([1, 2, 3]),
)
@settings(max_examples=150, deadline=None)
def test_random_networks(segments, at_most, devices):
    """Loops, unrolled, give back the blocks; work and parameters do not depend on how calls are cut;
    looping never adds calls."""
    raw = {
        "network": {"step": "step"},
        "segments": [
            {"name": f"part {i}", "repeat": n, "operations": block}
            for i, (block, n) in enumerate([*segments, (reader, 1)])
        ],
    }
    model = model_from_network(raw, "mine.toml", name="mine", title="Mine", source="a test")
    step = decode_step(model, formats_of(model, None, None), devices)
    report = loop_report(model, devices=devices, loop_at_most=at_most)
    assert sum(len(part.calls) * part.count for part in report.parts) == len(model.layers)
    # Equal blocks bear the name of the first of them, so the calls in order are those of the blocks.
    first = {}
    names = [first.setdefault(block.operations, block.name) for block in model.layers]
    assert [name for part in report.parts for name in part.calls * part.count] == names
    assert report.calls_looped <= report.calls_fused
    schedules = [
        make_schedule(step, Cutting(style, loops, at_most))
        for style, loops in (
            ("separate", False),
            ("engine", False),
            ("tuned", False),
            ("layer", False),
            ("layer", True),
            ("step", True),
        )
    ]
    works = [
        [
            stage.work.times(count * segment.iterations)
            for count, call in s.calls
            for segment in call.segments
            for stage in segment.stages
        ]
        for s in schedules
    ]
    for total in (lambda w: w.flops_at(2, 7), lambda w: w.bytes_read(2, 7)):
        amounts = [sum(total(work) for work in one) for one in works]
        assert amounts == pytest.approx([amounts[0]] * len(amounts))
    gathers = [
        sum(
            count * segment.iterations * len(stage.collectives)
            for count, call in s.calls
            for segment in call.segments
            for stage in segment.stages
        )
        for s in schedules
    ]
    assert len(set(gathers)) == 1
    answer = estimate(model, "h100-sxm", devices=devices, loop_at_most=at_most)
    assert 0 < answer.after.fraction_of_peak < 1
    assert sum(answer.after.terms) == pytest.approx(answer.after.time_per_step)


def test_a_file_type_of_decoders_is_refused_in_one_line(run):
    answer = run("estimate", "sd-1.5-unet", "h100-sxm", "--weights", "q4_k_m")
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert "q4_k" in answer.err


def test_the_text_of_a_network_costs_less_than_its_answer(repository):
    """Hundreds of distinct blocks: verdict, notes and tables once took ten times the time of the answer."""
    program = """if True:
        import time
        from perfmodel import estimate
        from perfmodel.report.answer import document
        from perfmodel.report.facts import beside_of
        from perfmodel.report.text import to_plain
        start = time.process_time()
        answer = estimate("sd-1.5-unet", "sn40l")
        answer.to_dict()
        done = time.process_time()
        text = to_plain(document(answer, beside_of(answer)))
        print(done - start, time.process_time() - done, len(text))
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    answering, showing, length = map(float, done.stdout.split())
    assert showing < answering < 5
    assert length > 500
