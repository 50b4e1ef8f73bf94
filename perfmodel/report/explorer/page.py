"""The explorer's page: one file that holds data, code and looks, and asks nothing of anybody."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from perfmodel._layout import __version__
from perfmodel.errors import UsageError
from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.drafting import acceptance_of
from perfmodel.estimates.options import OPTION
from perfmodel.operations.parallel import Parallel
from perfmodel.report.explorer.cases import drafters
from perfmodel.report.explorer.tables import explorer_data
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model

# What is chosen from where nothing is named: models and machines that people ask about most.
MODELS = (
    "llama-3.2-1b llama-3.1-8b llama-3.1-70b llama-3.1-405b mistral-7b mixtral-8x7b qwen3-0.6b qwen3-8b qwen3-32b"
    " qwen3-30b-a3b qwen2.5-7b deepseek-v3 gpt-oss-20b gpt-oss-120b gemma-3-4b gemma-3-27b phi-4 kimi-k2 llama-2-7b"
    " llama-2-70b"
).split()
MACHINES = (
    "h100-sxm h200-sxm b200 gh200 a100-sxm-80gb h20 l40s rtx-3090 rtx-4090 rtx-5090 mi300x mi355x dgx-spark strix-halo"
    " m2-ultra m4-max gaudi-3 tpu-v6e trainium2 sn40l"
).split()
# What of a question the page cannot ask; it would show another answer.
_NOT_ASKED = (
    *("prompt", "chunk", "loop_at_most", "loop_only", "offload", "measured"),
    *("after_software", "after_profile"),
)
# What stands fast in the page: it goes into the command line as it was given.
_FAST = ("weights", "kv", "profile", "software", "calls")
_HERE = Path(__file__).parent
_STYLES = ("uPlot.min.css", "part.css")
_SCRIPTS = ("uPlot.iife.min.js", "engine.js", "question.js", "page.js")


class PageQuestion(NamedTuple):
    """A question as the page asks it.

    machine: with what stands fast there; question: what it shows first; options: what stands fast, by the names of
    options; parameters: likewise settings by their paths.
    """

    model: Model
    machine: Hardware
    question: dict[str, Any]
    options: dict[str, str]
    parameters: dict[str, Any]


def explorer_page(
    models: Sequence[Model],
    machines: Sequence[Hardware],
    question: Mapping[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
) -> str:
    """Return the page as one HTML text that needs no network.

    question: what it shows first: model, machine, software, devices, batch, context, before, after, drafter, draft,
    acceptance. options: weights and kv of all models, None as published. links: other pages beside it, by their titles.
    Raises PerfModelError where no model can be asked on any machine.
    """
    fixed = {"options": dict(options or {}), "parameters": {}}
    return _page(models, machines, {"question": dict(question or {}), "fixed": fixed}, links or {})


def _page(
    models: Sequence[Model], machines: Sequence[Hardware], beside: Mapping[str, Any], links: Mapping[str, str]
) -> str:
    parts = explorer_parts(models, machines, beside)
    listed = "".join(f'<a href="{escape(target)}">{escape(title)}</a>' for title, target in links.items())
    marks = {
        "@STYLE@": _part("shell.css") + parts.style,
        "@VERSION@": __version__,
        "@LINKS@": f'<nav aria-label="Documents">{listed}</nav>' if links else "",
        "@PART@": parts.body.replace("h3", "h2"),
        "@DATA@": parts.data,
        "@SCRIPT@": parts.policy,
        "@CODE@": parts.code,
    }
    page = _part("page.html")
    for mark, text in marks.items():
        page = page.replace(mark, text, 1)
    return page


class Parts(NamedTuple):
    """What a page is made of: style, body, packed data, code, and the hash of the code for the page's policy."""

    style: str
    body: str
    data: str
    code: str
    policy: str


def explorer_parts(models: Sequence[Model], machines: Sequence[Hardware], beside: Mapping[str, Any]) -> Parts:
    """Return the explorer for models and machines, as parts of any page.

    beside: what it shows first, and what stands fast.
    """
    options = beside["fixed"]["options"]
    data = {**explorer_data(models, machines, options.get("weights"), options.get("kv")), **beside}
    packed = gzip.compress(json.dumps(data, separators=(",", ":"), allow_nan=False).encode(), 9, mtime=0)
    code = "\n".join(map(_part, _SCRIPTS))
    policy = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return Parts("".join(map(_part, _STYLES)), _part("part.html"), base64.b64encode(packed).decode(), code, policy)


class Explorer(NamedTuple):
    """A page that a notebook shows in a frame: it needs no server. html: the page; height: of the frame [px]."""

    html: str
    height: int = 900

    def _repr_html_(self) -> str:
        page = escape(self.html, quote=True)
        style = f"width:100%;height:{self.height}px;border:0"
        return f'<iframe srcdoc="{page}" style="{style}" title="perfmodel explorer"></iframe>'


def explored(answer: Estimate) -> Explorer:
    """Return the explorer for the model and the device of an answer, at its question.

    Raises UsageError for a question that the page cannot ask.
    """
    asked = asked_of(answer)
    return Explorer(_page([asked.model], [asked.machine], _beside(asked), {}))


def parts_of(answer: Estimate) -> Parts:
    """Return the explorer for an answer, as parts of its report; raise UsageError as `explored` does."""
    asked = asked_of(answer)
    return explorer_parts([asked.model], [asked.machine], _beside(asked))


def _beside(asked: PageQuestion) -> dict[str, Any]:
    # A frame, and a report, have no address to share.
    return {
        "question": asked.question,
        "fixed": {"options": asked.options, "parameters": asked.parameters},
        "shares": False,
    }


def asked_of(answer: Estimate) -> PageQuestion:
    """Return the question of an answer as the page asks it; raise UsageError where it cannot."""
    asked, given = answer.asked, answer.asked.arguments
    refused = [OPTION[name].flag for name in _NOT_ASKED if given[name]]
    if asked.parallel != Parallel(tensor=asked.parallel.tensor):
        refused.append("--parallel other than tp")
    draft = asked.draft
    if draft is not None and draft.drafter not in drafters(asked.model):
        refused.append(f"--drafter {draft.drafter}")
    if refused:
        raise UsageError(f"explore: the page cannot ask {', '.join(refused)}; ask without")
    # With a profile or settings the device stands as it is; else any software can be chosen on the page.
    changed = any(given[name] for name in ("profile", "parameters", "calls"))
    device = given["hardware"]
    machine = answer.prepared.hardware if changed else find_hardware(device) if isinstance(device, str) else device
    question = {
        "model": answer.model,
        "machine": answer.hardware,
        "software": asked.hardware.software,
        "devices": answer.devices,
        "batch": answer.batch,
        "context": answer.context,
        "before": answer.before.mode,
        "after": answer.after.mode,
    }
    if draft is not None:
        acceptance = given["acceptance"] or acceptance_of(draft.accepted, draft.tokens)
        question |= {"drafter": draft.drafter, "draft": draft.tokens, "acceptance": acceptance}
    options = {name: str(given[name]) for name in _FAST if given[name] and (changed or name != "software")}
    return PageQuestion(
        asked.model, machine, question, options, {path: str(v) for path, v in (given["parameters"] or {}).items()}
    )


def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
