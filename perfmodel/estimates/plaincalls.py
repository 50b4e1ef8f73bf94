"""What one plain call takes: streaming and arithmetic together, padded rows, and kernels for few tokens."""

from collections.abc import Iterator

from perfmodel import equations
from perfmodel.estimates.counts import StageCounts
from perfmodel.estimates.machinerates import Rates
from perfmodel.numbers.choices import Number, added


def call_time(stage: StageCounts, streaming: Number, arithmetic: Number, rates: Rates) -> Number:
    """Return the time of streaming and arithmetic of a plain call together [s], from those of each."""
    prompt = rates.prompt
    if prompt is None:
        return equations.plain_call_time(streaming, arithmetic, added=rates.added)
    share = None if rates.added is None else equations.prompt_added(rates.added, stage.tokens)
    written = stage.unpacked / rates.bandwidths[-1]
    how = (streaming, written, prompt.unpacked, stage.tokens)
    call = equations.plain_call_time(equations.unpacked_streaming(*how), arithmetic, added=share)
    return call + equations.unpacking_time(*how)


def for_few(stage: StageCounts, rates: Rates) -> Iterator[Number]:
    """Yield what further sequences, and further tokens of each, add to a plain call whose kernels are for few [s]."""
    if rates.columns is not None and stage.matrix == "matrix" and rates.prompt is None:
        yield rates.columns.time(stage)
    if rates.few is not None and stage.further is not None:
        yield rates.few.time(stage, rates.bandwidths)


def call_flops(stage: StageCounts, rates: Rates) -> Number:
    """Return the operations of a plain call [FLOP], with rows padded to a tile where its kernels do that."""
    if rates.tile is None or not stage.matrix:
        return stage.flops
    most = rates.apart if rates.apart is not None and stage.matrix == "experts" else rates.most
    taken_over = 1 if most is None else equations.taken_over(stage.new, most)
    return equations.padded_flops(stage.flops, stage.rows_at_work(), rates.tile, taken_over)


def read_again(stage: StageCounts, rates: Rates) -> Number:
    """Return the time to read experts again [s] that several tokens chose, one after the other."""
    taken_over = equations.taken_over(stage.new, rates.apart)
    pairs = zip(stage.each, stage.late, strict=True)
    return added(
        [
            equations.experts_read_again(each, distinct, stage.new, taken_over) / rates.bandwidths[position]
            for (position, each), (_, distinct) in pairs
        ]
    )
