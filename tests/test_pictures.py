"""Pictures: well-formed, labelled with units, marks as long as the numbers."""

import json
import re
import sys
import xml.etree.ElementTree as ET

import msgspec
import pytest

from perfmodel import estimate
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report import pictures, scales
from perfmodel.report.bars import bar, document
from perfmodel.report.picturedata import KINDS, picture_data, report_data, rows_of
from perfmodel.report.picturedata.captions import question_line
from perfmodel.report.picturedata.measurements import validation
from perfmodel.report.picturedata.steps import waterfall
from perfmodel.report.pictures import axes, waterfalls

SVG = "{http://www.w3.org/2000/svg}"
ASK = ("llama-3.1-8b", "sn40l", "--devices", "8")
UNITS = {
    "waterfall": "[ms]",
    "roofline": "[FLOP/B]",
    "scaling": "[tok/s]",
    "context": "[tok/s]",
    "batch": "[tok/s, all sequences]",
    "map": "speed-up [x]",
    "tornado": "speed-up [x]",
    "validation": " ms",
}
CASES = {
    "dataflow": ("llama-3.1-8b", "sn40l", {"devices": 8}),
    "megakernel": ("llama-3.2-1b", "h100-sxm", {"context": 128, "after": "megakernel"}),
    "experts": ("deepseek-v3", "h200-sxm", {"devices": 8, "batch": 16}),
    "too large": ("llama-3.1-405b", "rtx-4090", {}),
    "no context": ("qwen3-0.6b", "mi300x", {"context": 0, "devices": 3}),
}


@pytest.fixture(scope="module", params=CASES)
def answer(request):
    model, hardware, options = CASES[request.param]
    return estimate(model, hardware, **options)


@pytest.fixture(scope="module")
def report():
    return report_data(estimate("llama-3.1-8b", "sn40l", devices=8))


def parsed(text):
    return ET.fromstring(text)  # noqa: S314 - our own text


def marks(svg, attribute):
    return [element for element in parsed(svg).iter() if f"data-{attribute}" in element.attrib]


