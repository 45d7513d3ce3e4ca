"""The doctor in one line, on any source."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.data.new_split import split
from nearfield.errors import InputError
from nearfield.evaluate.examine import examine
from nearfield.types.finding import Findings

ROWS = [{"query": f"question {at} of many", "positive": f"answer {at}"} for at in range(30)]


def test_any_source_is_examined(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("query,positive\na b c d,p\na b c d,q\n")
    found = examine(tmp_path / "x.csv")
    assert isinstance(found, Findings)
    assert "nan" not in str(found)
    again = examine([*ROWS, {"query": "nan", "positive": "NULL"}])
    assert "missing-value-texts" in [finding.check for finding in again]
    assert "warning: missing-value-texts (2 of " in str(again)
    with pytest.raises(InputError, match="wanted"):
        examine(3)


def test_with_a_model_its_facts_are_looked_at(minilm: Path) -> None:
    long = [{"query": "q", "positive": "word " * 2000}, {"query": "r", "positive": "s"}]
    assert "truncated-texts" not in [finding.check for finding in examine(long)]
    assert "truncated-texts" in [finding.check for finding in examine(long, model=str(minilm))]


def test_any_source_is_split_and_keeps_its_split() -> None:
    cut = split(ROWS)
    assert cut.splits == ("train", "dev", "test")
    assert split(ROWS[::-1]).splits == cut.splits
    places = {row["query"]: row["split"] for row in cut.judgements.to_pylist()}
    again = split(ROWS[::-1]).judgements.to_pylist()
    assert places == {row["query"]: row["split"] for row in again}
    other = split(ROWS, {"train": 0.5, "test": 0.5})
    assert (other.splits, "here alone" in other.cut) == (("train", "test"), True)
    carved = split({"train": ROWS[:20], "test": ROWS[20:]}, dev=0.2)
    assert carved.splits == ("train", "dev", "test")
    with pytest.raises(InputError, match="give one of them"):
        split(ROWS, {"train": 0.5, "test": 0.5}, dev=0.2)
