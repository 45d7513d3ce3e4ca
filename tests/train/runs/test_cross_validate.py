"""Cross-validation over train where dev is too small to choose by."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nearfield.data.split import folds
from nearfield.train.data.leakage import same_texts
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.recipe import Recipe
from nearfield.train.runs.cross_validate import Fold, cheap_to_fold, folds_of, held_out, without
from nearfield.train.runs.tune import tune
from nearfield.train.setting import Setting
from nearfield.types.progress import Progress
from tiny_data import tiny_collection

SMALL = tiny_collection(queries=48)  # dev and test have 12 each, train 24
RECIPE = Recipe.of(
    {
        "pool": 60,
        "schedule": {
            "epochs": 2,
            "batch": 8,
            "rate": 3e-4,
            "freeze_embeddings": False,
            "precision": "float32",
        },
        "merge": {"ratios": [0.5, 1.0]},
    }
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A run that was never interrupted, whose dev is too small."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    tune(str(tiny), SMALL, to=folder, recipe=RECIPE, guards=())
    return folder


def read(folder: Path, part: str) -> Any:
    return json.loads((folder / part).read_text())


def test_each_query_of_train_is_held_out_once_with_all_that_shares_its_documents() -> None:
    judged = SMALL.judgements.to_pydict()
    train = [at for at, split in enumerate(judged["split"]) if split == "train"]
    judged["document"][train[1]] = judged["document"][train[0]]
    shared = dataclasses.replace(SMALL, judgements=pa.table(judged, schema=SMALL.judgements.schema))
    parts = held_out(shared, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(24))
    assert [4 <= len(part) <= 5 for part in parts] == [True] * 5
    assert sum({0, 1} <= set(part.tolist()) for part in parts) == 1
    assert [part.tolist() for part in held_out(shared, seed=0)] == [part.tolist() for part in parts]
    assert folds(shared, 5, seed=0) != folds(shared, 5, seed=1)


def test_dev_serves_where_it_is_large_enough_or_train_is_too_large_or_all_one_group() -> None:
    assert not cheap_to_fold(tiny_collection())
    assert cheap_to_fold(SMALL)
    judged = SMALL.judgements.to_pydict()
    first = judged["document"][0]
    judged["document"] = [
        first if split == "train" else key
        for key, split in zip(judged["document"], judged["split"], strict=True)
    ]
    assert (
        held_out(
            dataclasses.replace(SMALL, judgements=pa.table(judged, schema=SMALL.judgements.schema)),
            seed=0,
        )
        == []
    )


def test_nothing_of_a_fold_is_learnt_from_without_it() -> None:
    source = TokenSource((), lambda texts: pytest.fail("tokenised"))
    pairs = TrainingPairs(
        np.array([0, 1, 2]), np.array([5, 6, 7]), np.array([[6, 8], [5, 9], [6, 5]])
    )
    data = TrainingData(
        source,
        source,
        pairs,
        np.arange(10),
        [{5}, {6}, {7}],
        teacher=np.arange(9, dtype=np.float32).reshape(3, 3),
    )
    kept = without(data, Fold(np.array([1]), np.array([6])))
    assert kept.pairs.query.tolist() == [0, 2]
    assert kept.pairs.negatives.tolist() == [[-1, 8], [-1, 5]]
    assert kept.teacher is not None
    assert kept.teacher.tolist() == [[0, 1, 2], [6, 7, 8]]


def test_a_fold_holds_out_copies_of_its_documents() -> None:
    texts = SMALL.documents["text"].to_pylist()
    texts[1] = texts[0]
    copied = dataclasses.replace(
        SMALL, documents=SMALL.documents.set_column(2, "text", pa.array(texts))
    )
    (fold,) = folds_of(copied.split("train"), [np.array([0])], np.array(same_texts(copied)))
    assert fold.documents.tolist() == [0, 1]


def test_a_run_with_a_small_dev_chooses_by_train(finished: Path) -> None:
    found, rows, verdict = (
        read(finished, part) for part in ("folds.json", "merge.json", "verdict.json")
    )
    assert sum(found["queries"]) == verdict["dev_queries"] == 24
    assert found["ratios"] == [0.0, 0.5, 1.0]
    measured = dict(zip(found["ratios"], found["dev"], strict=True))
    assert {row["ratio"]: row["dev"] for row in rows}.items() <= measured.items()
    (note,) = read(finished, "run.json")["notes"]
    assert note == (
        "dev has 12 queries, too few to choose by: 5-fold cross-validation over "
        "train's 24 queries takes its place"
    )
    assert "cross-validate" in read(finished, "run.json")["seconds"]
    assert not (finished / "folds").exists()
    training = [json.loads(line) for line in (finished / "training.jsonl").read_text().splitlines()]
    assert training[-1]["step"] == training[-1]["steps"] == 6, "all of train, to the end"
    assert not any("dev" in row for row in training)


class Killed(BaseException):
    """What ends a run at any moment."""


def killing(after: int) -> Setting:
    """A setting in which the run ends when it has told its progress so many times in the
    cross-validation.
    """
    left = after

    @contextmanager
    def watch(title: str) -> Iterator[Progress]:
        def told(done: int, total: int, note: str = "") -> None:
            nonlocal left
            left -= "cross-validate" in note
            if not left:
                raise Killed

        yield told

    return Setting(watch)


@pytest.mark.parametrize("after", [3, 14, 26])
def test_a_killed_cross_validation_goes_on_to_the_same_result(
    after: int, tmp_path: Path, tiny: Path, finished: Path
) -> None:
    with pytest.raises(Killed):
        tune(
            str(tiny), SMALL, to=tmp_path / "run", recipe=RECIPE, setting=killing(after), guards=()
        )
    assert (tmp_path / "run" / "folds").is_dir()
    tune(str(tiny), SMALL, to=tmp_path / "run", recipe=RECIPE, guards=())
    for part in ("folds.json", "merge.json", "queries.json"):
        assert read(tmp_path / "run", part) == read(finished, part)
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == (
        finished / "model" / "model.safetensors"
    ).read_bytes()
