"""Finding by small vectors and scoring again by whole ones, against sorted scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from indexes import clustered
from nearfield.errors import ContractError
from nearfield.indexes.exact import Exact
from nearfield.indexes.rescored import Rescored


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("storage", ["float32", "int8", "binary"])
def test_what_the_small_vectors_find_is_in_the_order_of_the_whole_ones(
    similarity: str, storage: str
) -> None:
    documents = replace(clustered(300, seed=1), similarity=similarity)
    queries = replace(clustered(9, seed=2), similarity=similarity)
    small, whole = documents.truncate(16).quantise(storage), documents.quantise("int8")
    found = Rescored(Exact.of(small), whole).search(queries, 20)
    first = queries.truncate(16).scores(small)
    again = queries.scores(whole)
    for row in range(len(queries)):
        listed = np.lexsort((np.arange(300), -first[row]))[:20]
        assert set(found.documents[row]) == set(listed)
        np.testing.assert_allclose(found.scores[row], np.sort(again[row, listed])[::-1], atol=1e-4)


def test_a_filter_and_nothing_found() -> None:
    documents = clustered(50, seed=1)
    index = Rescored.of(documents)
    allowed = np.arange(50) % 5 == 0
    found = index.search(documents[:3], 20, where=allowed)
    assert set(found.documents.ravel()) == {-1, *np.flatnonzero(allowed)}
    assert index.search(documents[:0], 4).documents.shape == (0, 4)
    with pytest.raises(ContractError, match="dimensions"):
        index.search(documents.truncate(8), 4)
