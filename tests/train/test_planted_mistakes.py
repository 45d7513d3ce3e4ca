"""Mistakes that leave nothing to learn stop `tune` before it trains, each with its cause in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.data.collection import Collection
from nearfield.data.pairs import Pairs
from nearfield.errors import NearfieldError
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from tiny_data import small_pairs, tiny_collection

Rows = list[tuple[str, str]]


def shuffled(rows: Rows) -> Pairs:
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    return small_pairs([(query, rows[at][1]) for (query, _), at in zip(rows, order, strict=True)])


MISTAKES: dict[str, tuple[Callable[[Rows], Pairs], dict[str, Any], str]] = {
    "equal columns": (
        lambda rows: small_pairs([(positive, positive) for _, positive in rows]),
        {},
        r"query-is-document \(200 of 200\): remove these pairs",
    ),
    "one positive": (
        lambda rows: small_pairs([(query, rows[0][1]) for query, _ in rows]),
        {},
        r"one-positive \(200 of 200\): give the queries positives of their own",
    ),
    "negatives that are all 0": (
        lambda rows: small_pairs(rows, negatives=[["0"]] * len(rows)),
        {},
        r"one-negative \(200 of 200\): mine hard negatives",
    ),
    "negatives without text": (
        lambda rows: small_pairs(rows, negatives=[["", " "]] * len(rows)),
        {},
        r"one-negative \(400 of 400\)",
    ),
    "one class": (
        lambda rows: small_pairs(rows, scores=[1.0] * len(rows)),
        {"objective": "cosent"},
        r"one-score \(200 of 200\): give pairs of different scores",
    ),
    "shuffled pairs": (shuffled, {}, r"shuffled-pairs \(200 of 200\): check that both columns"),
    "temperature 1000": (
        small_pairs,
        {"objective": {"temperature": 1000.0}},
        r"objective.temperature is 1000.0; wanted .* above it all documents of a batch count",
    ),
    "rate 1": (
        small_pairs,
        {"schedule": {"rate": 1.0}},
        r"schedule.rate is 1.0; wanted .*AdamW moves each weight by about the rate",
    ),
}


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Sound pairs, of other texts than the tiny collection's."""
    made = tiny_collection(queries=200, seed=5)
    return list(zip(made.query_texts, made.document_texts, strict=True))


def try_to_tune(tiny: Path, on: Collection, pairs: Pairs, facts: dict[str, Any], to: Path) -> None:
    pairs.save(to / "pairs")
    tune(str(tiny), on, to=to / "run", recipe=Recipe.of(facts), pairs=str(to / "pairs"), guards=())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(
    tiny: Path, collection: Collection, rows: Rows, tmp_path: Path, mistake: str
) -> None:
    spoil, facts, cause = MISTAKES[mistake]
    with pytest.raises(NearfieldError, match=cause):
        try_to_tune(tiny, collection, spoil(rows), facts, tmp_path)
    assert not (tmp_path / "run" / "training.jsonl").exists()
