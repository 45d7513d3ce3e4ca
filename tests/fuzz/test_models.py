"""A slice of the fuzz of model folders; `python tests/fuzz/models.py` is the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.count import findings
from fuzz.models import Cases

COUNT = 52  # two of each kind


def test_a_slice_of_the_fuzz_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    cases = Cases(tmp_path / "models")
    numbers = range(-len(cases.ways), COUNT)  # first each kind as it is, which must work
    place = tmp_path / "inside" / "case"
    counts, found = findings(
        "fuzz.models:attempt",
        cases.make,
        numbers,
        seed=1,
        place=place,
        canary=cases.canary(),
        seconds=120,
    )
    assert found == []
    assert counts["works"] >= len(cases.ways)
