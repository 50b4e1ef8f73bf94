"""The options of a question: one table, which the command line, Python, sweeps and studies read.

Each is an argument of `perfmodel.estimate`, an option of every command that asks, and, where it may differ from point
to point, an axis of `perfmodel.sweep`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from perfmodel.errors import UnknownNameError, nearest, shown
from perfmodel.units import LARGEST_BATCH, LONGEST_CONTEXT, MOST_CALLS, MOST_DEVICES, MOST_DRAFTS, MOST_ITERATIONS

if TYPE_CHECKING:
    from perfmodel.operations.parallel import Parallel


_SOFTWARE = frozenset("before after loop_at_most loop_only software profile after_software after_profile calls".split())


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option of a question.

    name: the argument of `estimate`; the option is the same word behind --, with dashes.
    kind: what it takes: count, number, tokens (a count in which k is 1,024), format, weights, mode, profile, text or
    settings.
    default: what it is where it is not given; shown: what the help says of that default where it depends.
    least, most: bounds of a count or number [-].
    axis: whether a sweep takes several values of it.
    """

    name: str
    kind: str
    help: str
    default: Any = None
    metavar: str | None = None
    shown: str | None = None
    least: int = 0
    most: int = 0
    axis: bool = False

    @property
    def group(self) -> str:
        """Return what the option is about, as the help groups options."""
        if self.name in _SOFTWARE:
            return "Software"
        return "What-if" if self.name in ("parameters", "measured") else "Question"

    @property
    def flag(self) -> str:
        """Return the option as the command line spells it."""
        return "--set" if self.kind == "settings" else f"--{self.name.replace('_', '-')}"


