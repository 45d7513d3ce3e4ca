from __future__ import annotations

import numpy as np
import pytest

from nearfield.errors import InputError
from nearfield.search.retrieve import retrieve
from nearfield.similarity.dense import Dense

DOCUMENTS = Dense(np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32), 2)


def test_ids_and_scores_best_first() -> None:
    ranking = retrieve(
        DOCUMENTS[1:2], DOCUMENTS, query_ids=["q"], document_ids=["east", "north", "between"], k=4
    )
    assert [name for name, _ in ranking.of(0)] == ["north", "between", "east"]
    assert [score for _, score in ranking.of(0)] == pytest.approx([1, 0.6, 0])
    assert ranking.documents.shape == (1, 4)


def test_each_vector_needs_an_id() -> None:
    with pytest.raises(InputError, match="3 document vectors and 2 document ids"):
        retrieve(DOCUMENTS, DOCUMENTS, query_ids="abc", document_ids="ab", k=1)
    with pytest.raises(InputError, match="1 query vectors and 2 query ids"):
        retrieve(DOCUMENTS[:1], DOCUMENTS, query_ids="ab", document_ids="abc", k=1)
