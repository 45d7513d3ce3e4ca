"""Data that nothing can be measured on: a clear error, or what the task documents, for each task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.encoders.encoder import Encoder
from nearfield.errors import NearfieldError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.tasks import TASKS
from nearfield.similarity.dense import Dense
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.NearfieldWarning")
WORDS = ("cat", "dog", "sea", "law")


class Alike(Encoder):
    """Every text gets the same vector, so that everything is tied; `value` is what it is made of."""

    def __init__(self, value: float = 1.0) -> None:
        self.contract = Contract("alike", dim=4, max_tokens=99, normalise=False)
        self.value = value

    def encode_as(self, role: Role, items: Any, *, progress: Progress = silent) -> Dense:
        return Dense.under(self.contract, np.full((len(items), 4), self.value, np.float32))


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def texts(at: int) -> tuple[str, str]:
    return f"{WORDS[at % 4]} number {at}", f"a {WORDS[at % 4]} of {at}"


def labelled(label: Callable[[int], str]) -> str:
    return lines([{"text": texts(at)[0], "label": label(at)} for at in range(60)])


def scored(score: Callable[[int], Any]) -> str:
    sides = ("query", "positive")
    return lines(
        [dict(zip(sides, texts(at), strict=True)) | {"score": score(at)} for at in range(40)]
    )


def ranked() -> str:
    return lines(
        [
            {"query": texts(at)[0], "positive": texts(at)[1], "negatives": [texts(at + 1)[1]]}
            for at in range(20)
        ]
    )


def summaries(score: Callable[[int], float]) -> str:
    return lines(
        [
            {
                "text": f"text {at}",
                "human_summaries": [f"short {at}"],
                "machine_summaries": [f"one {at}", f"two {at}", f"three {at}"],
                "relevance": [score(part) for part in range(3)],
            }
            for at in range(5)
        ]
    )


GOOD = {
    "classification": labelled(lambda at: WORDS[at % 4]),
    "zero-shot": labelled(lambda at: WORDS[at % 4]),
    "clustering": labelled(lambda at: WORDS[at % 4]),
    "similarity": scored(lambda at: float(at % 5)),
    "pair-classification": scored(lambda at: float(at % 2)),
    "bitext": lines([dict(zip(("query", "positive"), texts(at), strict=True)) for at in range(20)]),
    "reranking": ranked(),
    "summarisation": summaries(float),
}
"""A file of each kind that is one file."""
LABELS = ("classification", "zero-shot", "clustering")
SCORES = ("similarity", "pair-classification")


def refused(folder: Path, text: str, task: str) -> str:
    path = folder / "data.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NearfieldError) as raised:
        compare([Alike()], str(path), task=task)
    said = str(raised.value)
    assert "data" in said, "which file it is"
    assert "\n" not in said
    return said


@pytest.mark.parametrize("task", LABELS)
def test_labels_of_one_class(task: str, tmp_path: Path) -> None:
    said = refused(tmp_path, labelled(lambda at: "cat"), task)
    assert "every text has the label 'cat'; wanted at least 2 labels" in said


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("similarity", "every pair has the same score"),
        ("pair-classification", "which takes pairs whose scores have two values"),
    ],
)
def test_a_constant_column_of_scores(task: str, why: str, tmp_path: Path) -> None:
    assert why in refused(tmp_path, scored(lambda at: 1.0), task)


def test_summaries_that_people_found_alike(tmp_path: Path) -> None:
    said = refused(tmp_path, summaries(lambda at: 2.0), "summarisation")
    assert "no text has summaries of different scores" in said


@pytest.mark.parametrize("task", SCORES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", None])
def test_scores_that_are_no_numbers(task: str, value: Any, tmp_path: Path) -> None:
    said = refused(tmp_path, scored(lambda at: value if at == 7 else float(at % 2)), task)
    assert said.endswith(f"data.jsonl:8: 'score' is {value!r}; wanted a finite number as score")


@pytest.mark.parametrize("value", [float("nan"), "much"])
def test_scores_of_summaries_that_are_no_numbers(value: Any, tmp_path: Path) -> None:
    refused(tmp_path, summaries(lambda at: value if at else 1.0), "summarisation")


@pytest.mark.parametrize("task", list(TASKS))
def test_a_file_of_another_kind(task: str, tmp_path: Path) -> None:
    """Each task on each of the others' files that it does not share columns with."""
    shared = [
        set(LABELS),
        {*SCORES, "bitext", "reranking"},
        {"retrieval", "image-to-text", "bitext", "reranking"},
    ]
    for kind, text in GOOD.items():
        if kind != task and not any({task, kind} <= group for group in shared):
            said = refused(tmp_path, text, task)
            assert len(said) < 400
    for text in ("", "{}\n", "no JSON\n", '{"a": 1}\n', '["query"]\n'):
        refused(tmp_path, text, task)
    (tmp_path / "data.jsonl").write_bytes(b"\x00\xff\xfe" * 30)
    with pytest.raises(NearfieldError):
        compare([Alike()], str(tmp_path / "data.jsonl"), task=task)


@pytest.mark.parametrize(
    ("task", "measures"),
    [
        ("classification", {"Accuracy": 1 / 3}),  # one label for all, of 4 in the 12 test texts
        ("zero-shot", {"Accuracy": 1 / 3}),
        ("clustering", {"V-measure": 0.0}),
        ("similarity", {"Spearman": 0.0, "Pearson": 0.0}),
        ("pair-classification", {"AP": 0.5, "F1": 2 / 3, "Accuracy": 0.5}),
        ("bitext", {"Accuracy": 1 / 20}),
        ("summarisation", {"Spearman": 0.0, "Pearson": 0.0}),
    ],
)
def test_ties_everywhere_give_what_chance_gives(
    task: str, measures: dict[str, float], tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(GOOD[task], encoding="utf-8")
    (row,) = compare([Alike()], str(path), task=task, measures=list(measures)).rows
    assert {name: row.means[name] for name in measures} == pytest.approx(measures, abs=0.02)
    assert np.isfinite([row.estimate.mean, row.estimate.low, row.estimate.high]).all()


def test_ties_in_a_ranking_keep_the_order_of_the_documents(tmp_path: Path) -> None:
    documents = [f"text {at}" for at in range(20)]
    found = {}
    for place in (0, 5, 19):
        tables = {
            "corpus.jsonl": lines(
                [{"_id": f"d{at}", "text": text} for at, text in enumerate(documents)]
            ),
            "queries.jsonl": lines([{"_id": "q", "text": "asked"}]),
        }
        folder = tmp_path / str(place)
        (folder / "qrels").mkdir(parents=True)
        for name, text in tables.items():
            (folder / name).write_text(text)
        (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq\td{place}\t1\n")
        row = compare([Alike(), "bm25"], str(folder), measure="RR@20").rows
        found[place] = next(each for each in row if each.model == "alike").means["RR@20"]
    assert found == pytest.approx({0: 1.0, 5: 1 / 6, 19: 1 / 20})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("task", list(GOOD))
def test_a_model_that_gives_no_numbers(task: str, value: float, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(GOOD[task], encoding="utf-8")
    with pytest.raises(NearfieldError, match="hold NaN or infinite values, the first at 0"):
        compare([Alike(value)], str(path), task=task)
