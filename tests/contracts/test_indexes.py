"""What every index of the registry promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from indexes import clustered
from nearfield.errors import ContractError, InputError
from nearfield.indexes import INDEXES
from nearfield.indexes.index import Index, exact_index
from nearfield.indexes.shortlist import Shortlist
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.sparse import Sparse
from nearfield.types.ranking import Ranking

Make = Callable[..., Embeddings]


def sparse(n: int, *, seed: int = 0) -> Sparse:
    """Whole numbers, so that sums are exact in any order."""
    generator = np.random.default_rng(seed)
    weights = generator.integers(0, 5, (n, 30)) * (generator.random((n, 30)) < 0.3)
    return Sparse.of(weights.astype(np.float32))


def tokens(n: int, *, seed: int = 0) -> MultiVector:
    offsets = np.arange(n + 1, dtype=np.int64) * 3
    return MultiVector(clustered(3 * n, seed=seed), offsets)


def ones(n: int, *, seed: int = 0) -> Dense:
    """Vectors of ones of either sign: their products are whole numbers, the same in whatever order
    they are added up.
    """
    signs = np.where(clustered(n, seed=seed).vectors > 0, 1, -1)
    return Dense(signs.astype(np.float32), signs.shape[1], similarity="dot")


def tokens_of_ones(n: int, *, seed: int = 0) -> MultiVector:
    return replace(tokens(n), tokens=ones(3 * n, seed=seed))


# what each takes; an index that joins the registry joins this table
EMBEDDINGS: dict[str, tuple[Make, ...]] = {
    "exact": (clustered,),
    "funnel": (clustered,),
    "binary": (clustered,),
    "inverted": (sparse,),
    "scored": (clustered, sparse, tokens),
}
CASES = [
    pytest.param(name, make, id=f"{name}-{make.__name__}")
    for name in INDEXES
    for make in EMBEDDINGS[name]
]
every_index = pytest.mark.parametrize(("name", "make"), CASES)


def made(name: str, documents: Embeddings) -> Index[Embeddings]:
    """The index; a shortlist long enough that it misses nothing."""
    index = INDEXES[name].of(documents)
    if isinstance(index, Shortlist):
        index = replace(index, oversampling=10_000)
    return index


def brute_force(
    query: Embeddings,
    documents: Embeddings,
    k: int,
    *,
    where: np.ndarray | None = None,
    least: float,
) -> list[list[int]]:
    """Positions of the k best by `query.scores`, sorted by score and then by position."""
    rows = []
    for scores in query.scores(documents):
        places = [
            place
            for place in range(len(documents))
            if scores[place] > least and (where is None or where[place])
        ]
        rows.append(sorted(places, key=lambda place: (-scores[place], place))[:k])
    return rows


def found(ranking: Ranking) -> list[list[int]]:
    return [[place for place in row.tolist() if place >= 0] for row in ranking.documents]


def least(index: Index[Embeddings]) -> float:
    """The score that a document has to pass: an inverted index finds none without a shared term."""
    return 0.0 if index.kind == "inverted" else -np.inf


@every_index
def test_brute_force_finds_the_same(name: str, make: Make) -> None:
    query, documents = make(7, seed=1), make(200)
    index = made(name, documents)
    assert len(index) == 200
    ranking = index.search(query, 9)
    expected = brute_force(query, documents, 9, least=least(index))
    assert found(ranking) == expected
    scores = query.scores(documents)
    for row, places in enumerate(expected):
        np.testing.assert_allclose(
            ranking.scores[row, : len(places)], scores[row, places], rtol=1e-5, atol=1e-6
        )
    assert (ranking.documents.dtype, ranking.scores.dtype) == (np.int64, np.float32)


@every_index
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_where_is_as_if_the_others_were_not_there(name: str, make: Make, share: float) -> None:
    query, documents = make(5, seed=1), make(300)
    index = made(name, documents)
    where = np.random.default_rng(2).random(300) < share
    expected = brute_force(query, documents, 8, where=where, least=least(index))
    assert found(index.search(query, 8, where=where)) == expected
    with pytest.raises(ContractError, match=r"shape \(299,\); wanted \(300,\)"):
        index.search(query, 8, where=where[:-1])


@pytest.mark.parametrize("name", [name for name in INDEXES if issubclass(INDEXES[name], Shortlist)])
def test_a_shortlist_finds_most_and_as_much_among_a_part(name: str) -> None:
    query, documents = clustered(40, seed=1), clustered(3_000)
    index = INDEXES[name].of(documents)
    for where in (None, np.arange(3_000) % 3 == 0, np.arange(3_000) % 700 == 0):
        exact = found(exact_index(documents).search(query, 10, where=where))
        listed = found(index.search(query, 10, where=where))
        shares = [len(set(a) & set(b)) / len(a) for a, b in zip(exact, listed, strict=True)]
        assert np.mean(shares) > 0.9
        if where is not None:
            assert all(where[place] for row in listed for place in row)


@every_index
def test_more_than_there_are_and_nothing_at_all(name: str, make: Make) -> None:
    query, few = make(3, seed=1), make(4)
    index = made(name, few)
    ranking = index.search(query, 9)
    assert ranking.documents.shape == ranking.scores.shape == (3, 9)
    assert found(ranking) == brute_force(query, few, 9, least=least(index))
    assert (ranking.scores[ranking.documents < 0] == -np.inf).all()
    empty = made(name, few[:0])
    assert len(empty) == 0
    assert found(empty.search(query, 2)) == [[], [], []]
    assert index.search(query[:0], 2).documents.shape == (0, 2)
    with pytest.raises(InputError, match="0 results per query"):
        index.search(query, 0)


@every_index
def test_equal_scores_go_to_the_smaller_position(name: str, make: Make) -> None:
    if name == "scored":
        # which has its scores from a product of matrices: some processors' libraries round equal
        # columns otherwise at its edge
        make = {clustered: ones, tokens: tokens_of_ones}.get(make, make)
    once = make(5)
    documents = type(once).join([once] * 20)
    index = made(name, documents)
    for row, places in enumerate(found(index.search(once, 25))):
        twins = [place for place in places if place % 5 == row]
        assert twins == sorted(twins)
        assert len(twins) == 20


@every_index
def test_one_query_finds_what_it_finds_among_others(name: str, make: Make) -> None:
    query, documents = make(70, seed=1), make(150)
    index = made(name, documents)
    whole = index.search(query, 5)
    for row in (0, 31, 69):
        alone = index.search(query[row : row + 1], 5)
        np.testing.assert_array_equal(alone.documents[0], whole.documents[row])
        # a matrix product of another shape may round otherwise
        np.testing.assert_allclose(alone.scores[0], whole.scores[row], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in INDEXES if name != "scored"])
def test_embeddings_of_another_kind_are_refused(name: str) -> None:
    (make,) = EMBEDDINGS[name]
    index = made(name, make(5))
    for other in (tokens(3), sparse(3), clustered(3)):
        if not isinstance(other, index.takes):
            with pytest.raises(ContractError, match=rf"the index {name} is for \S+ embeddings"):
                index.search(other, 1)
            with pytest.raises(ContractError, match=rf"the index {name} is for \S+ embeddings"):
                INDEXES[name].of(other)


def test_queries_of_another_kind_are_not_scored() -> None:
    with pytest.raises(ContractError, match="queries are sparse and documents multi-vector"):
        made("scored", tokens(3)).search(sparse(2), 1)


def test_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"there is no index 'funel'.*Did you mean 'funnel'"):
        INDEXES["funel"]
