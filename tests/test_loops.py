"""The loop finder: hand-written expectations, and properties over random sequences."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.schedule.loops import find_loops


def cut(text):
    return [(text[run.start : run.start + run.body], run.count) for run in find_loops(text)]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ("", []),
        ("e", [("e", 1)]),
        ("e" + "d" * 32 + "cs", [("e", 1), ("d", 32), ("c", 1), ("s", 1)]),
        # DeepSeek-V3: three dense layers, then 58 with experts.
        ("e" + "d" * 3 + "m" * 58 + "cs", [("e", 1), ("d", 3), ("m", 58), ("c", 1), ("s", 1)]),
        # Gemma 3 27B: five local layers to one global, 62 layers in all.
        ("e" + "lllllg" * 10 + "ll" + "cs", [("e", 1), ("lllllg", 10), ("l", 2), ("c", 1), ("s", 1)]),
        # Jamba: four blocks of eight.
        ("e" + "mMmMaMmM" * 4 + "cs", [("e", 1), ("mMmMaMmM", 4), ("c", 1), ("s", 1)]),
        # A tie in calls and bodies goes to the loop that starts first.
        ("ababa", [("ab", 2), ("a", 1)]),
        # Fewest calls win over the shortest first body.
        ("aabaab", [("aab", 2)]),
    ],
)
def test_known_sequences(calls, expected):
    assert cut(calls) == expected


@given(st.text(alphabet="abc", max_size=40))
@settings(max_examples=300, deadline=None)
def test_unrolled_loops_give_back_the_calls(calls):
    runs = find_loops(calls)
    assert "".join(calls[r.start : r.start + r.body] * r.count for r in runs) == calls
    assert [r.start for r in runs[1:]] == [r.stop for r in runs[:-1]]


def fewest(calls, known):
    """The fewest runs, by trying every first run: slow and plainly right."""
    if not calls:
        return 0, 0
    if calls not in known:
        options = []
        for size in range(1, len(calls) + 1):
            for body in range(1, size + 1):
                if (
                    size % body == 0
                    and calls[:size] == calls[:body] * (size // body)
                    and (size // body > 1 or size == 1)
                ):
                    rest = fewest(calls[size:], known)
                    options.append((rest[0] + 1, rest[1] + body))
        known[calls] = min(options)
    return known[calls]


@given(st.text(alphabet="ab", max_size=14))
@settings(max_examples=200, deadline=None)
def test_no_cut_leaves_fewer_calls_or_shorter_bodies(calls):
    runs = find_loops(calls)
    assert (len(runs), sum(r.body for r in runs)) == fewest(calls, {})


@given(st.text(alphabet="abcd", min_size=1, max_size=6), st.integers(2, 20))
def test_a_repeated_body_is_one_run(body, count):
    runs = find_loops(body * count)
    assert len(runs) == 1
    assert runs[0].body <= len(body)
