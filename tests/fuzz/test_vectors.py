"""A slice of the fuzz of vector folders; the whole is `python tests/fuzz/vectors.py --count
2000`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fuzz.count import findings
from fuzz.vectors import TASK, canary, make


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="inotify, which sees what is read, is Linux's"
)
def test_damaged_vector_folders_work_or_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "inside" / "case"
    counts, found = findings(
        TASK, make, range(90), seed=1, place=place, canary=canary(tmp_path / "outside")
    )
    assert not found, "\n\n".join(found)
    assert counts["works"]
    assert counts["InputError"] > counts["works"]
