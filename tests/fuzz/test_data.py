"""A slice of the fuzz of data files: one damaged input of most kinds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fuzz.count import findings
from fuzz.data import make
from fuzz.worker import Canary


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits and FIFOs are of Unix")
def test_damaged_data_is_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    canary = Canary(tmp_path / "outside")
    counts, found = findings(
        "fuzz.data:attempt",
        make,
        range(40),
        seed=1,
        place=tmp_path / "inside" / "case",
        canary=canary,
    )
    assert not found, "\n\n".join(found)
    assert set(counts) >= {"works", "InputError"}
