"""Spearman's correlation on scored pairs, against scipy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError, InputError, NearfieldWarning
from nearfield.evaluate.scored_pairs import compare_pair_scores, model_pair_scores


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


def test_scipy_gives_the_same_correlation(bag: Encoder, pairs: Pairs) -> None:
    systems = model_pair_scores(
        bag, pairs, name="bag", dims=(64, 32), storages=("float32", "binary")
    )
    table = compare_pair_scores(systems, pairs)
    gold = pairs.table["score"].to_numpy()
    expected = {
        system.name: stats.spearmanr(system.predicted, gold).statistic for system in systems
    }
    assert {row.name: row.estimate.mean for row in table.rows} == pytest.approx(expected)
    assert [row.name for row in table.rows] == sorted(expected, key=lambda name: -expected[name])
    assert all(row.estimate.low < row.estimate.mean < row.estimate.high for row in table.rows)
    assert len(table.pairs) == 6
    assert len(bag.calls) == 2
    assert compare_pair_scores(systems[::-1], pairs) == table


def test_predictions_are_each_pairs_own_similarity(bag: Encoder, pairs: Pairs) -> None:
    predicted = model_pair_scores(bag, pairs, name="bag")[0].predicted
    both = bag.encode(list(pairs.queries), "query").scores(
        bag.encode(list(pairs.positives), "query")
    )
    np.testing.assert_allclose(predicted, np.diag(both), rtol=1e-5)


def test_a_better_model_is_told_apart_and_an_equal_one_is_not(bag: Encoder, pairs: Pairs) -> None:
    good = model_pair_scores(bag, pairs, name="good")[0]
    random = np.random.default_rng(0)
    systems = [
        good,
        *(
            type(good)(name, name, good.cut, good.predicted + random.normal(0, noise, 150), 1, 1)
            for name, noise in (("same", 0.01), ("bad", 3))
        ),
    ]
    marks = {row.name: set(row.letters) for row in compare_pair_scores(systems, pairs).rows}
    assert marks["good"] & marks["same"]
    assert not marks["good"] & marks["bad"]


def test_a_departure_from_the_contract_brings_its_reference(bag: Encoder, pairs: Pairs) -> None:
    done: list[tuple[int, int]] = []

    def progress(at: int, total: int, note: str = "") -> None:
        done.append((at, total))

    with pytest.warns(NearfieldWarning):
        systems = model_pair_scores(
            bag, pairs, name="bag", dims=(20,), similarity="dot", progress=progress
        )
    assert [system.name for system in systems] == [
        "bag 20 float32 dot",
        "bag 64 float32 dot",
        "bag 20 float32 cosine",
    ]
    assert done == [(at, 300) for at in range(1, 301)]


def test_bad_input(bag: Encoder, pairs: Pairs) -> None:
    systems = model_pair_scores(bag, pairs, name="bag")
    plain = Pairs.from_table(pairs.table.drop_columns("score"))
    with pytest.raises(InputError, match="pairs need scores"):
        compare_pair_scores(systems, plain)
    flat = Pairs.from_table(pairs.table.set_column(3, "score", pa.array([1.0] * 150)))
    with pytest.raises(InputError, match="every pair has the same score"):
        compare_pair_scores(systems, flat)
    with pytest.raises(ContractError, match="65 dimensions"):
        model_pair_scores(bag, pairs, name="bag", dims=(65,))
