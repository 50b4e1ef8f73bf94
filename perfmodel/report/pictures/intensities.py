"""The numbers of the roofline: where each operation of a step lies under the roofs of one device."""

from collections.abc import Sequence

from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.figures import costs_at
from perfmodel.estimates.placement import Placement
from perfmodel.numbers.choices import added
from perfmodel.operations import Operation, decode_step
from perfmodel.report.pictures.captions import caption_of, question_line
from perfmodel.report.pictures.rooflines import Roofline, RooflinePoint

_SAME_INTENSITY = 1.12


def roofline(answer: Estimate) -> Roofline:
    """Return the operations of the step on the roofs of one device."""
    question = answer.prepared
    plan, rates = question.before.plan, costs_at(question.before, {}).rates
    bandwidth_of = dict(zip(plan.kinds, rates.bandwidths, strict=True))
    tokens, sequences = question.parallel.tokens(answer.batch), question.parallel.sequences(answer.batch)
    found: list[tuple[str, float, float, float]] = []  # name, flops, bytes, time
    for operation in decode_step(
        question.model, question.formats, question.parallel, question.hardware.replicates
    ).all_operations():
        sizes = _bytes_by_kind(operation, tokens, sequences, answer.context, question.placement)
        flops = float(operation.work.flops_at(sequences, answer.context))
        size = added(sizes.values())
        if flops and size:
            arithmetic = flops / (rates.arithmetic * rates.arithmetic_share)
            found.append(
                (
                    operation.name,
                    flops,
                    size,
                    max(added(part / bandwidth_of[kind] for kind, part in sizes.items()), arithmetic),
                )
            )
    values = question.hardware.values
    used = next(
        path
        for path in question.before.parameters.used
        if path.startswith("arithmetic.") and path != "arithmetic.sustained"
    ).removeprefix("arithmetic.")
    offered = {
        p.removeprefix("arithmetic."): q.value
        for p, q in values.items()
        if p.startswith("arithmetic.") and p != "arithmetic.sustained" and not p.endswith("-sparse")
    }
    others = sorted(((name, rate) for name, rate in offered.items() if name != used), key=lambda pair: -pair[1])
    flops, size = answer.flops_per_step / answer.devices, answer.bytes_per_step / answer.devices
    times = (answer.before.time_per_step, answer.after.time_per_step, answer.peak.time_per_step)
    return Roofline(
        caption_of(question_line(answer), answer.assumptions),
        answer.hardware,
        rates.datasheet_bandwidth,
        rates.bandwidths[0],
        ((used, offered[used]), *others),
        rates.arithmetic * rates.arithmetic_share,
        _grouped(found),
        flops / size,
        (flops / times[0], flops / times[1], flops / times[2]),
        (answer.before.mode, answer.after.mode),
    )


def _bytes_by_kind(
    operation: Operation, tokens: int, sequences: int, context: int, placement: Placement | None
) -> dict[str, float]:
    """Bytes of an operation called on its own [B]."""
    work = operation.work if placement is None else placement.work(operation.work)
    sizes = {kind: float(size) for kind, size in work.weights}
    for bank in work.experts:
        sizes[bank.kind] = sizes.get(bank.kind, 0.0) + float(bank.bytes_read(tokens))
    sizes["kv"] = float(work.cache_bytes(sequences, context))
    sizes["activations"] = sequences * float(work.activations + operation.reads + operation.writes)
    return {kind: size for kind, size in sizes.items() if size}


def _grouped(operations: Sequence[tuple[str, float, float, float]]) -> tuple[RooflinePoint, ...]:
    """Operations of one name together, then those of alike intensity, most bytes first."""
    named: dict[str, tuple[float, float, float]] = {}
    for name, flops, size, time in operations:
        before = named.get(name, (0.0, 0.0, 0.0))
        named[name] = (before[0] + flops, before[1] + size, before[2] + time)
    total = added(size for _, size, _ in named.values())
    groups: list[list[tuple[str, tuple[float, float, float]]]] = []
    for entry in sorted(named.items(), key=lambda item: item[1][0] / item[1][1]):
        intensity = entry[1][0] / entry[1][1]
        if groups and intensity < _SAME_INTENSITY * groups[-1][0][1][0] / groups[-1][0][1][1]:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    points = []
    for group in groups:
        flops, size, time = (added(numbers[i] for _, numbers in group) for i in range(3))
        names = tuple(name for name, _ in sorted(group, key=lambda item: -item[1][1]))
        points.append(RooflinePoint(names, flops / size, flops / time, size / total))
    return tuple(points)
