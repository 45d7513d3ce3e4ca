from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.data.readers.trec import trec_judgements
from nearfield.errors import InputError


def test_qrels(tmp_path: Path) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text("q1 0 d1 2\nq1\t0\td2   0\n\nq2 Q0 d1 -1\nq2 Q0 d1 -1\n")
    assert list(trec_judgements(path)) == [("q1", "d1", 2), ("q1", "d2", 0), ("q2", "d1", -1)]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        list(trec_judgements(tmp_path / "no.txt"))
    with pytest.raises(InputError, match="is not a regular file"):
        list(trec_judgements(tmp_path))
