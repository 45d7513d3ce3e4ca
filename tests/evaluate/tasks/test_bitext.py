"""Bitext mining against scikit-learn's F1, as MTEB computes it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, f1_score

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.evaluate.compare import compare
from nearfield.evaluate.task import Options


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """120 sentences; the translation of each keeps some of its words, and some are repeated."""
    random = np.random.default_rng(11)
    rows = []
    for _ in range(120):
        words = [f"w{word}" for word in random.integers(0, 60, 6)]
        other = words[: int(random.integers(1, 6))] + ["x"] * int(random.integers(0, 3))
        rows.append({"query": " ".join(words), "positive": " ".join(other)})
    return Pairs.from_table(pa.Table.from_pylist(rows), name="translations")


@pytest.mark.parametrize("cells", [4_000_000, 700])
def test_the_means_are_scikit_learns(
    bag: Encoder, pairs: Pairs, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nearfield.evaluate.tasks.bitext._CELLS", cells)
    options = Options(dims=(64, 32), storages=("float32", "int8"))
    table = compare([bag], pairs, task="bitext", options=options)
    first, second = (bag.encode(list(side), "query") for side in (pairs.queries, pairs.positives))
    gold = np.arange(120)
    for row in table.rows:
        stored = second.truncate(row.dim).quantise(row.storage)
        found = first.truncate(row.dim).scores(stored).argmax(1)
        assert 0.1 < (found == gold).mean() < 0.95
        assert row.means["Accuracy"] == pytest.approx(accuracy_score(gold, found))
        expected = f1_score(gold, found, average="weighted", zero_division=0)
        assert row.means["F1"] == pytest.approx(expected)
        assert row.estimate.mean == row.means["F1"]
        assert len(row.per_query) == 120
    assert len(table.rows) == 4
    assert compare([bag], pairs, task="bitext", measure="accuracy").measure == "Accuracy"
