"""What no run learns from: planted copies and near-copies of what is held out, counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.collection import Collection
from nearfield.train.data.leakage import free_documents, without_leaks
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from tiny_data import tiny_collection


def planted() -> Collection:
    """A first train query that is nearly the first test query, and a document that is nearly its
    answer.
    """
    whole = tiny_collection()
    longer = " ".join(f"word{number}" for number in range(30))
    first = {name: whole.split(name).query_ids[0] for name in ("train", "test")}
    texts = dict(zip(whole.query_ids, whole.query_texts, strict=True))
    texts[first["test"]] = f"{texts[first['test']]} {longer}"
    texts[first["train"]] = f"{texts[first['test']]} more"
    (answer,) = whole.split("test").relevance[first["test"]]
    at = list(whole.document_ids).index(answer)
    copy = pa.table(
        {
            "id": ["copy"],
            "title": [""],
            "text": [f"{whole.document_texts[at]} also"],
            "group": [""],
        },
        schema=whole.documents.schema,
    )
    return replace(
        whole,
        documents=pa.concat_tables([whole.documents, copy]),
        queries=whole.queries.set_column(1, "text", pa.array([*texts.values()])),
    )


def test_train_queries_that_are_nearly_held_out_ones_are_left_out_and_counted() -> None:
    given = planted()
    found, notes = without_leaks(given)
    assert notes == ("1 train query of 60 left out: nearly the same are held out",)
    assert found.split("train").query_ids == given.split("train").query_ids[1:]
    for name in ("dev", "test"):
        assert found.split(name).query_ids == given.split(name).query_ids
    assert without_leaks(tiny_collection()) == (tiny_collection(), ())


def test_documents_of_train_alone_are_free() -> None:
    given = planted()
    train = given.judgements.filter(pc.equal(given.judgements["split"], "train"))
    free = {given.document_ids[int(at)] for at in free_documents(given)}
    assert free == set(train["document"].to_pylist())


def test_a_tune_says_how_many_it_left_out(tmp_path: Path, tiny: Path) -> None:
    schedule = {"epochs": 1, "batch": 8, "evaluations": 1, "precision": "float32"}
    recipe = Recipe.of({"pool": 60, "schedule": schedule, "merge": {"ratios": [1.0]}})
    tune(
        str(tiny),
        planted(),
        to=tmp_path / "run",
        recipe=recipe,
        allow=["leaked-queries"],
        guards=(),
    )
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["split_sizes"] == {"train": 59, "dev": 30, "test": 30}
    assert about["notes"] == ["1 train query of 60 left out: nearly the same are held out"]
    pairs = json.loads((tmp_path / "run" / "negatives.json").read_text())
    assert len(pairs["query"]) == 59
