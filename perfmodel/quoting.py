"""Names of strangers in texts of ours: one function for each place that text goes to.

A model, a device or a kernel may be called anything at all. Nothing in a name runs as a program, ends a comment or a
cell, moves the cursor of a terminal or is a formula to a spreadsheet: what is not for reading is shown as its code.
"""

import re
from functools import lru_cache

# Controls of both sets, what reorders or hides the letters around it, line ends that are no newline, half surrogates.
_HIDDEN = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f"
    "\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
# Signs of Markdown; an underscore inside a word is none.
_MARKDOWN = r"[\\`*\[\]|]|^#|^~|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{letter: f"\\{letter}" for letter in "#$%&_{}"},
}
# What a spreadsheet takes for the beginning of a formula, behind spaces too; tabs and returns before anything are one.
_FORMULA = ("=", "+", "-", "@")


@lru_cache(maxsize=2)
def _unseen(also: str = "") -> re.Pattern[str]:
    """Return the pattern of what is not shown, and of what `also` names; of so many letters it takes long to make."""
    return re.compile(f"[{also}{_HIDDEN}]")


def terminal(text: str) -> str:
    r"""Return text for a terminal, a pipe or a text file: lines and tabs stay, all other controls are shown as codes.

    >>> terminal("gemm" + chr(27) + "[2J")
    'gemm\\x1b[2J'
    """
    # A text of letters that all can be seen is most of them, and needs no pattern.
    return text if text.replace("\n", "").isprintable() else _unseen().sub(_code, text)


def line(text: str) -> str:
    r"""Return text for one line of a terminal, a comment of a program or of LaTeX, or a cell of a table.

    >>> line("one" + chr(10) + "import os")
    'one\\nimport os'
    """
    return text if text.isprintable() else _unseen("\\t\\n").sub(_code, text)


def python(text: str) -> str:
    """Return the Python expression, in one line, whose value is `text`.

    >>> print(python(chr(34) * 3 + " + exit() #"))
    '\"\"\" + exit() #'
    """
    return repr(text)


def shell(text: str) -> str:
    r"""Return the word of a shell, in one line, that stands for `text`.

    >>> print(shell("a b"), shell("it's"), shell("one" + chr(10) + "two"))
    'a b' 'it'"'"'s' $'one\ntwo'
    """
    import shlex

    if line(text) != text:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"$'{line(escaped)}'"
    return shlex.quote(text)


def latex(text: str) -> str:
    r"""Return LaTeX that prints `text` in one line, outside formulas.

    >>> print(latex("a_b 50 %"))
    a\_b 50 \%
    """
    return "".join(_LATEX.get(letter, letter) for letter in line(text))


def markup(text: str) -> str:
    """Return HTML or SVG that shows `text`, between tags or inside a quoted attribute.

    >>> markup('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    import html  # with a table of two thousand names that no other output needs

    return html.escape(terminal(text), quote=True)


def markdown(text: str) -> str:
    r"""Return Markdown that shows `text` in one line, in a cell of a table too.

    >>> print(markdown("a|b *c* <d>"))
    a\|b \*c\* &lt;d&gt;
    """
    safe = re.sub(_MARKDOWN, r"\\\g<0>", line(text))
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return `value` as JSON that may be shown in a terminal. Raises ValueError for a number that is not finite."""
    import json

    written = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return written if written.replace("\n", "").isprintable() else _unseen().sub(_json_code, written)


def toml(text: str) -> str:
    r"""Return a TOML document in which each letter that is not shown stands as its escape, as quoted texts have it.

    >>> print(toml('title = "one' + chr(0x202E) + '"'))
    title = "one\u202e"
    """
    return _unseen().sub(_toml_code, text)


def cell(text: str) -> str:
    """Return a text for a cell of a CSV file, before the quotes of CSV: no spreadsheet takes it for a formula.

    >>> cell("=HYPERLINK(1)")
    "'=HYPERLINK(1)"
    """
    shown = terminal(text)
    read = text.lstrip()
    spaces = text[: len(text) - len(read)]
    return f"'{shown}" if read.startswith(_FORMULA) or "\t" in spaces or "\r" in spaces else shown


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(number)
    return short or (
        f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    )


def _toml_code(match: re.Match[str]) -> str:
    number = ord(match[0])
    if 0xD800 <= number < 0xE000:  # half a letter, for which TOML has no escape
        return "\ufffd"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _json_code(match: re.Match[str]) -> str:
    import json

    return json.dumps(match[0])[1:-1]
