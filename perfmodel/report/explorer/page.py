"""The explorer's page: one file that holds data, code and looks, and asks nothing of anybody."""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from perfmodel._layout import __version__
from perfmodel.errors import UsageError
from perfmodel.estimates.answers import Estimate
from perfmodel.report.explorer.recordings import explorer_data
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
_HERE = Path(__file__).parent


def explorer_page(models: Sequence[Model], machines: Sequence[Hardware], question: dict[str, Any] | None = None) -> str:
    """Return the page as one HTML text that needs no network.

    question: what it shows first: model, machine, devices, batch, context, before, after.
    Raises PerfModelError where no model can be asked on any machine.
    """
    data = explorer_data(models, machines) | {"question": question or {}}
    packed = gzip.compress(json.dumps(data, separators=(",", ":"), allow_nan=False).encode(), 9, mtime=0)
    code = "\n".join(_part(name) for name in ("uPlot.iife.min.js", "engine.js", "page.js"))
    parts = {
        "@STYLE@": _part("uPlot.min.css") + _part("page.css"),
        "@VERSION@": __version__,
        "@DATA@": base64.b64encode(packed).decode(),
        "@SCRIPT@": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        "@CODE@": code,
    }
    page = _part("page.html")
    for mark, text in parts.items():
        page = page.replace(mark, text, 1)
    return page


class Explorer(NamedTuple):
    """A page that a notebook shows in a frame: it needs no server. html: the page; height: of the frame [px]."""

    html: str
    height: int = 900

    def _repr_html_(self) -> str:
        page = escape(self.html, quote=True)
        style = f"width:100%;height:{self.height}px;border:0"
        return f'<iframe srcdoc="{page}" style="{style}" title="perfmodel explorer"></iframe>'


def explored(answer: Estimate) -> Explorer:
    """Return the explorer for the model and the device of an answer, at its question."""
    asked, machine = answer.asked, answer.prepared.hardware
    if answer.prepared.after.hardware is not machine:
        raise UsageError("explore: the page has one software for both sides; leave out --after-software and its like")
    question = {
        "model": answer.model,
        "machine": answer.hardware,
        "devices": answer.devices,
        "batch": answer.batch,
        "context": answer.context,
        "before": answer.before.mode,
        "after": answer.after.mode,
    }
    return Explorer(explorer_page([asked.model], [machine], question))


def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
