"""What a machine sustains, what serialises its calls, and what calls and steps cost: records of numbers of any kind."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from perfmodel import equations
from perfmodel.estimates.counts import Further, StageCounts
from perfmodel.numbers.choices import added, larger

Number = Any


class Route(msgspec.Struct, frozen=True):
    """A way to do a collective: alpha [s] (C2), g(n) [-], and the bandwidth of its links [B/s]."""

    latency: Number
    traffic_factor: float
    bandwidth: Number


class Rates(msgspec.Struct, frozen=True):
    """What the machine sustains.

    bandwidths [B/s] by kind, and beta [B/s]; arithmetic [FLOP/s] and its share; the legs of each collective, each with
    its routes; of plain calls the rows of a tile [-] and the share of the shorter of streaming and arithmetic that is
    added [-], the most tokens [-] that kernels for few take, and of those with routed experts, which read them for each
    token apart; None where nothing is known of them.
    """

    bandwidths: tuple[Number, ...]
    datasheet_bandwidth: Number
    arithmetic: Number
    arithmetic_share: Number
    collectives: tuple[tuple[tuple[Route, ...], ...], ...]
    tile: Number = None
    added: Number = None
    prompt: "PromptRates | None" = None
    few: "FewTokens | None" = None
    columns: "Columns | None" = None
    most: Number = None
    apart: Number = None

    def call_time(self, stage: StageCounts, streaming: Number, arithmetic: Number) -> Number:
        """Return the time of streaming and arithmetic of a plain call together [s], from those of each."""
        prompt = self.prompt
        if prompt is None:
            return equations.plain_call_time(streaming, arithmetic, added=self.added)
        share = None if self.added is None else equations.prompt_added(self.added, stage.tokens)
        written = stage.unpacked / self.bandwidths[-1]
        how = (streaming, written, prompt.unpacked, stage.tokens)
        call = equations.plain_call_time(equations.unpacked_streaming(*how), arithmetic, added=share)
        return call + equations.unpacking_time(*how)

    def call_flops(self, stage: StageCounts) -> Number:
        """Return the operations of a plain call [FLOP], with rows padded to a tile where its kernels do that."""
        if self.tile is None or not stage.matrix:
            return stage.flops
        most = self.apart if self.apart is not None and stage.matrix == "experts" else self.most
        taken_over = 1 if most is None else equations.taken_over(stage.new, most)
        return equations.padded_flops(stage.flops, stage.rows_at_work(), self.tile, taken_over)

    def read_again(self, stage: StageCounts) -> Number:
        """Return the time to read experts again [s] that several tokens chose, one after the other."""
        return added([again / self.bandwidths[position] for position, again in stage.read_again(self.apart)])

    def for_few(self, stage: StageCounts) -> Iterator[Number]:
        """Yield what further sequences, and further tokens of each, add to a call whose kernels are for few [s]."""
        if self.columns is not None and stage.matrix == "matrix" and self.prompt is None:
            yield self.columns.time(stage)
        if self.few is not None and stage.further is not None:
            yield self.few.time(stage, self.bandwidths)


class Columns(msgspec.Struct, frozen=True):
    """What kernels for few sequences take for each further one (D3, D6).

    The most tokens that they take [-], the operations in vector units for each of a matrix [-], and the rate of these
    [FLOP/s].
    """

    most: Number
    operations: Number
    rate: Number

    def time(self, stage: StageCounts) -> Number:
        """Return what sequences after the first add to the time of a stage with a matrix [s]."""
        further = equations.further_tokens(self.most, 1, larger(stage.rows / stage.tokens, 1))
        token = stage.flops / stage.rows
        return equations.further_tokens_time(further, 0.0, 0.0, token, self.operations, self.rate)


class FewTokens(msgspec.Struct, frozen=True):
    """What kernels for few tokens take for each (D6).

    The share of streaming its weights [-], and the operations in vector units for each of a matrix [-], and their rate
    [FLOP/s].
    """

    token: Number
    operations: Number
    rate: Number

    def time(self, stage: StageCounts, bandwidths: tuple[Number, ...]) -> Number:
        """Return what further tokens of a sequence add to the time of a stage [s]."""
        streaming = equations.streaming_time(stage.weights, bandwidths)
        return equations.further_tokens_time(
            stage.further, streaming, self.token, stage.matrix_flops, self.operations, self.rate
        )


class PromptRates(msgspec.Struct, frozen=True):
    """What arithmetic of a prompt sustains (T3).

    The rate of its matrices [FLOP/s] and the share of it that many rows reach [-], the rows at which half of that is
    reached [-]; the rate that its attention reaches [FLOP/s]; the
    rate at which they take all the power there is [FLOP/s]; the share of blocks that is unpacked before [-].
    """

    rate: Number
    share: Number
    half: Number
    attention: Number
    power_rate: Number
    unpacked: Number


class Chain(msgspec.Struct, frozen=True):
    """What serialises calls.

    Of fused ones: stage cost [s], prefetch room [B], share of arithmetic that overlaps [-]; share of collectives that
    any call hides [-]. Besides: what a plain call loses with a matrix and with experts, a stage with a matrix, the host
    for each sequence [s]; on-chip memory [B], None where it is not known or nothing is held.
    """

    stage: Number
    prefetch: Number
    overlap: Number
    collective_overlap: Number
    matrix: Number = 0.0
    experts: Number = 0.0
    stage_matrix: Number = 0.0
    sequence: Number = 0.0
    room: Number = None


class Fixed(msgspec.Struct, frozen=True):
    """What each call and each step costs: boundary, first bytes of a fused call, host per step, host per call [s].

    calls: kernel calls of a step as they were counted [-], None for those of the plan; factor: on the time of all, None
    for none [-]; planning: what of the host's time plans steps [s], beside: share of it that may run beside the
    device's work [-], None for none.
    """

    boundary: Number
    first_bytes: Number
    host: Number
    issue: Number
    calls: Number = None
    factor: Number = None
    planning: Number = 0.0
    beside: Number = None


class Costs(NamedTuple):
    """All that one side takes from its machine; further: None where a step has one token a sequence."""

    rates: Rates
    chain: Chain
    fixed: Fixed
    further: Further | None
