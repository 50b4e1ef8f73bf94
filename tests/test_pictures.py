"""Pictures: well-formed, labelled with units, marks as long as the numbers, nothing past the edge of the paper."""

import json
import re
import xml.etree.ElementTree as ET

import msgspec
import numpy
import pytest

from perfmodel import PerfModelError, choose, compare, estimate, request, sweep
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report.around import report_data
from perfmodel.report.bars import bar, document
from perfmodel.report.pictures import paper, scatters, waterfalls
from perfmodel.report.pictures.captions import question_line
from perfmodel.report.pictures.kinds import CHOICE_KINDS, KINDS, choices_data, picture_data
from perfmodel.report.pictures.scatters import validation
from perfmodel.report.pictures.waterfalls import waterfall
from perfmodel.report.text import to_plain
from perfmodel.specifications.catalogue import find_model

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


def texts(svg):
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text")]


def artists(axes):
    """The artists of axes and of those within them."""
    return [artist for each in (axes, *axes.child_axes) for artist in each.findobj()]


def bars_of(axes, name):
    return [patch for patch in artists(axes) if patch.get_gid() == name]


def choices(kind):
    hardware = "h100-sxm" if kind == "ladder" else "h100-sxm,sn40l"
    return choices_data(kind, "llama-3.1-8b", hardware, {} if kind == "ladder" else {"batch": "1:64:x4"})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "validation"])
def test_every_picture_is_well_formed_labelled_and_inside_its_paper(answer, kind):
    data = picture_data(kind, answer)
    svg = paper.to_svg(data)
    parsed(svg)
    words = texts(svg)
    assert any("[" in word and "]" in word for word in words)
    assert any(word.startswith("Assumptions: memory.bandwidth") for word in words)
    assert "nan" not in re.sub(r">[^<]*<", "><", svg).lower()
    assert data.rows()
    assert_inside(svg)


