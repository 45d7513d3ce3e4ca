"""Sides take turns, ratios are of one round, and a side in another process answers or says
why not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from interleave import Child, SideError, interleaved, ratios, timed

SIDE = """
import sys
sys.path.insert(0, {folder!r})
from interleave import serve

def answer(request):
    print("noise on standard output")
    if request["do"] == "fail":
        raise ValueError("no such model")
    if request["do"] == "end":
        sys.exit(3)
    return {{"twice": 2 * request["value"]}}

serve(answer)
"""


def test_sides_take_turns_in_both_orders() -> None:
    turns: list[str] = []

    def side(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    seconds = interleaved({name: lambda name=name: side(name) for name in "abc"}, 2, rest=0.0)
    assert turns == ["a", "b", "c", "c", "b", "a"]
    assert seconds == {"a": [1.0, 6.0], "b": [2.0, 5.0], "c": [3.0, 4.0]}


def test_ratios_are_taken_within_a_round() -> None:
    found = ratios({"ours": [1.0, 2.0, 4.0], "peer": [2.0, 6.0, 4.0]}, "peer")
    assert found["ours"] == {"ratio": 2.0, "least": 1.0, "greatest": 3.0}
    assert found["peer"] == {"ratio": 1.0, "least": 1.0, "greatest": 1.0}


def test_timed() -> None:
    assert timed(lambda: None)() >= 0.0


def test_a_child_answers_and_says_why_it_does_not(repository: Path) -> None:
    child = Child([sys.executable, "-c", SIDE.format(folder=str(repository / "benchmarks"))])
    assert child.ask(do="double", value=21) == {"twice": 42}
    with pytest.raises(SideError, match="ValueError: no such model"):
        child.ask(do="fail")
    assert child.ask(do="double", value=2) == {"twice": 4}, "a failure is an answer, not the end"
    with pytest.raises(SideError, match="exit code 3"):
        child.ask(do="end")
    child.close()
