"""HTML fragments for notebooks."""

from html import escape

from perfmodel.report.answer import document
from perfmodel.report.text import Table
from perfmodel.results import Estimate


def estimate_fragment(answer: Estimate) -> str:
    """Return an Estimate as an HTML fragment: the same parts as the text, as paragraphs and tables."""
    return "\n".join(_table(part) if isinstance(part, Table) else f"<p>{escape(part)}</p>" for part in document(answer).parts)


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