def texts(svg):
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "validation"])
def test_every_picture_is_well_formed_labelled_and_inside_its_paper(answer, kind):
    data = picture_data(kind, answer)
    svg = pictures.draw(data)
    root = parsed(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    words = texts(svg)
    assert any("[" in word and "]" in word for word in words)
    assert any(word.startswith("Assumptions: memory.bandwidth") for word in words)
    for element in root.iter():
        for name, value in element.attrib.items():
            assert "nan" not in value.lower() or not re.fullmatch(r"[-\d., nan]+", value), (name, value)
        if element.tag == f"{SVG}text":
            size, x = float(element.get("font-size")), float(element.get("x"))
            assert 0 <= float(element.get("y")) <= height
            if not element.get("transform"):
                room = scales.text_width(element.text, size) * 0.86  # the estimate of a width is generous
                left = {"start": x, "middle": x - room / 2, "end": x - room}[element.get("text-anchor", "start")]
                assert left >= -1, element.text
                assert left + room <= width + 1, element.text
        elif element.tag == f"{SVG}rect" and element.get("x"):
            assert float(element.get("x")) >= 0
            assert float(element.get("x")) + float(element.get("width")) <= width + 0.01
    assert rows_of(data)


@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_each_picture(report, kind):
    svg = pictures.draw(next(p for k, p in zip(KINDS, report.pictures, strict=True) if k == kind))
    assert any(UNITS[kind] in word for word in texts(svg))


def test_bars_of_the_waterfall_are_as_long_as_the_terms(answer):
    data = waterfall(answer)
    svg = pictures.draw(data)
    peaks = [float(m.get("width")) for m in marks(svg, "term") if m.get("data-term") == "peak"]
    assert peaks[0] == pytest.approx(peaks[1])
    per_second = peaks[0] / answer.peak.time_per_step
    for name in ("before", "after"):
        side = getattr(answer, name)
        found = {
            m.get("data-term"): (float(m.get("x")), float(m.get("width")))
            for m in marks(svg, "term")
            if m.get("data-side") == name
        }
        assert found["step"][1] == pytest.approx(side.time_per_step * per_second, abs=0.5)
        end = found["step"][0]
        for term in TERM_NAMES:
            time = getattr(side.terms, term)
            assert (term in found) == (time > 0)
            if time > 0:
                assert found[term][0] == pytest.approx(end, abs=0.5)
                assert found[term][1] == pytest.approx(time * per_second, abs=0.5)
                end = found[term][0] + found[term][1]
        assert end == pytest.approx(found["step"][0] + found["step"][1], abs=0.5)


def test_curves_pass_through_the_estimates(report):
    answer = report.answer
    svg = pictures.draw(report.pictures[KINDS.index("scaling")])
    found = {int(m.get("data-at")): m for m in marks(svg, "curve") if m.get("data-curve") == "after.fraction_of_peak"}
    heights = {n: float(m.get("cy")) for n, m in found.items()}
    shares = {n: answer.replace(devices=n).after.fraction_of_peak for n in heights}
    assert set(heights) == {1, 2, 4, 8, 16}
    slope = (heights[16] - heights[1]) / (shares[16] - shares[1])
    for n, height in heights.items():
        assert height == pytest.approx(heights[1] + slope * (shares[n] - shares[1]), abs=0.5)


def test_every_cell_of_the_map_shows_its_number(report):
    data = report.pictures[KINDS.index("map")]
    svg = pictures.draw(data)
    cells = {
        (int(m.get("data-context")), int(m.get("data-batch"))): float(m.get("data-value"))
        for m in marks(svg, "context")
    }
    assert len(cells) == len(data.batches) * len(data.contexts)
    assert cells[4096, 1] == report.answer.speedup.value
    assert f"{report.answer.speedup.value:.2f}" in texts(svg)


def test_bars_of_the_tornado_are_in_proportion(report):
    data = report.pictures[KINDS.index("tornado")]
    drawn = marks(pictures.draw(data), "assumption")
    lengths = {(m.get("data-assumption"), m.get("data-end")): float(m.get("width")) for m in drawn}
    swings = {(b.name, end): abs(getattr(b, f"at_{end}") - data.value) for b in data.bars for end in ("low", "high")}
    longest = max(swings, key=swings.__getitem__)
    for key, length in lengths.items():
        assert length == pytest.approx(swings[key] * lengths[longest] / swings[longest], abs=0.5)


def test_points_of_the_roofline_lie_under_the_sustained_roofs(answer):
    data = picture_data("roofline", answer)
    assert sum(p.share for p in data.points) == pytest.approx(1)
    for point in data.points:
        assert point.rate <= min(point.intensity * data.bandwidth, data.sustained_rate) * (1 + 1e-9)
    assert data.step_rates[0] <= data.step_rates[2]


def test_black_and_white_tells_terms_and_curves_apart(report):
    hatches = [paint.hatch for name, paint in waterfalls.TERM_PAINTS.items() if name not in ("peak", "stream")]
    assert len(set(hatches)) == len(hatches)
    assert all(hatches)
    svg = pictures.draw(report.pictures[KINDS.index("context")])
    assert axes.BEFORE.dash != axes.AFTER.dash
    assert {m.tag for m in marks(svg, "curve")} == {f"{SVG}polygon", f"{SVG}circle"}


def test_names_are_escaped():
    answer = estimate("llama-3.1-8b", "sn40l")
    evil = msgspec.structs.replace(answer, model='<script>alert("x")</script>&\x01')
    data = msgspec.structs.replace(waterfall(answer), caption=waterfall(evil).caption)
    root = parsed(pictures.draw(data))
    assert any("<script>" in (element.text or "") for element in root.iter(f"{SVG}text"))
    assert question_line(evil)


def test_validation_has_each_measurement(report):
    data = report.pictures[KINDS.index("validation")]
    svg = pictures.draw(data)
    assert sorted(m.get("data-id") for m in marks(svg, "id")) == sorted(p.name for p in data.points)
    with pytest.raises(Exception, match="no published measurement"):
        validation([])


def test_ticks_of_a_narrow_range_differ():
    data = picture_data("tornado", estimate("llama-3.1-70b", "h100-sxm", devices=4, batch=5000, context=16))
    words = [w for w in texts(pictures.draw(data)) if re.fullmatch(r"[\d.]+", w)]
    assert len(set(words)) == len(words) > 2


def test_scales():
    assert scales.linear_ticks(0, 1) == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert scales.log_ticks(1, 1e9)[0] == 1
    log = scales.log_scale([1, 100], 0, 100, room=1)
    assert log.place(10) == pytest.approx(50)
    assert scales.linear_scale([3, 3], 0, 1).high > 3
    assert all(scales.text_width(line, 11) <= 300 for line in scales.wrapped("word " * 90 + "x" * 400, 300, 11))
    assert bar(0, 0, 1) == ""
    assert bar(0, 1e-9, 1) == "▏"


def test_plot_prints_bars_or_numbers(run):
    printed = run("plot", "waterfall", *ASK)
    assert printed.code == 0
    assert printed.out.startswith("Where the time of a step goes")
    assert "█" in printed.out
    data = json.loads(run("plot", "scaling", *ASK, "--json").out)
    assert data["at"] == [1, 2, 4, 8, 16]
    assert run("plot", "batch", *ASK, "--csv").out.startswith(
        "batch,fits,peak.tokens_per_second,before.tokens_per_second.value"
    )
    assert run("plot", "map", *ASK, "--command").out == "perfmodel plot map llama-3.1-8b sn40l --devices 8\n"
    assert "after.tokens_per_second" in run("plot", "tornado", *ASK, "--figure", "after.tokens_per_second").out


@pytest.mark.parametrize("kind", KINDS)
def test_bars_fit_a_terminal(report, kind):
    from perfmodel.report.text import to_plain

    data = report.pictures[KINDS.index(kind)]
    assert max(map(len, to_plain(document(data)).splitlines()[3:])) <= 88


def test_plot_writes_files_and_says_what_is_wrong(run, tmp_path):
    path = tmp_path / "picture.svg"
    assert run("plot", "map", *ASK, "-o", str(path)) == (0, "", "")
    parsed(path.read_text(encoding="utf-8"))
    wrong = run("plot", "watrfall", *ASK)
    assert wrong.code == 1
    assert "did you mean 'waterfall'" in wrong.err
    assert run("plot", "map", "llama-3.1-8b").code == 2
    wrong = run("plot", "map", *ASK, "-o", str(tmp_path / "picture.jpg"))
    assert wrong.code == 1
    assert wrong.err.count("\n") == 1


def test_a_png_is_drawn_or_the_extra_is_named(run, tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    done = run("plot", "waterfall", *ASK, "-o", str(path))
    if done.code == 0:
        assert path.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    done = run("plot", "waterfall", *ASK, "-o", str(tmp_path / "other.png"))
    assert done.code == 1
    assert "perfmodel[plot]" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "other.png").exists()