def assert_inside(svg):
    """All that is written lies on the paper."""
    root = parsed(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    for text in root.iter(f"{SVG}text"):
        style = dict(part.split(": ") for part in text.get("style").split("; "))
        x, y, size = float(text.get("x")), float(text.get("y")), float(style["font-size"].removesuffix("px"))
        long = paper.text_width(text.text, size) / 1.05
        start = {"start": 0, "middle": -long / 2, "end": -long}[style.get("text-anchor", "start")]
        turned = text.get("transform", "").startswith("rotate(-90")
        ends = (x, x, y - start - long, y - start) if turned else (x + start, x + start + long, y - size, y)
        assert -1 <= ends[0] <= ends[1] <= width + 1, text.text
        assert -1 <= ends[2] <= ends[3] <= height + 1, text.text


@pytest.mark.parametrize("kind", [*CHOICE_KINDS, "batch", "scaling"])
def test_pictures_of_choices_lie_inside_their_paper(kind):
    data = choices(kind)
    assert_inside(paper.to_svg(data))
    assert data.rows()
    assert max(map(len, to_plain(document(data)).splitlines()[3:])) <= 100


@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_each_picture(report, kind):
    svg = paper.to_svg(next(p for k, p in zip(KINDS, report.pictures, strict=True) if k == kind))
    assert any(UNITS[kind] in word for word in texts(svg))


def test_bars_of_the_waterfall_are_as_long_as_the_terms(answer):
    axes = answer.plot()
    factor = 1e-3 if max(answer.before.low.time_per_step, answer.after.low.time_per_step) < 1 else 1.0
    for panel, side in zip(axes.child_axes, (answer.before, answer.after), strict=True):
        found = {patch.get_gid(): patch for patch in panel.patches}
        assert found["peak"].get_width() * factor == pytest.approx(answer.peak.time_per_step)
        assert found["step"].get_width() * factor == pytest.approx(side.time_per_step)
        end = 0.0
        for term in TERM_NAMES:
            time = getattr(side.terms, term)
            assert (term in found) == (time > 0)
            if time > 0:
                assert found[term].get_x() * factor == pytest.approx(end)
                assert found[term].get_width() * factor == pytest.approx(time)
                end += time
        assert end == pytest.approx(side.time_per_step)


@pytest.mark.parametrize(("kind", "axis"), [("scaling", "devices"), ("context", "context"), ("batch", "batch")])
def test_curves_come_from_one_sweep_and_are_those_of_the_estimates(report, kind, axis):
    answer, data = report.answer, report.pictures[KINDS.index(kind)]
    for i, at in enumerate(data.at):
        each = answer.replace(**{axis: at})
        assert data.peak[i] == each.peak.tokens_per_second
        assert data.fits[i] == each.fits.fits
        assert data.speedup.values[i] == each.speedup.value
        ends = (data.speedup.low[i], data.speedup.high[i])
        assert ends == pytest.approx((each.speedup.low, each.speedup.high), rel=1e-12)
        for side, rates, shares in (
            (each.before, data.before, data.before_fraction),
            (each.after, data.after, data.after_fraction),
        ):
            assert rates.values[i] == side.tokens_per_second
            ends = (side.low.tokens_per_second, side.high.tokens_per_second)
            assert (rates.low[i], rates.high[i]) == pytest.approx(ends, rel=1e-12)
            assert shares.values[i] == side.fraction_of_peak
    drawn = [line.get_xydata() for panel in answer.plot(kind).child_axes for line in panel.lines]
    assert any(numpy.array_equal(line, list(zip(data.at, data.after.values, strict=True))) for line in drawn)


def test_every_cell_of_the_map_shows_its_number(report):
    data = report.pictures[KINDS.index("map")]
    axes = report.answer.plot("map")
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    for i, context in enumerate(data.contexts):
        for j, batch in enumerate(data.batches):
            assert cells[j, i] == f"{report.answer.replace(batch=batch, context=context).speedup.value:.2f}"


def test_what_does_not_fit_is_seen():
    answer = estimate("llama-3.1-405b", "rtx-4090")
    assert any("does not fit" in word for word in texts(paper.to_svg(waterfall(answer))))
    for kind in ("batch", "context", "map"):
        svg = paper.to_svg(picture_data(kind, answer))
        assert any("does not fit" in word or "do not fit" in word for word in texts(svg)), kind
        assert "<pattern" in svg  # hatched, so that no colour is needed


def test_bars_of_the_tornado_are_in_proportion(report):
    data, axes = report.pictures[KINDS.index("tornado")], report.answer.plot("tornado")
    for each in data.bars:
        for end in ("low", "high"):
            value = getattr(each, f"at_{end}")
            drawn = bars_of(axes, f"{each.name} {end}")
            assert len(drawn) == (value != data.value)
            assert all(patch.get_width() == pytest.approx(value - data.value) for patch in drawn)


def test_points_of_the_roofline_lie_under_the_sustained_roofs(answer):
    data = picture_data("roofline", answer)
    assert sum(p.share for p in data.points) == pytest.approx(1)
    for point in data.points:
        assert point.rate <= min(point.intensity * data.bandwidth, data.sustained_rate) * (1 + 1e-9)
    assert data.step_rates[0] <= data.step_rates[2]


def test_black_and_white_tells_terms_curves_and_bands_apart(report):
    hatches = [paint.hatch for name, paint in waterfalls.TERM_PAINTS.items() if name not in ("peak", "stream")]
    assert len(set(hatches)) == len(hatches)
    assert all(hatches)
    assert paper.BEFORE.dash != paper.AFTER.dash
    assert paper.BEFORE.hatch != paper.AFTER.hatch
    assert len({(look.marker, look.hatch) for look in paper.SERIES}) == len(paper.SERIES)
    assert paper.to_svg(report.pictures[KINDS.index("context")]).count("<pattern") == 1


def test_names_are_escaped():
    name = '<script>alert("x")</script>&\x01 $x_2$ 模型'
    evil = estimate(msgspec.structs.replace(find_model("llama-3.1-8b"), name=name), "sn40l")
    words = texts(paper.to_svg(waterfall(evil)))
    assert any('<script>alert("x")</script>& ' in word and "$x_2$ 模型" in word for word in words)
    assert question_line(evil)


def test_validation_has_each_measurement(report):
    data, axes = report.pictures[KINDS.index("validation")], report.answer.plot("validation")
    drawn = [tuple(point) for line in axes.lines if line.get_marker() != "None" for point in line.get_xydata()]
    assert sorted(drawn) == sorted((p.measured, p.predicted) for p in data.points)
    with pytest.raises(PerfModelError, match="no published measurement"):
        validation([])


def test_looped_and_megakernels_are_classes_of_their_own():
    rows = [row for row in scatters.all_rows() if row.mode in ("looped", "megakernel", "eager")]
    groups = {name: points for name, points, _ in validation(rows).groups()}
    assert {"looped", "megakernel"} < set(groups)
    assert sum(map(len, groups.values())) == len(validation(rows).points)


def test_ticks_of_a_narrow_range_differ():
    data = picture_data("tornado", estimate("llama-3.1-70b", "h100-sxm", devices=4, batch=5000, context=16))
    words = [w for w in texts(paper.to_svg(data)) if re.fullmatch(r"[\d.]+", w)]
    assert len(set(words)) == len(words) > 2


def test_text_is_measured_wrapped_and_cut():
    lines = paper.wrapped("word " * 90 + "x" * 400, 300, 11)
    assert all(paper.text_width(line, 11) <= 301 for line in lines)
    assert " ".join(lines).startswith("word " * 90)
    assert paper.shortened("a long name", 40).endswith("...")
    assert bar(0, 0, 1) == ""
    assert bar(0, 1e-9, 1) == "▏"


def test_the_same_picture_is_the_same_file():
    data = waterfall(estimate("llama-3.1-8b", "sn40l"))
    for written in (paper.to_svg, paper.to_png, paper.to_pdf):
        assert written(data) == written(data)
    svg = paper.to_svg(data)
    assert "<text" in svg
    assert not re.search(r"metadata|DejaVu Sans', 'Bitstream|\d{4}-\d\d-\d\d", svg)


def test_plot_gives_axes_and_leaves_the_settings_of_matplotlib_alone():
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    before = dict(rcParams)
    answer = estimate("llama-3.1-8b", "sn40l", devices=8)
    figure = Figure(figsize=(12, 9), layout="constrained")
    given = figure.subplots(2, 2)
    for axes, kind in zip(given.flat, ("waterfall", "batch", "tornado", "map"), strict=True):
        assert answer.plot(kind, axes) is axes
    assert given[0, 0].get_title(loc="left") == "Where the time of a step goes"
    assert answer.plot("batch", batch="1:64:x4", title="mine").figure.texts[0].get_text() == "mine"
    assert not answer.plot("batch", title="", caption=False).figure.texts
    found = sweep("llama-3.1-8b", "h100-sxm,sn40l", batch="1:64:x4")
    assert len(found.plot().child_axes) == 2
    beside = compare("llama-3.1-8b", "h100-sxm,sn40l")
    assert beside.plot().get_xlabel() == "rate [tok/s, all sequences]"
    assert beside.plot("pareto").get_xlabel() == "rate per user [tok/s]"
    chosen = choose("llama-3.1-8b", "h100-sxm,b200", devices="1,2", batch="1:64:x8", rank="user")
    assert len(chosen.plot().texts) >= len(chosen.choices) > 1  # an arrow for each
    assert dict(rcParams) == before
    for wrong in (lambda: answer.plot("watrfall"), lambda: beside.plot("batch"), lambda: found.plot("model")):
        with pytest.raises(PerfModelError, match="plot"):
            wrong()
    with pytest.raises(PerfModelError, match="2 to 100,000 points"):
        sweep("llama-3.1-8b", "sn40l").plot()


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
    bare = run("plot", "waterfall", *ASK, "--no-caption", "--title", "Mine").out
    assert bare.startswith("Mine\n\n      ")


def test_axes_are_as_asked(run):
    found = json.loads(run("plot", "scaling", *ASK[:2], "--devices", "1:32:x2", "--json").out)
    assert found["at"] == [1, 2, 4, 8, 16, 32]
    found = json.loads(run("plot", "context", *ASK, "--context", "1k:16k:x2", "--json").out)
    assert found["at"] == [1024, 2048, 4096, 8192, 16384]
    found = json.loads(run("plot", "map", *ASK, "--context", "1k,16k,64k", "--batch", "1:9:+4", "--json").out)
    assert (found["batches"], found["contexts"]) == ([1, 5, 9], [1024, 16384, 65536])


def test_several_machines_stand_in_one_picture(run):
    found = json.loads(run("plot", "batch", "llama-3.1-8b", "h100-sxm,b200", "--batch", "1,8", "--json").out)
    assert [line["name"] for line in found["lines"]] == ["h100-sxm", "b200"]
    assert found["at"] == [1, 8]
    assert found["lines"][1]["after"][1] == estimate("llama-3.1-8b", "b200", batch=8).after.tokens_per_second
    found = json.loads(run("plot", "context", "llama-3.1-8b", "sn40l", "--devices", "1,8", "--json").out)
    assert [line["name"] for line in found["lines"]] == ["1 device", "8 devices"]
    assert found["at"][-1] == 131_072
    ladder = json.loads(run("plot", "ladder", "llama-3.2-1b", "h100-sxm", "--json").out)
    assert ladder["bars"][0]["gain"] is None
    for below, above in zip(ladder["bars"], ladder["bars"][1:], strict=False):
        assert above["gain"] == pytest.approx(above["rate"] / below["rate"])
    front = json.loads(run("plot", "pareto", "llama-3.1-8b", "h100-sxm,b200", "--batch", "1,8,64", "--json").out)
    kept = [(p["rate_per_user"], p["rate"]) for p in front["points"] if p["front"]]
    assert kept
    assert all(not (a[0] > b[0] and a[1] > b[1]) for a in kept for b in kept)


@pytest.mark.parametrize("kind", KINDS)
def test_bars_fit_a_terminal(report, kind):
    data = report.pictures[KINDS.index(kind)]
    assert max(map(len, to_plain(document(data)).splitlines()[3:])) <= 88


def test_a_front_of_what_choose_lists(run):
    """The numbers of the picture are those of the command, in its order; without limits on devices it tries 16."""
    words = ("llama-3.1-8b", "h100-sxm,b200", "--tpot", "5ms", "--weights", "bf16,fp8", "--most", "9")
    listed = json.loads(run("choose", *words, "--json").out)
    drawn = json.loads(run("plot", "choose", *words, "--json").out)
    assert len(drawn["points"]) == len(listed) == 9
    assert {choice["devices"] for choice in listed} - {1}
    for point, choice in zip(drawn["points"], listed, strict=True):
        assert point["rate_per_user"] == choice["before"]["tokens_per_second_per_sequence"]
        assert point["looped"][1] == choice["after"]["tokens_per_second_per_device"]
        assert point["front"] == choice["front"]
    assert "at most 5 ms a token" in drawn["caption"]["question"]


def test_bars_of_a_request(run):
    words = ("llama-3.1-8b", "h100-sxm", "--prompt", "1k", "--generate", "64", "--batch", "8")
    answer = json.loads(run("request", *words, "--json").out)
    drawn = json.loads(run("plot", "request", *words, "--json").out)
    for drawn_bar in drawn["bars"]:
        side = answer[drawn_bar["side"]]
        assert [drawn_bar[name] for name in ("time_to_first_token", "time", "low", "high")] == [
            side["time_to_first_token"], side["time"], side["high"]["time"], side["low"]["time"],
        ]  # fmt: skip
    axes = request("llama-3.1-8b", "h100-sxm", prompt=1024, generate=64, batch=8).plot()
    widths = {patch.get_gid(): patch.get_width() for patch in axes.patches if patch.get_gid()}
    for side in ("before", "after"):
        first, whole = answer[side]["time_to_first_token"], answer[side]["time"]
        share = widths[f"{side} first"] / (widths[f"{side} first"] + widths[f"{side} further"])
        assert share == pytest.approx(first / whole)


def test_plot_writes_files(run, tmp_path):
    for ending, start in (("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        path = tmp_path / f"picture.{ending}"
        assert run("plot", "map", *ASK, "-o", str(path)) == (0, "", "")
        assert path.read_bytes().startswith(start)
    parsed((tmp_path / "picture.svg").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("watrfall", *ASK), 1, "did you mean 'waterfall'"),
        (("map", "llama-3.1-8b"), 2, "needs MODEL and HARDWARE"),
        (("map", *ASK, "-o", "picture.jpg"), 1, ".pdf"),
        (("waterfall", "llama-3.1-8b", "h100-sxm,b200"), 2, "HARDWARE takes one value"),
        (("tornado", *ASK, "--batch", "1,8"), 2, "batch takes one value"),
        (("compare", *ASK), 1, "nothing beside it"),
        (("pareto", *ASK), 1, "has no front"),
        (("choose", *ASK[:2], "--devices", "8", "--batch", "1", "--tpot", "1us"), 1, "no choice keeps the limits"),
        (("choose", *ASK[:2], "--generate", "8"), 2, "plot request has"),
        (("batch", *ASK, "--tpot", "5ms"), 2, "plot choose has"),
        (("request", *ASK, "--prompt", "1k"), 2, "--generate"),
        (("request", *ASK, "--prompt", "1k", "--generate", "8", "--batch", "1,2"), 2, "batch takes one value"),
        (("scaling", *ASK[:2], "--devices", "0:8:+2"), 1, "--devices"),
    ],
)
def test_wrong_plots_say_what_would_be_right(run, words, code, says):
    wrong = run("plot", *words)
    assert wrong.code == code
    assert wrong.out == ""
    assert says in wrong.err
    assert wrong.err.count("\n") == 1
