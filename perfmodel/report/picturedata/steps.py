"""One step: where its time goes, and which assumption moves it."""

from perfmodel.analysis.sensitivities import sensitivity
from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.results import Side
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report.picturedata.captions import caption_of, question_line
from perfmodel.report.picturedata.records import SideBars, Tornado, TornadoBar, Waterfall
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.specifications.profiles import find_profile, with_profile
from perfmodel.units import format_quantity


def waterfall(answer: Estimate) -> Waterfall:
    """Return the terms of both sides."""

    def bars(side: Side) -> SideBars:
        terms = tuple(float(getattr(side.terms, name)) for name in TERM_NAMES)
        return SideBars(
            side.mode, terms, side.time_per_step, side.high.time_per_step, side.low.time_per_step, side.kernel_calls
        )

    speedup = (answer.speedup.value, answer.speedup.low, answer.speedup.high)
    return Waterfall(
        caption_of(question_line(answer), [answer]),
        answer.peak.time_per_step,
        bars(answer.before),
        bars(answer.after),
        speedup,
    )


def tornado(answer: Estimate, figure: str = "speedup", most: int = 12) -> Tornado:
    """Return the assumptions that move `figure`, the most first, at most `most` of them."""
    arguments = dict(answer.asked.arguments)
    profile = arguments.pop("profile", None)
    if profile is not None:
        hardware = arguments["hardware"]
        arguments["hardware"] = with_profile(
            find_hardware(hardware) if isinstance(hardware, str) else hardware, find_profile(profile)
        )
    found = sensitivity(**arguments, figure=figure)
    bars = tuple(
        TornadoBar(
            i.name, format_quantity(i.low, i.unit, 3), format_quantity(i.high, i.unit, 3), i.at_low, i.at_high, i.share
        )
        for i in found.influences
        if i.swing > 0
    )
    return Tornado(
        caption_of(question_line(answer), [answer]),
        found.figure,
        found.unit,
        found.value,
        found.low,
        found.high,
        bars[:most],
    )
