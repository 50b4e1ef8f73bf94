"""Machine code gives what numpy gives, however many points there are beside eight at a time."""

import math

import numpy
import pytest

from perfmodel import estimate, sweep
from perfmodel.numbers.arrays import RecordedLoop, _Pieces
from perfmodel.numbers.machinecode import InnerLoop, available
from perfmodel.numbers.recorded import Line

pytestmark = pytest.mark.skipif(not available(), reason="llvmlite is not installed")
VARIES = [(True, True), (True, False), (False, True), (False, False)]
LINES = (
    Line("a", "*", "x0", "x1"),
    Line("b", "+", "a", "x2"),
    Line("c", "/", "b", "x3"),
    Line("d", "maximum", "c", 2.0),
    Line("e", "minimum", "d", "x0"),
    Line("f", "greater", "e", "x2"),
    Line("g", "-", "f", "e"),
    Line("h", "**", "d", 0.5),
)
FURTHER = (Line("i", "log", "c", 0.0), Line("j", "exp", "i", 0.0), Line("k", "**", "c", 1.7))


@pytest.mark.parametrize("inner", [1, 2, 7, 8, 9, 15, 16, 17, 300])
@pytest.mark.parametrize("outer", [1, 3])
def test_machine_code_gives_what_numpy_gives(outer, inner):
    kernel = RecordedLoop(("x0", "x1", "x2", "x3"), LINES + FURTHER, ("d", "g", "h", "i", "j", "k"))
    random = numpy.random.default_rng(inner)
    inputs = [random.uniform(0.5, 9.0, (outer if o else 1, inner if i else 1)) for o, i in VARIES]
    found, expected = ({name: numpy.full((outer, inner), math.nan) for name in kernel.results} for _ in range(2))
    InnerLoop(kernel, VARIES).run(inputs, found, (outer, inner))
    _Pieces(kernel).run(inputs, expected, (outer, inner))
    for name in ("d", "g", "h"):
        assert numpy.array_equal(found[name], expected[name]), name
    for name in ("i", "j", "k"):
        numpy.testing.assert_allclose(found[name], expected[name], rtol=1e-14, atol=1e-16, err_msg=name)


@pytest.mark.parametrize("name", ["log", "exp"])
def test_logarithms_and_exponentials_are_right_to_the_last_digits(name):
    kernel = RecordedLoop(("x",), (Line("y", name, "x", 0.0),), ("y",))
    values = numpy.concatenate([numpy.geomspace(1e-30, 1e30, 4001), numpy.linspace(0.5, 2.0, 4001)])
    values = numpy.log(values) if name == "exp" else values
    found = {"y": numpy.empty((1, values.size))}
    InnerLoop(kernel, [(False, True)]).run([values.reshape(1, -1)], found, (1, values.size))
    expected = getattr(numpy, name)(values)
    error = numpy.abs(found["y"][0] - expected) / numpy.maximum(numpy.abs(expected), 1e-2)
    assert error.max() <= 1e-14


def test_a_logarithm_does_not_depend_on_the_numbers_beside_it():
    """Where one of eight is far from one, all are worked out in another way too, and each keeps its own."""
    kernel = RecordedLoop(("x",), (Line("y", "log", "x", 0.0),), ("y",))
    values = numpy.random.default_rng(0).uniform(0.8, 1.2, 64)
    values[5::16] *= 1e3
    found = []
    for rolled in (0, 3):
        out = {"y": numpy.empty((1, 64))}
        InnerLoop(kernel, [(False, True)]).run([numpy.roll(values, rolled).reshape(1, -1)], out, (1, 64))
        found.append(numpy.roll(out["y"][0], -rolled))
    assert numpy.array_equal(*found)


def test_what_need_not_be_had_to_the_last_bit_is_fused_and_the_rest_is_not():
    lines = (Line("a", "*", "x", "y"), Line("b", "-", "a", "z"))
    x, y = numpy.random.default_rng(1).uniform(0.5, 9.0, (2, 1, 64))
    inputs, found = [x, y, x * y], {}
    for loose in (frozenset(), frozenset(("a", "b"))):
        out = {"b": numpy.empty((1, 64))}
        InnerLoop(RecordedLoop(("x", "y", "z"), lines, ("b",), loose), [(True, True)] * 3).run(inputs, out, (1, 64))
        found[bool(loose)] = numpy.abs(out["b"] / (x * y)).max()
    assert found[False] == 0.0
    assert found[True] < 1e-15


@pytest.mark.parametrize(
    ("device", "devices", "parameter"),
    [
        ("sn40l", 8, "modes.looped.stage"),
        ("h100-sxm", 1, "modes.looped.stage"),
        ("h100-sxm", 1, "modes.graph.boundary"),
    ],
)
def test_a_compiled_grid_gives_what_estimates_give(device, devices, parameter):
    columns = [f"{side}{end}.time_per_step" for side in ("before", "after") for end in ("", ".low", ".high")]
    columns += ["batch", "context", parameter, "speedup.value", "speedup.low", "speedup.high"]
    grid = {"batch": "1:101:+25", "context": "1k:64k:x8", "parameters": {parameter: "0us:20us:20000"}}
    found = sweep("llama-3.1-8b", device, devices=devices, columns=columns, **grid)
    for i in numpy.random.default_rng(0).integers(0, len(found), 12):
        row = {name: values[i].item() for name, values in found.columns.items()}
        asked = {name: row[name] for name in ("batch", "context")} | {"parameters": {parameter: row[parameter]}}
        answer = estimate("llama-3.1-8b", device, devices=devices, **asked).rows()[0]
        for name in answer.keys() & set(columns):
            assert row[name] == pytest.approx(answer[name], rel=1e-12), (name, asked)