OPTIONS: tuple[Option, ...] = (
    Option(
        name="devices",
        kind="count",
        metavar="N",
        least=1,
        most=MOST_DEVICES,
        shown="all of a system, else 1",
        help="How many devices share the work.",
        axis=True,
    ),
    Option(
        name="batch",
        kind="count",
        metavar="N",
        default=1,
        least=1,
        most=LARGEST_BATCH,
        help="Sequences that a step serves at once.",
        axis=True,
    ),
    Option(
        name="context",
        kind="tokens",
        metavar="N",
        most=LONGEST_CONTEXT,
        shown="4096, with --prompt 0",
        help="Tokens that each sequence has in the cache before the step; 4k is 4,096.",
        axis=True,
    ),
    Option(
        name="weights",
        kind="weights",
        metavar="F|PART=F+PART=F",
        help="Storage format of the weights, or of parts: attention, dense, experts, shared, head, embedding.",
        axis=True,
    ),
    Option(
        name="kv",
        kind="format",
        metavar="FORMAT",
        help="Storage format of the cache; the published one if not given.",
        axis=True,
    ),
    Option(
        name="before",
        kind="mode",
        metavar="MODE",
        help="How kernels are launched today, such as graph; the device's own mode if not given.",
        axis=True,
    ),
    Option(
        name="after", kind="mode", default="looped", metavar="MODE", help="How they are launched instead.", axis=True
    ),
    Option(
        name="draft",
        kind="count",
        default=0,
        most=MOST_DRAFTS,
        metavar="K",
        help="Speculative decoding: tokens that are proposed in a step and verified in one pass.",
        axis=True,
    ),
    Option(
        name="accepted",
        kind="number",
        most=MOST_DRAFTS,
        metavar="A",
        help="How many of the K drafts are accepted on average: acceptance length less the model's own token.",
        axis=True,
    ),
    Option(
        name="acceptance",
        kind="number",
        most=1,
        metavar="P",
        help="In place of --accepted: the chance that a draft is accepted if those before it are.",
    ),
    Option(
        name="drafter",
        kind="text",
        metavar="DRAFTER",
        help="What drafts: mtp or eagle (a head on the model's layers), ngram, a smaller MODEL, an EAGLE config.",
    ),
    Option(
        name="prompt",
        kind="tokens",
        least=1,
        most=LONGEST_CONTEXT,
        metavar="N",
        help="Tokens of a prompt, whose time to the first token is asked too; --context is what is cached before it.",
    ),
    Option(
        name="chunk",
        kind="tokens",
        least=1,
        most=LONGEST_CONTEXT,
        metavar="C",
        help="Most tokens of the prompt that one step takes; all of them if not given.",
    ),
    Option(
        name="decoding",
        kind="text",
        metavar="B[:CONTEXT]",
        help="Sequences that decode beside each chunk, in the same steps, each with CONTEXT tokens (4k) in the cache.",
    ),
    Option(
        name="parallel",
        kind="text",
        metavar="tp=N,ep=N,pp=N,dp=N",
        help="How devices share the work: tp splits each matrix, dp attention's batch, pp layers; ep spreads experts.",
    ),
    Option(
        name="loop_at_most",
        kind="count",
        least=1,
        most=MOST_ITERATIONS,
        metavar="K",
        help="Most iterations that one looped call may hold; no limit if not given.",
    ),
    Option(
        name="loop_only",
        kind="text",
        metavar="CALL,FIRST-LAST",
        help="Loop these calls or layers only, named as perfmodel loops prints them.",
    ),
    Option(
        name="offload",
        kind="text",
        metavar="TIER|PART=TIER",
        help="A slower memory for what does not fit, or by parts: host, kv=host:0.5, experts=host:compute.",
    ),
    Option(
        name="software",
        kind="text",
        metavar="KIND[-YEAR]",
        shown="the device's, else engine",
        help="Kind of software: engine, framework, server, ggml, python or compiled, of a year or the newest.",
    ),
    Option(
        name="profile",
        kind="profile",
        metavar="PROFILE",
        help="What a software stack does differently: a name in profiles/ or a TOML file.",
    ),
    Option(
        name="after_software",
        kind="text",
        metavar="KIND[-YEAR]",
        shown="as before",
        help="Kind of software of the after side, where another takes over.",
    ),
    Option(
        name="after_profile",
        kind="profile",
        metavar="PROFILE",
        shown="as before",
        help="What the after side's stack does differently, in place of --profile.",
    ),
    Option(
        name="calls",
        kind="count",
        least=1,
        most=MOST_CALLS,
        metavar="N",
        help="Kernel calls of a step on one device before, as counted; those of the model's operations if not given.",
    ),
    Option(
        name="measured",
        kind="text",
        metavar="TIME|RATE",
        help="The before side as measured: 6.4ms, or 150tok/s summed over the batch; the rest follows from it.",
    ),
    Option(
        name="parameters",
        kind="settings",
        metavar="KEY=VALUE",
        help="Change an assumption. KEY is its name in the answer; VALUE is exact (5us) or a range (5us..8us).",
    ),
)
# Tokens in the cache where nothing is said.
USUAL_CONTEXT = 4096
OPTION = {option.name: option for option in OPTIONS}
_DEFAULTS = {option.name: option.default for option in OPTIONS}
AXES = tuple(option.name for option in OPTIONS if option.axis)


class _SameEverywhere(TypedDict, total=False):
    """The options of a question that are no axes, with their types."""

    acceptance: float | None
    drafter: str | None
    prompt: int | None
    chunk: int | None
    decoding: str | None
    parallel: "str | Mapping[str, Any] | Parallel | None"
    loop_at_most: int | None
    loop_only: str | None
    offload: str | None
    software: str | None
    profile: str | None
    after_software: str | None
    after_profile: str | None
    calls: int | None
    measured: str | None
    parameters: Mapping[str, Any] | None


class Asked(_SameEverywhere, total=False):
    """The options of a question with their types, for functions that hand them on; a test compares it with OPTIONS."""

    devices: int | None
    batch: int
    context: int | None
    weights: str | None
    kv: str | None
    before: str | None
    after: str
    draft: int
    accepted: float | None


class AskedGrid(_SameEverywhere, total=False):
    """The options of a sweep, as `Asked`: those that are axes hold a value, a sequence, or a text such as 1:64:x2."""

    devices: Any
    batch: Any
    context: Any
    weights: Any
    kv: Any
    before: Any
    after: Any
    draft: Any
    accepted: Any


def complete(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return every option: as asked, else its default; raise UnknownNameError for a name that is no option."""
    if not asked.keys() <= _DEFAULTS.keys():
        name = next(name for name in asked if name not in OPTION)
        raise UnknownNameError(f"{shown(name)} is not an option of a question{nearest(name, OPTION)}")
    given = {**_DEFAULTS, **asked}
    if given["context"] is None:
        given["context"] = USUAL_CONTEXT if given["prompt"] is None else 0
    return given
