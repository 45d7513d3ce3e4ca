from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearfield.data.readers.trec import read_run, trec_judgements
from nearfield.errors import InputError


def test_qrels(tmp_path: Path) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text("q1 0 d1 2\nq1\t0\td2   0\n\nq2 Q0 d1 -1\nq2 Q0 d1 -1\n")
    assert list(trec_judgements(path)) == [("q1", "d1", 2), ("q1", "d2", 0), ("q2", "d1", -1)]


def test_a_run_is_ordered_by_score(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    path.write_text(
        "q1 Q0 d1 2 0.5 tag\nq1 Q0 d2 1 0.9 tag\nq1 Q0 d3 3 0.5 tag\nq2 Q0 d3 1 -1e3 tag\n"
    )
    ranking = read_run(path)
    assert list(ranking.query_ids) == ["q1", "q2"]
    assert [name for name, _ in ranking.of(0)] == ["d2", "d1", "d3"]
    assert ranking.of(1) == [("d3", -1000.0)]
    assert ranking.documents.dtype == np.int64
    assert ranking.documents[1].tolist()[1:] == [-1, -1]
    assert np.isneginf(ranking.scores[1, 1:]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 d1 1 0.5 tag\n", r"a\.run:1: has 5 fields; wanted 6 fields"),
        ("q1 Q0 d1 1 high tag\n", r"a\.run:1: the score is 'high'"),
        ("q1 Q0 d1 1 nan tag\n", r"a\.run:1: the score is 'nan'"),
        ("q1 Q0 d1 first 1 tag\n", r"a\.run:1: the rank is 'first'"),
        ("q1 Q0 d1 1 2 t\nq1 Q0 d1 2 1 t\n", "query 'q1' ranks a document twice"),
        ("", "the file is empty"),
    ],
)
def test_a_wrong_run(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.run").write_text(text)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path / "a.run")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        list(trec_judgements(tmp_path / "no.txt"))
    with pytest.raises(InputError, match="is not a regular file"):
        list(trec_judgements(tmp_path))
