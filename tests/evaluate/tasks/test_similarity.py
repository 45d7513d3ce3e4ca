"""Spearman's correlation on scored pairs, against scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError, NearfieldWarning
from nearfield.evaluate.compare import compare
from nearfield.evaluate.task import Measured, Options
from nearfield.evaluate.tasks.similarity import Similarity
from nearfield.types.progress import no_bars


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """150 pairs; the score is the number of shared words, of eight, and some noise."""
    random = np.random.default_rng(3)
    rows = []
    for _ in range(150):
        words = [f"w{word}" for word in random.integers(0, 500, 8)]
        shared = int(random.integers(0, 9))
        other = words[:shared] + [f"w{word}" for word in random.integers(0, 500, 8 - shared)]
        rows.append(
            {
                "query": " ".join(words),
                "positive": " ".join(other),
                "score": float(round(shared + random.normal(0, 2))),
            }
        )
    return Pairs.from_table(pa.Table.from_pylist(rows), name="shared-words")


def rows(task: Similarity, encoder: Encoder, **asked: object) -> list[Measured]:
    return task.encoded(encoder, Options(**asked), name="bag")  # type: ignore[arg-type]


def test_scipy_gives_the_same_correlation(bag: Encoder, pairs: Pairs) -> None:
    options = Options(dims=(64, 32), storages=("float32", "binary"))
    table = compare([bag], pairs, options=options)
    gold = pairs.table["score"].to_numpy()
    expected = {
        row.name: stats.spearmanr(row.scores["Spearman"], gold).statistic
        for row in Similarity(pairs).encoded(bag, options, name="bag")
    }
    assert {row.name: row.estimate.mean for row in table.rows} == pytest.approx(expected)
    assert [row.name for row in table.rows] == sorted(expected, key=lambda name: -expected[name])
    assert all(row.estimate.low < row.estimate.mean < row.estimate.high for row in table.rows)
    assert all(row.per_query == () for row in table.rows)
    assert len(table.pairs) == 6
    assert len(bag.calls) == 4  # type: ignore[attr-defined]
    assert (table.task, table.item, table.measure) == ("similarity", "pair", "Spearman")
    assert table.notes[-1].startswith("Spearman's correlation is not a mean")


def test_predictions_are_each_pairs_own_similarity(bag: Encoder, pairs: Pairs) -> None:
    (row,) = rows(Similarity(pairs), bag)
    both = bag.encode(list(pairs.queries), "query").scores(
        bag.encode(list(pairs.positives), "query")
    )
    np.testing.assert_allclose(row.scores["Spearman"], np.diag(both), rtol=1e-5)


class Noisy(Similarity):
    """The same pairs, on which each of the `models` is a noise that is added to one encoder's."""

    def measure(self, models, measures, options, *, allow=(), bars=no_bars):  # type: ignore[no-untyped-def]
        random = np.random.default_rng(0)
        encoder, noises = models
        (good,) = self.encoded(encoder, measures=measures, name="good")
        values = good.scores["Spearman"]
        noisy = {name: values + random.normal(0, noise, 150) for name, noise in noises.items()}
        return [good] + [
            replace(good, name=name, model=name, scores=dict.fromkeys(measures, each))
            for name, each in noisy.items()
        ]


def test_a_better_model_is_told_apart_and_an_equal_one_is_not(bag: Encoder, pairs: Pairs) -> None:
    table = compare([bag, {"same": 0.01, "bad": 3}], Noisy(pairs))
    marks = {row.name: set(row.letters) for row in table.rows}
    assert marks["good"] & marks["same"]
    assert not marks["good"] & marks["bad"]


def test_a_departure_from_the_contract_brings_its_reference(bag: Encoder, pairs: Pairs) -> None:
    done: list[tuple[int, int]] = []

    def progress(at: int, total: int, note: str = "") -> None:
        done.append((at, total))

    with pytest.warns(NearfieldWarning):
        found = Similarity(pairs).encoded(
            bag, Options(dims=(20,), similarity="dot"), name="bag", progress=progress
        )
    assert [row.name for row in found] == [
        "bag 20 float32 dot",
        "bag 64 float32 dot",
        "bag 20 float32 cosine",
    ]
    assert done == [(at, 300) for at in range(1, 301)]


def test_bad_input(bag: Encoder, pairs: Pairs) -> None:
    plain = Pairs.from_table(pairs.table.drop_columns("score"))
    with pytest.raises(InputError, match=r"have no scores.*or name the task bitext"):
        compare([bag], plain)
    flat = Pairs.from_table(pairs.table.set_column(3, "score", pa.array([1.0] * 150)))
    with pytest.raises(InputError, match="every pair has the same score"):
        compare([bag], flat)
    table = compare([bag], pairs, options=Options(dims=(65,)))
    assert "bag: 65 dimensions were left out, as its vectors have 64" in table.notes
    with pytest.raises(InputError, match="has no split, fuse; leave that out"):
        compare([bag], pairs, options=Options(split="test", fuse=True))
    with pytest.raises(InputError, match=r"has no measure 'nDCG@10'; known: Spearman"):
        compare([bag], pairs, measure="nDCG@10")
