"""A run that cannot learn anything is stopped early, with the cause, whatever it trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from nearfield.data.collection import Collection
from nearfield.data.doctor.examine import examine
from nearfield.errors import CollectionError, DoctorRefusal, ModelError, NearfieldError
from nearfield.train.engine.watcher import Watcher, all_one, mean_squared_cosine
from nearfield.train.fits.adapter import AdapterData, AdapterRecipe, fit_adapter
from nearfield.train.fits.bridge import BridgeRecipe, fit_bridge
from nearfield.train.recipe import Recipe
from nearfield.train.runs.reranker import tune_reranker
from nearfield.train.runs.tune import tune

ONE = "the same answer for all"
RANDOM = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)


def one_positive(collection: Collection) -> Collection:
    """The collection with one document for each split, that of all its queries."""
    splits = collection.judgements["split"].to_pylist()
    names = ["train", "dev", "test"]
    blank = [""] * 3
    documents = pa.table(
        {"id": names, "title": blank, "text": [f"{ONE} {name}" for name in names], "group": blank}
    )
    judged = pa.table(
        {
            "query": collection.judgements["query"],
            "document": splits,
            "relevance": collection.judgements["relevance"],
            "split": splits,
        }
    )
    return replace(collection, documents=documents, judgements=judged)


def copies(collection: Collection) -> Collection:
    """The collection whose queries are their documents, word for word."""
    queries = collection.queries.set_column(1, "text", collection.documents["text"])
    return replace(collection, queries=queries)


RECIPE = Recipe.of({"schedule": {"epochs": 20, "batch": 16, "evaluations": 2}})


def test_one_positive_stops_a_tune(tiny: Path, collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(DoctorRefusal, match="one-positive"):
        tune(str(tiny), one_positive(collection), to=tmp_path / "run", recipe=RECIPE, guards=())
    with pytest.raises(
        CollectionError,
        match=r"stopped at step 10 of \d+: no step has a negative.*60 pairs with "
        r"one and the same positive",
    ):
        tune(
            str(tiny),
            one_positive(collection),
            to=tmp_path / "run",
            recipe=RECIPE,
            allow=ALLOWED,
            guards=(),
        )
    rows = [
        json.loads(line) for line in (tmp_path / "run" / "training.jsonl").read_text().splitlines()
    ]
    assert max(row["step"] for row in rows) < 50


ALLOWED = (
    "one-positive",
    "shared-documents",
    "duplicate-documents",
    "near-duplicate-documents",
    "near-leaked-queries",
)


def test_one_positive_stops_a_reranker(tiny: Path, collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(DoctorRefusal, match=r"one-positive \(60 of 60\)"):
        tune_reranker(
            str(tiny), one_positive(collection), to=tmp_path / "run", recipe=RECIPE, guards=()
        )
    with pytest.raises(CollectionError, match="no step has a negative"):
        tune_reranker(
            str(tiny),
            one_positive(collection),
            to=tmp_path / "run",
            recipe=RECIPE,
            allow=["one-positive"],
            guards=(),
        )


def test_copies_of_the_positives_stop_every_command(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    (found,) = [
        finding for finding in examine(copies(collection)) if finding.check == "query-is-document"
    ]
    assert found.severity == "error"
    with pytest.raises(DoctorRefusal, match=r"query-is-document \(120 of 120\)"):
        tune_reranker(str(tiny), copies(collection), to=tmp_path / "run", recipe=RECIPE, guards=())


def test_an_adapter_without_negatives() -> None:
    data = AdapterData(RANDOM, RANDOM[:1], [[0]] * len(RANDOM))
    with pytest.raises(
        CollectionError,
        match=r"step 10 of 30: no step has a negative.*64 pairs "
        r"with one and the same positive",
    ):
        fit_adapter(data, AdapterRecipe(batch=64))


@pytest.mark.parametrize(
    "vectors", [np.ones_like(RANDOM), np.zeros_like(RANDOM), RANDOM[:1] * np.sign(RANDOM[:, :1])]
)
def test_vectors_that_are_all_one(vectors: np.ndarray) -> None:
    assert all_one(torch.from_numpy(vectors))
    for old, new, which in ((vectors, RANDOM, "old"), (RANDOM, vectors, "new")):
        with pytest.raises(ModelError, match=f"the {which} model gives all texts the same vector"):
            fit_bridge(old, new, BridgeRecipe(epochs=1))
    with pytest.raises(ModelError, match="the model gives all queries the same vector"):
        fit_adapter(
            AdapterData(vectors, RANDOM, [[at] for at in range(len(RANDOM))]), AdapterRecipe()
        )


def test_vectors_with_nan() -> None:
    wrong = RANDOM.copy()
    wrong[3, 5] = np.nan
    with pytest.raises(ModelError, match="the old model gives all texts vectors with NaN"):
        fit_bridge(wrong, RANDOM, BridgeRecipe(epochs=1))


def test_vectors_that_are_alike_are_not_one() -> None:
    alike = torch.from_numpy(RANDOM) * 0.05 + 1  # mean pairwise cosine .9975
    assert not all_one(alike)
    assert not all_one(torch.from_numpy(RANDOM))
    assert not all_one(torch.ones(3, 4))


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        ({"loss": 0.0, "negatives": 0}, "no step has a negative"),
        ({"loss": 0.0, "negatives": 5}, "the loss is exactly 0"),
        ({"loss": 1.0, "negatives": 5, "still": True}, "the gradient is exactly 0"),
        ({"loss": float("nan"), "negatives": 5}, "the loss became nan"),
    ],
)
def test_each_cause_is_named_within_ten_steps(seen: dict[str, float], cause: str) -> None:
    watcher = Watcher(1000, "60 pairs")

    def run() -> None:
        for step in range(1, 11):
            watcher.saw(step, **seen)  # type: ignore[arg-type]

    with pytest.raises(NearfieldError, match=cause):
        run()


def test_a_step_with_something_to_learn_starts_the_count_again() -> None:
    watcher = Watcher(1000, "60 pairs")
    for step in range(1, 100):
        watcher.saw(step, loss=0.0 if step % 9 else 0.1, negatives=step % 9, still=bool(step % 9))
    assert [step for step in range(1, 301) if watcher.looks(step)] == [
        1,
        10,
        20,
        30,
        40,
        50,
        100,
        200,
        300,
    ]


def test_a_loss_that_rises_and_stays_stops_and_one_that_comes_back_does_not() -> None:
    watcher = Watcher(1000, "60 pairs")
    for step in range(1, 200):  # nine steps in ten are high
        watcher.saw(step, loss=0.5 if step <= 10 or step % 10 == 0 else 4.0, negatives=5)
    with pytest.raises(ModelError, match=r"risen to 4 for 10 steps.*at most 0.5.*schedule\.rate"):
        for step in range(200, 220):
            watcher.saw(step, loss=4.0, negatives=5)


def test_vectors_that_come_together_stop_and_those_that_always_were_close_do_not() -> None:
    apart, close = torch.from_numpy(RANDOM), torch.from_numpy(RANDOM) * 0.05 + 1
    unit = (close / close.norm(dim=1, keepdim=True)).double()
    cosines = unit @ unit.T
    exact = float((cosines.square().sum() - len(unit)) / (len(unit) * (len(unit) - 1)))
    assert mean_squared_cosine(close) == pytest.approx(exact, abs=1e-5)
    watcher = Watcher(1000, "60 pairs")
    watcher.saw_vectors(1, close)
    watcher.saw_vectors(10, close)
    watcher = Watcher(1000, "60 pairs")
    watcher.saw_vectors(1, apart)
    with pytest.raises(ModelError, match=r"step 10 of 1000: the model is collapsing.*rank of 1\.0"):
        watcher.saw_vectors(10, close)
