"""The recording script without torch: its arithmetic, and that perfmodel reads what it writes."""

import csv
import importlib.util
import io
import subprocess
import sys

import pytest

from perfmodel import estimate
from perfmodel.measurements.calibration import calibrate
from perfmodel.measurements.rows import read_rows
from perfmodel.operations import parameter_count
from perfmodel.specifications.catalogue import find_hardware, find_model


@pytest.fixture(scope="module")
def script(request):
    path = request.config.rootpath / "benchmarks" / "record_decode.py"
    specification = importlib.util.spec_from_file_location("record_decode", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules["record_decode"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["record_decode"]


def machine(script, **more):
    reads = script.Line(3e-6, 3.05e12, 0.02)
    return script.Machine(
        "A GPU (80GB)", 80_000_000_000, 3.35e12, "driver", reads, {4 << 20: 1.4e12, 1 << 30: 3.04e12}, **more
    )


def test_it_imports_torch_and_the_standard_library_only(repository):
    code = """
import sys
sys.path.insert(0, 'benchmarks')
import record_decode
print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code.replace("'benchmarks'", repr(str(repository / "benchmarks")))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) <= {"record_decode", "__main__"}


def test_without_torch_it_says_so_in_one_line(repository, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, str(repository / "benchmarks" / "record_decode.py"), "--out", str(out)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "torch is not installed" in done.stderr
    assert not out.exists()


def test_without_a_device_it_says_so_in_one_line(repository, tmp_path):
    (tmp_path / "torch.py").write_text("class cuda:\n    is_available = staticmethod(lambda: False)\n")
    done = subprocess.run(
        [sys.executable, str(repository / "benchmarks" / "record_decode.py")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "finds no GPU" in done.stderr


@pytest.mark.parametrize("words", [["--batch", "0"], ["--context", "-1"], ["--model", "x"]])
def test_wrong_words(script, words):
    with pytest.raises(SystemExit) as stop:
        script.arguments(words)
    assert stop.value.code == 2


def test_shapes_are_those_of_the_catalogue(script):
    for name, shapes in script.SHAPES.items():
        assert script.parameters(shapes) == parameter_count(find_model(name))
        answer = estimate(name, "h100-sxm", batch=4, context=1000)
        assert script.bytes_per_step(shapes, 4, 1000) == pytest.approx(answer.bytes_per_step, rel=1e-3)
        assert script.bytes_needed(shapes, 4, 1000) >= script.bytes_per_step(shapes, 4, 1000)


def test_line(script):
    volumes = [4e6, 16e6, 64e6, 256e6]
    line = script.fit_line(volumes, [5e-6 + v / 2e12 for v in volumes])
    assert line.seconds == pytest.approx(5e-6)
    assert line.rate == pytest.approx(2e12)
    assert line.residual < 1e-9
    through_zero = script.fit_line(volumes, [v / 2e12 * (1 + v * 1e-10) for v in volumes])
    assert through_zero.seconds == 0
    assert through_zero.rate == pytest.approx(2e12, rel=0.03)


@pytest.mark.parametrize(
    ("volumes", "times"),
    [([], []), ([1], [1]), ([1, 1], [1, 2]), ([1, 2], [1, 0]), ([1, 2], [1]), ([1e6, 2e6], [2e-3, 1e-6])],
)
def test_no_line(script, volumes, times):
    with pytest.raises(ValueError):
        script.fit_line(volumes, times)


def test_bandwidth_from_clock_and_width(script):
    assert script.datasheet_bandwidth(2_619_000, 5120) == pytest.approx(3.352e12, rel=1e-3)
    assert script.datasheet_bandwidth(0, 0) == 0


def test_sizes(script):
    assert script.read_sizes(80 << 30) == [1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20, 1 << 30, 4 << 30]
    assert script.read_sizes(0) == [1 << 20]


def test_hardware_file_can_be_asked(script, tmp_path):
    spread = script.Spread
    full = machine(
        script,
        arithmetic=spread(6e14, 6.5e14, 7e14),
        empty_kernel=spread(1.5e-6, 1.7e-6, 2e-6),
        issue=spread(3e-6, 4e-6, 6e-6),
        graph_node=spread(1e-6, 1.2e-6, 1.2e-6),
        barrier=spread(1e-6, 1.1e-6, 1.3e-6),
    )
    path = tmp_path / "hardware.toml"
    path.write_text(script.hardware_toml(full))
    device = find_hardware(str(path))
    values = device.values
    assert (device.name, device.title) == ("a-gpu-80gb", "A GPU (80GB)")
    assert values["memory.bandwidth"].value == pytest.approx(3.35e12)
    assert values["memory.capacity"].value == 80e9
    assert values["memory.sustained.weights"].value == pytest.approx(3.05 / 3.35, rel=1e-5)
    assert values["memory.sustained.weights"].kind == "measured"
    assert values["modes.graph.bare"].value == pytest.approx(1.2e-6)
    assert values["modes.looped.stage"].high == pytest.approx(1.3e-6)
    assert values["modes.eager.issue"].low == pytest.approx(3e-6)
    for mode in ("eager", "stream", "graph"):
        assert estimate("llama-3.2-1b", str(path), before=mode).speedup.value > 1


def test_hardware_file_without_what_could_not_be_measured(script, tmp_path):
    path = tmp_path / "hardware.toml"
    path.write_text(script.hardware_toml(machine(script)._replace(name='odd "name"\n\\')))
    assert find_hardware(str(path)).name == "odd-name"
    path = tmp_path / "other.toml"
    path.write_text(
        script.hardware_toml(machine(script, arithmetic=script.Spread(6e14, 6.5e14, 7e14))._replace(bandwidth=1e12))
    )
    assert estimate("llama-3.2-1b", str(path)).before.mode == "stream"
    assert find_hardware(str(path)).values["memory.sustained.weights"].value <= 1


def test_rows_are_those_that_calibrate_takes(script, repository, tmp_path):
    header = next(csv.reader(io.StringIO((repository / "validation" / "rows.csv").read_text())))
    assert list(script.COLUMNS) == header
    steps = [
        script.Step("eager", "torch eager", [4.1e-3, 4.2e-3, 4.6e-3]),
        script.Step("graph", "torch.compile in a graph", [1.5e-3, 1.4e-3, 1.45e-3], "a, comma"),
    ]
    text = script.rows_csv("llama-3.2-1b", "h100-sxm", 2, 1024, steps, "A GPU", "torch 9")
    path = tmp_path / "rows.csv"
    path.write_text(text)
    rows = read_rows(path)
    assert [(row.mode, row.batch, row.context, row.time_per_step) for row in rows] == [
        ("eager", 2, 1024, 4.2e-3),
        ("graph", 2, 1024, 1.45e-3),
    ]
    assert calibrate(rows, leave_out=False).rows == 2
