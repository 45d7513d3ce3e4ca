"""A look into models: which texts are taken, and that the figures are those of their vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nearfield.data.collection import Split
from nearfield.data.labelled import Labelled, LabelledTexts
from nearfield.data.pairs import Pairs
from nearfield.evaluate.analysis.look import look
from nearfield.evaluate.open_task import open_task
from nearfield.types.contract import Contract

TEXTS = [f"w{at % 7} w{at % 5} w{at}" for at in range(40)]


def related(data: object, task: str | None = None) -> Any:
    return open_task(data, task).related(np.random.default_rng(0))


def test_pairs_of_retrieval_are_the_judged_ones(split: Split) -> None:
    found = related(split)
    ids = dict(zip(split.query_texts, split.query_ids, strict=True))
    documents = split.collection
    keys = dict(zip(documents.document_texts, documents.document_ids, strict=True))

    def grade(pair: list[int]) -> int:
        grades = split.relevance[ids[found.queries[pair[0]]]]
        return grades.get(keys[found.documents[pair[1]]], 0)

    assert len(found.together) == sum(
        grade > 0 for grades in split.relevance.values() for grade in grades.values()
    )
    assert all(grade(pair) > 0 for pair in found.together.tolist())
    assert len(found.apart) > 100
    assert all(grade(pair) == 0 for pair in found.apart.tolist())
    assert set(found.groups) == {"answers a query", "answers none"}


def test_pairs_of_labels_and_of_scores() -> None:
    labels = [f"topic {at % 3}" for at in range(40)]
    labelled = Labelled("topics", LabelledTexts([], []), LabelledTexts(TEXTS, labels))
    found = related(labelled, "clustering")
    assert found.groups == tuple(labels)
    where = dict(zip(TEXTS, labels, strict=True))
    for first, query in enumerate(found.queries):
        for second, document in enumerate(found.documents):
            assert found.belong(first, second) is (where[query] == where[document])
    for pairs, same in ((found.together, True), (found.apart, False)):
        assert len(pairs)
        for first, second in pairs.tolist():
            assert (where[found.queries[first]] == where[found.documents[second]]) is same
            assert found.queries[first] != found.documents[second]
    rows = [
        {"query": a, "positive": a + " x", "score": float(at % 4)} for at, a in enumerate(TEXTS)
    ]
    found = related(Pairs.from_table(pa.Table.from_pylist(rows)))
    assert {found.queries[at] for at, _ in found.together.tolist()} == {
        row["query"] for row in rows if row["score"] > 1.5
    }


def test_the_figures_are_those_of_the_vectors(bag: Any, split: Split) -> None:
    other = type(bag)(Contract("other", dim=16, max_tokens=100))
    found = look([bag, other, "bm25"], split)
    assert [each.model for each in found.insides] == ["bag", "other"]
    texts = related(split)
    queries, documents = bag.encode(texts.queries, "query"), bag.encode(texts.documents, "document")
    inside = found.insides[0]
    distances = [
        np.linalg.norm(queries[first] - documents[second]) ** 2
        for first, second in texts.together.tolist()
    ]
    assert inside.alignment == pytest.approx(np.mean(distances), rel=1e-4)
    assert sum(inside.together) == pytest.approx(1)
    assert sum(inside.apart) == pytest.approx(1)
    bins = np.arange(40)
    assert bins @ inside.together > bins @ inside.apart  # those that belong together are closer
    assert (inside.dim, found.insides[1].dim) == (64, 16)
    assert inside.effective_rank > found.insides[1].effective_rank
    assert found.map is not None
    assert len(found.map.x) == found.documents == len(texts.documents)
    assert [(each.a, each.b) for each in found.in_common] == [("bag", "other")]
    assert 0 < found.in_common[0].share < 1
    assert found.attributed == ()  # it cannot tell


def test_a_task_without_pairs_and_too_few_texts_give_nothing(bag: Any, split: Split) -> None:
    few = split.collection.documents.slice(0, 8)
    small = replace(split.collection, documents=few)
    assert look([bag], replace(split, collection=small)).insides == ()
