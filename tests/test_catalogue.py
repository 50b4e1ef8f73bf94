"""The catalogues as wholes: every file reads, every value has a source, every name is where it should be."""

import pytest

from perfmodel._layout import data_folder
from perfmodel.estimates.answers import estimate
from perfmodel.operations import parameter_count
from perfmodel.specifications.catalogue import find_hardware, find_model, names
from perfmodel.specifications.parameters import KINDS


@pytest.mark.parametrize("name", names("hardware"))
def test_a_device_answers_in_all_its_modes(name):
    hardware = find_hardware(name)
    assert hardware.name == name
    assert "looped" in hardware.modes
    assert all(q.source.strip() and q.kind in KINDS and q.low <= q.value <= q.high for q in hardware.values.values())
    for mode in hardware.modes:
        answer = estimate("llama-3.2-1b", hardware, before=mode, after=mode)
        assert 0 < answer.before.fraction_of_peak < 1
        assert answer.speedup.value == pytest.approx(1)


@pytest.mark.parametrize("name", names("models"))
def test_a_model_answers_and_has_its_published_parameters(name):
    model = find_model(name)
    assert model.name == name
    assert model.source.strip()
    assert 0 < estimate(model, "h100-sxm").after.fraction_of_peak < 1
    if model.published_parameters is not None:
        assert parameter_count(model) == pytest.approx(model.published_parameters, rel=0.005)


def test_a_name_is_found_by_its_alias():
    for kind, find in (("hardware", find_hardware), ("models", find_model)):
        for name in names(kind):
            for alias in find(name).aliases:
                assert find(alias).name == name


def test_every_architecture_default_states_its_sources():
    for path in (data_folder("hardware") / "architectures").glob("*.toml"):
        assert "source" in path.read_text(encoding="utf-8") or "inherits" in path.read_text(encoding="utf-8")
