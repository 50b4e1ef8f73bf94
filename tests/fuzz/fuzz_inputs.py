"""Changed copies of small files: bytes, numbers, JSON values, lines and words, each the same for the same seed."""

import json
import random
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
ODD_NUMBERS = ["9" * 50, "9" * 5000, "1." + "0" * 5000, ""]
ODD_NUMBERS += "0 -0 -1 1 2 1.5 1e-320 1e-30 1e30 1e308 1e309 -1e309 1e999999999 nan NaN inf -inf Infinity".split()
ODD_NUMBERS += "9223372036854775808 18446744073709551616 0x10 1_000 1,000 ٣ 1e 1..2 .5 5. +1".split()
ODD_TEXTS = [
    "",
    " ",
    "\t",
    "\0",
    "\n",
    "\r",
    "\x1b[31m",
    "'",
    '"',
    "\\",
    "../..",
    "/dev/null",
    "é",
    "模型",
    "😀",
    "\ud800",
]
ODD_TEXTS += [
    "%s",
    "{}",
    "[]",
    "null",
    "true",
    "a" * 300,
    "a" * 70_000,
    "=1+1",
    "$(id)",
    "<script>",
    "a,b",
    "a=b",
    "a:b",
]
ODD_TEXTS += ["-", "--", "." * 100, "a.b.c", "1:2:x2", "1:9:3", "1k", "4k..8k"]
ODD_VALUES = [None, True, False, 0, -1, 1, 2, 3, 0.5, -0.0, 1e308, 10**30, 10**400, float("nan"), float("inf"), "", "x"]
ODD_VALUES += ["1", [], {}, [[]], [None], {"": None}, {"a": {}}, [1, 2, 3], ["a", "b"], "bfloat16", "é" * 3]


def seeds(target: str) -> list[bytes]:
    """Return the small files of a target, by name."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def mutated(data: bytes, others: list[bytes], random_: random.Random) -> bytes:
    """Return `data` changed in one to a few places; `others`: files that parts may come from."""
    for _ in range(random_.choice((1, 1, 1, 2, 3, 6))):
        change = random_.choice(_CHANGES)
        data = change(data, others, random_)
    return data[:400_000]


def _flipped(data: bytes, _others: list[bytes], random_: random.Random) -> bytes:
    if not data:
        return b"\xff"
    place = random_.randrange(len(data))
    return data[:place] + bytes([random_.randrange(256)]) + data[place + 1 :]


def _cut(data: bytes, _others: list[bytes], random_: random.Random) -> bytes:
    place = random_.randrange(len(data) + 1)
    return random_.choice((data[:place], data[place:], data[:place] + data[place + random_.randrange(1, 200) :]))


def _repeated(data: bytes, _others: list[bytes], random_: random.Random) -> bytes:
    a, b = sorted(random_.randrange(len(data) + 1) for _ in range(2))
    return data[:b] + data[a:b] * random_.choice((1, 2, 10)) + data[b:]


def _spliced(data: bytes, others: list[bytes], random_: random.Random) -> bytes:
    other = random_.choice(others)
    a, b = random_.randrange(len(data) + 1), random_.randrange(len(other) + 1)
    return data[:a] + other[b:]


def _inserted(data: bytes, _others: list[bytes], random_: random.Random) -> bytes:
    place = random_.randrange(len(data) + 1)
    odd = random_.choice(ODD_TEXTS + ODD_NUMBERS).encode("utf-8", "surrogatepass")
    return data[:place] + odd + data[place:]


def _other_number(data: bytes, _others: list[bytes], random_: random.Random) -> bytes:
    """Put an odd number where one stands."""
    starts = [i for i in range(len(data)) if data[i : i + 1].isdigit() and not data[max(0, i - 1) : i].isdigit()]
    if not starts:
        return data
    start = stop = random_.choice(starts)
    while stop < len(data) and data[stop : stop + 1] in b"0123456789.eE+-_":
        stop += 1
    return data[:start] + random_.choice(ODD_NUMBERS).encode() + data[stop:]


def _other_line(data: bytes, others: list[bytes], random_: random.Random) -> bytes:
    """Leave out, repeat, move or borrow a line."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return data
    i, j = random_.randrange(len(lines)), random_.randrange(len(lines))
    what = random_.randrange(4)
    if what == 0:
        del lines[i]
    elif what == 1:
        lines.insert(j, lines[i])
    elif what == 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        lines.insert(i, random_.choice(random_.choice(others).splitlines(keepends=True) or [b""]))
    return b"".join(lines)


def _other_value(data: bytes, _others: list[bytes], random_: random.Random) -> bytes:
    """Change a value, or leave out or rename a key, somewhere in a JSON text."""
    try:
        root = json.loads(data)
    except (ValueError, RecursionError):
        return _other_number(data, _others, random_)
    holders: list[object] = []
    left = [root]
    while left and len(holders) < 2_000:
        one = left.pop()
        if isinstance(one, dict | list) and one:
            holders.append(one)
            left += one.values() if isinstance(one, dict) else one
    if not holders:
        return json.dumps(random_.choice(ODD_VALUES)).encode()
    holder = random_.choice(holders)
    key = random_.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    what = random_.randrange(5)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[random_.choice(ODD_TEXTS[:30])] = holder.pop(key)
    elif what == 2 and isinstance(holder, list):
        holder += holder[: random_.choice((1, 10, 100))]
    else:
        holder[key] = random_.choice(ODD_VALUES)
    try:
        return json.dumps(root).encode()
    except ValueError:
        return data


_CHANGES = (
    *(_flipped, _cut, _repeated, _spliced, _inserted, _other_line),
    *(_other_number, _other_number, _other_value, _other_value),
)
