from __future__ import annotations

import numpy as np
import pytest

from nearfield.errors import InputError
from nearfield.indexes.exact import Exact
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.dense import Dense

DOCUMENTS = Dense(np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32), 2)
INDEX = Exact(DOCUMENTS)


def test_ids_and_scores_best_first() -> None:
    queries = Queries(["to the north"], ["q"])
    ranking = retrieve(DOCUMENTS[1:2], INDEX, queries, ["east", "north", "between"], k=4)
    assert [name for name, _ in ranking.of(0)] == ["north", "between", "east"]
    assert [score for _, score in ranking.of(0)] == pytest.approx([1, 0.6, 0])
    assert ranking.documents.shape == (1, 4)


def test_each_vector_needs_an_id() -> None:
    with pytest.raises(InputError, match="3 document vectors and 2 document ids"):
        retrieve(DOCUMENTS, INDEX, Queries("abc", "abc"), "ab", k=1)
    with pytest.raises(InputError, match="1 query vectors and 2 query ids"):
        retrieve(DOCUMENTS[:1], INDEX, Queries("ab", "ab"), "abc", k=1)


def test_a_querys_own_document_is_left_out_and_k_are_left() -> None:
    queries = Queries("ab", "ab", own=np.array([1, -1]))
    ranking = retrieve(DOCUMENTS[:2], INDEX, queries, "xyz", k=2)
    assert ranking.documents.tolist() == [[0, 2], [1, 2]]


def test_only_what_is_allowed_is_found() -> None:
    ranking = retrieve(
        DOCUMENTS[:1], INDEX, Queries("a", "a"), "xyz", k=2, where=np.array([False, True, True])
    )
    assert ranking.documents.tolist() == [[2, 1]]
