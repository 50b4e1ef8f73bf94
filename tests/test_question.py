"""One question: every signature and every command's options come from the one table of options."""

import inspect
from typing import get_type_hints

import pytest
import typer

from perfmodel import advise, choose, compare, estimate, explain, request, sensitivity, solve, sweep
from perfmodel._layout import load_command_line
from perfmodel.analysis.conditional import conditional_report
from perfmodel.errors import UnknownNameError, ValueRangeError
from perfmodel.estimates.options import AXES, OPTION, OPTIONS, Asked, AskedGrid
from perfmodel.estimates.question import read_question
from perfmodel.measurements.discrepancies import explain_gap
from perfmodel.sweeps.columnkinds import KEYS
from perfmodel.traces.pricing import price_trace

QUESTION = ("llama-3.1-8b", "h100-sxm")
# Options without a meaning for a command that asks, by command: a recording has one launch mode, given by --mode;
# advice changes today's side; conditions are those of the looped side.
EXCEPTIONS = {
    "trace": {"before", "after"},
    "advise": {"after", "after_software", "after_profile"},
    "conditional": {"before", "calls"},
}
COMMANDS = set(
    "estimate compare sweep solve sensitivity explain plot report explain-gap conditional trace choose advise "
    "request".split()
)


def test_the_signature_of_estimate_is_the_table():
    given = inspect.signature(estimate).parameters
    assert {name: p.default for name, p in given.items() if p.kind is p.KEYWORD_ONLY} == {
        option.name: option.default for option in OPTIONS
    }
    assert set(Asked.__annotations__) == set(AskedGrid.__annotations__) == set(OPTION)
    assert ("model", "hardware", *AXES) == KEYS


@pytest.mark.parametrize(
    "function",
    [
        advise,
        choose,
        compare,
        explain,
        request,
        sensitivity,
        solve,
        sweep,
        conditional_report,
        explain_gap,
        price_trace,
    ],
)
def test_functions_that_ask_hand_the_options_on(function):
    last = list(inspect.signature(function).parameters.values())[-1]
    assert last.kind is last.VAR_KEYWORD
    assert not set(inspect.signature(function).parameters) & (set(OPTION) - {"parameters"})
    hints = get_type_hints(function)
    assert set(hints[last.name].__args__[0].__annotations__) == set(OPTION)


def test_commands_that_ask_have_every_option():
    command_line = load_command_line()
    command_line.register_commands()
    commands = typer.main.get_command(command_line.app).commands
    flags = {option.flag for option in OPTIONS}
    asking = set()
    for word, command in commands.items():
        known = {flag for parameter in command.params for flag in parameter.opts}
        if "--context" in known:
            asking.add(word)
            assert flags - known == {OPTION[name].flag for name in EXCEPTIONS.get(word, ())}, word
    assert asking == COMMANDS


def test_an_option_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'bach' is not an option of a question.*'batch'"):
        solve(*QUESTION, unknown="boundary", target="speedup=1.2", bach=2)


def test_a_question_is_complete_and_checked():
    question = read_question(*QUESTION, devices=8, parallel="tp=4,dp=2", parameters={"memory.bandwidth": "4TB/s"})
    assert (question.batch, question.context, question.before, question.after) == (1, 4096, "graph", "looped")
    assert question.parallel.devices == 8
    assert question.hardware.values["memory.bandwidth"].value == 4e12
    assert question.arguments["model"] == QUESTION[0]
    with pytest.raises(ValueRangeError, match="context: -1 is not a whole number from 0"):
        read_question(*QUESTION, context=-1)


def test_an_answer_keeps_its_question_and_can_be_asked_again():
    answer = estimate(*QUESTION, batch=3)
    again = answer.replace(batch=4)
    assert (again.batch, again.asked.arguments["batch"]) == (4, 4)
    assert answer.prepared is again.prepared
    assert not {"asked", "prepared"} & set(answer.to_dict())


def test_offload_reaches_sweeps_point_by_point():
    found = sweep("llama-3.1-70b", "rtx-4090", offload="host", batch="1,8", context="1k,4k")
    for row in found.rows():
        alone = estimate("llama-3.1-70b", "rtx-4090", offload="host", batch=row["batch"], context=row["context"])
        assert row["after.time_per_step"] == pytest.approx(alone.after.time_per_step, rel=1e-12)
        assert row["speedup.low"] == pytest.approx(alone.speedup.low, rel=1e-12)


def test_explain_gap_asks_the_question_as_it_is_shared():
    split = explain_gap(*QUESTION, 4e-3, devices=8, parallel="tp=4,dp=2")
    assert split.predicted == estimate(*QUESTION, devices=8, parallel="tp=4,dp=2").before.time_per_step
    together = split.together.values
    assert together is not None
    reached = estimate(*QUESTION, devices=8, parallel="tp=4,dp=2", parameters=together).before.time_per_step
    assert reached == pytest.approx(4e-3, rel=1e-3)


@pytest.mark.parametrize("offload", ["weights=host:0.2", "kv=host:0.5"])
def test_explain_gap_knows_what_a_slower_tier_sustains(offload):
    split = explain_gap(*QUESTION, 0.1, offload=offload)
    assert split.predicted == estimate(*QUESTION, offload=offload).before.time_per_step
    assert ("tiers.host.sustained" in {path for gap in split.alone for path in gap.values or ()}) == (
        "weights" in offload
    )
