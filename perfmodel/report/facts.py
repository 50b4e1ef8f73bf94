"""What stands beside an answer, said once; text lays it out as a table, a page as lines."""

import msgspec

from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.costs import power_and_rental
from perfmodel.report.pictures.captions import counted, rate_unit
from perfmodel.report.words import percent
from perfmodel.units import format_quantity


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand beside an answer, each found by its own room.

    widest: the assumption with the largest share in the variance of the speed-up, and that share [-].
    """

    widest: tuple[str, float] | None = None


def beside_of(answer: Estimate) -> Beside:
    """Return all that may stand beside an answer.

    What it asks loads here, so that a document alone needs none of it.
    """
    from perfmodel.analysis.sensitivities import widest_of

    return Beside(widest=widest_of(answer))


def how_sure(answer: Estimate) -> str:
    """Return how far the answer may be trusted, and which measurements nearby speak against it."""
    against = [one.id for one in answer.nearby if one.inside is False]
    text = f"How sure: {answer.evidence.text}."
    if not against:
        return text
    of = len(answer.nearby)
    few = "the one measurement nearby lies" if of == 1 else f"{len(against)} of {of} measurements nearby lie"
    return f"{text} Against it: {few} outside what is predicted for them ({', '.join(against)})."


def measured_nearby(answer: Estimate) -> list[tuple[str, str, str]]:
    """Return each measurement near the question as what was measured, a step, and its source."""
    return [
        (
            f"{one.weight_format}, batch {one.batch}, context {one.context:,}: {one.engine}",
            format_quantity(one.time_per_step, "s") + (", outside" if one.inside is False else ""),
            one.source,
        )
        for one in answer.nearby
    ]


def facts(answer: Estimate, beside: Beside) -> list[tuple[str, str]]:
    """Return what is said beside the figures, as name and text: peak, memory, loops, energy, price, widest."""
    peak = (
        f"{format_quantity(answer.peak.time_per_step, 's')}, {answer.peak.tokens_per_second:,.4g} {rate_unit(answer)}"
    )
    told = [("peak", f"{peak}: {answer.bytes_per_step / 1e9:,.4g} GB a step"), ("memory", _memory(answer))]
    told += [
        ("loop", f"{' + '.join(loop.body)} x {loop.count}" + (f", layers {loop.layers}" if loop.layers else ""))
        for loop in answer.loops
    ]
    told += _cost(answer, counted(answer))
    if beside.widest is not None:
        told.append(("widest", f"{beside.widest[0]}: {percent(beside.widest[1])} of the speed-up's variance"))
    return told


def _memory(answer: Estimate) -> str:
    fits = answer.fits
    needed = f"{fits.bytes_needed / 1e9:.2f} of {fits.bytes_available / 1e9:.2f} GB on each device"
    fewest = ""
    if fits.devices_needed is not None:
        fewest = f"; {fits.devices_needed} {'device is' if fits.devices_needed == 1 else 'devices are'} enough"
    return f"{'fits' if fits.fits else 'does not fit'}: {needed}{fewest}"


def _cost(answer: Estimate, unit: str) -> list[tuple[str, str]]:
    told, energy, price = [], answer.energy, answer.price
    if energy.before is not None and energy.after is not None:
        before, after = (format_quantity(each / 1e6, "J") for each in (energy.before, energy.after))
        told.append(("energy", f"at most {before} a {unit} before, {after} after, at the power limit"))
    if price.before is not None and price.after is not None:
        _, rental = power_and_rental(answer.prepared.hardware)
        sums = f"{price.before:,.4g} USD for a million {unit}s before, {price.after:,.4g} after"
        told.append(("price", f"{sums}, at {rental} a device"))
    return told
