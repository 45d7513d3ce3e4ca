"""What every kind of embeddings promises: each test runs over the whole registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.errors import ContractError, InputError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.fused import Fused
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.open import open_embeddings
from nearfield.similarity.sparse import Sparse
from nearfield.similarity.stored import stored_size
from nearfield.types.contract import KINDS as CONTRACT_KINDS

Array = np.ndarray[Any, Any]


def dense(n: int, numbers: np.random.Generator) -> Dense:
    return Dense(numbers.normal(size=(n, 6)).astype(np.float32), 6)


def sparse(n: int, numbers: np.random.Generator) -> Sparse:
    return Sparse.of(np.maximum(numbers.normal(size=(n, 9)), 0))


def multi_vector(n: int, numbers: np.random.Generator) -> MultiVector:
    offsets = np.concatenate([[0], np.cumsum(numbers.integers(0, 4, n))]).astype(np.int64)
    vectors = numbers.normal(size=(int(offsets[-1]), 3)).astype(np.float32)
    return MultiVector(Dense(vectors, 3, similarity="dot"), offsets)


def fused(n: int, numbers: np.random.Generator) -> Fused:
    parts = {
        "title": dense(n, numbers),
        "body": dense(n, numbers),
        "terms": sparse(n, numbers),
        "tokens": multi_vector(n, numbers),
    }
    return Fused(parts, {"title": 2.0, "body": 1.0, "terms": 0.5, "tokens": 0.0})


# a kind that joins the registry joins these two tables
MAKERS: dict[str, Callable[[int, np.random.Generator], Embeddings]] = {
    "dense": dense,
    "multi-vector": multi_vector,
    "several": fused,
    "sparse": sparse,
}


def plain(query: Any, document: Any) -> float:
    """The score of two single items, by loops over plain numbers."""
    return ORACLES[query.kind](query, document)


def _cosine(query: Dense, document: Dense) -> float:
    a, b = query.floats()[0].tolist(), document.floats()[0].tolist()
    sizes = [sum(value * value for value in vector) ** 0.5 for vector in (a, b)]
    return float(sum(x * y for x, y in zip(a, b, strict=True)) / (sizes[0] * sizes[1]))


def _terms(query: Sparse, document: Sparse) -> float:
    a, b = query.matrix().toarray()[0].tolist(), document.matrix().toarray()[0].tolist()
    return float(sum(x * y for x, y in zip(a, b, strict=True)))


def _closest(query: MultiVector, document: MultiVector) -> float:
    total = 0.0
    for token in query.tokens.floats().tolist():
        each = [
            sum(x * y for x, y in zip(token, other, strict=True))
            for other in document.tokens.floats().tolist()
        ]
        total += max(each, default=-np.inf)
    return total


def _weighed(query: Fused, document: Fused) -> float:
    return sum(
        weight * plain(query.parts[name], document.parts[name])
        for name, weight in query.weighted.items()
    )


ORACLES: dict[str, Callable[[Any, Any], float]] = {
    "dense": _cosine,
    "multi-vector": _closest,
    "several": _weighed,
    "sparse": _terms,
}
every_kind = pytest.mark.parametrize("kind", list(EMBEDDINGS))
every_storage = pytest.mark.parametrize(
    ("kind", "storage"), [(kind, each) for kind in EMBEDDINGS for each in EMBEDDINGS[kind].storages]
)


def made(kind: str, n: int = 7, seed: int = 0) -> Any:
    return MAKERS[kind](n, np.random.default_rng(seed))


def assert_same(ours: Embeddings, theirs: Embeddings) -> None:
    assert type(ours) is type(theirs)
    assert (len(ours), ours.storage, ours.similarity) == (
        len(theirs),
        theirs.storage,
        theirs.similarity,
    )
    one, other = ours.arrays(), theirs.arrays()
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype
        np.testing.assert_array_equal(array, other[name], err_msg=name)


class Numbered:
    """Terms and tokens called by their numbers."""

    def terms(self, numbers: Sequence[int]) -> list[str]:
        return [str(number) for number in numbers]

    def query_tokens(self, count: int) -> list[str]:
        return [str(place) for place in range(count)]

    document_tokens = query_tokens

    def document_parts(self) -> None:
        return None


def test_the_registry_contracts_and_this_suite_know_the_same_kinds() -> None:
    assert set(EMBEDDINGS) == set(MAKERS) == set(ORACLES) == set(CONTRACT_KINDS)
    assert all(EMBEDDINGS[kind].kind == kind for kind in EMBEDDINGS)


@every_kind
def test_a_kind_states_storages_that_it_has(kind: str) -> None:
    made_of = EMBEDDINGS[kind]
    assert {"float32", "float16"} <= set(made_of.storages) >= set(made_of.worth_measuring)
    with pytest.raises(ContractError, match=r"are not stored as 'float15'; .*mean 'float16'"):
        made(kind).quantise("float15")


@every_kind
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 5), m=st.integers(0, 5))
def test_scores_are_those_of_plain_loops(kind: str, seed: int, n: int, m: int) -> None:
    query, document = made(kind, n, seed), made(kind, m, seed + 1)
    scores = query.scores(document)
    assert (scores.shape, scores.dtype) == ((n, m), np.float32)
    expected = [
        [plain(query[[row]], document[[column]]) for column in range(m)] for row in range(n)
    ]
    np.testing.assert_allclose(scores, np.array(expected).reshape(n, m), rtol=1e-4, atol=1e-4)


@every_storage
def test_a_folder_gives_the_same_items_back(tmp_path: Path, kind: str, storage: str) -> None:
    stored = made(kind).quantise(storage)
    stored.save(tmp_path / "v", ids=list("abcdefg"))
    opened = open_embeddings(tmp_path / "v")
    assert_same(opened, stored)
    query = made(kind, 3, seed=1)
    np.testing.assert_array_equal(query.scores(opened), query.scores(stored))
    assert opened.usage == stored.usage
    assert stored_size(tmp_path / "v").bytes_per_item == pytest.approx(stored.bytes_per_item)


@every_storage
def test_items_are_chosen_and_joined_at_every_storage(kind: str, storage: str) -> None:
    whole = made(kind).quantise(storage)
    query = made(kind, 3, seed=1)
    scores = query.scores(whole)
    masked = np.arange(7) % 2 == 0
    for items in (slice(1, 4), [4, 0, 4], np.array([5]), masked, slice(0, 0)):
        chosen = scores[:, np.arange(7)[items]]
        np.testing.assert_allclose(query.scores(whole[items]), chosen, rtol=1e-5, atol=1e-6)
    joined = type(whole).join([whole[3:], whole[:0], whole[:3]])
    assert_same(joined, whole[[3, 4, 5, 6, 0, 1, 2]])


@every_kind
def test_float16_scores_nearly_as_float32(kind: str) -> None:
    whole, query = made(kind), made(kind, 3, seed=1)
    half = whole.quantise("float16")
    np.testing.assert_allclose(query.scores(half), query.scores(whole), atol=0.02)
    assert half.bytes_per_item < whole.bytes_per_item
    assert_same(whole.quantise("float32"), whole)


@every_kind
def test_records_give_the_items_back_bit_for_bit(kind: str) -> None:
    whole = made(kind)
    again = whole[:0].of_records(whole.records())
    assert_same(again, whole)
    assert_same(whole.of_records([whole.records()[2]]), whole[[2]])


@every_kind
def test_peaks_are_the_greatest_magnitudes_of_an_items_values(kind: str) -> None:
    whole = made(kind)
    for at, peak in enumerate(whole.peaks().tolist()):
        floats = [array for array in whole[[at]].arrays().values() if array.dtype.kind == "f"]
        greatest = max((float(np.abs(array).max()) for array in floats if array.size), default=0.0)
        assert peak == pytest.approx(greatest)


@every_kind
def test_what_explains_a_score_sums_to_it(kind: str) -> None:
    query, documents = made(kind, 3, seed=2), made(kind)
    scores = query.scores(documents)
    for row in range(3):
        for column in range(7):
            one, other = query[[row]], documents[[column]]
            found = one.explain(other, Numbered())
            if one.one_vector or not np.isfinite(scores[row, column]):
                assert found == []
            else:
                total = sum(match.score for match in found)
                assert total == pytest.approx(float(scores[row, column]), abs=1e-4)


@every_kind
def test_only_one_vector_per_item_is_an_array(kind: str) -> None:
    whole = made(kind)
    if not whole.one_vector:
        with pytest.raises(TypeError, match=rf"^{kind} embeddings are not one array; .*\.arrays"):
            np.asarray(whole)
        with pytest.raises(ContractError, match=f"search wants dense vectors; got {kind}"):
            whole.as_dense("search")
        return
    assert whole.as_dense("search") is whole
    floats = np.asarray(whole)
    assert (floats.shape, floats.dtype) == (whole.shape, np.float32)
    np.testing.assert_array_equal(whole @ whole.T, floats @ floats.T)
    np.testing.assert_array_equal(np.asarray(whole[2:4]), floats[2:4])
    np.testing.assert_array_equal(whole[2], floats[2])
    np.testing.assert_array_equal(whole[:, :3], floats[:, :3])
    np.testing.assert_array_equal([vector.sum() for vector in whole], floats.sum(1))
    np.testing.assert_array_equal(np.asarray(whole, dtype=np.float64), floats.astype(np.float64))


@every_kind
def test_tokens_are_pooled_where_there_are_tokens(kind: str) -> None:
    whole = made(kind)
    if whole.merges_tokens:
        assert whole.pool(2).bytes_per_item < whole.bytes_per_item
        return
    with pytest.raises(ContractError, match=f"{kind} embeddings have no tokens to pool"):
        whole.pool(2)


@pytest.mark.parametrize("kind", ["dense", "multi-vector"])
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_dimensions_are_cut_by_plain_loops(kind: str, storage: str) -> None:
    whole = made(kind).quantise(storage)
    short = whole.truncate(2)
    vectors, cut = (whole, short) if kind == "dense" else (whole.tokens, short.tokens)
    for vector, found in zip(vectors.floats().tolist(), cut.floats().tolist(), strict=True):
        size = sum(value * value for value in vector[:2]) ** 0.5
        np.testing.assert_allclose(found, [value / size for value in vector[:2]], atol=1e-3)
    with pytest.raises(ContractError, match="7 dimensions were asked for"):
        whole.truncate(7)
    with pytest.raises(ContractError, match="truncate first, then quantise"):
        made(kind).quantise("int8").truncate(2)


@every_kind
@pytest.mark.parametrize("damage", ["missing", "short", "flipped", "items"])
def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path, kind: str, damage: str) -> None:
    made(kind).save(tmp_path / "v")
    for name in made(kind).arrays():
        file = tmp_path / "v" / name
        kept = file.read_bytes()
        if damage == "missing":
            file.unlink()
        elif damage == "short":
            file.write_bytes(kept[:-3])
        elif damage == "flipped":
            file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        else:
            facts = json.loads((tmp_path / "v" / "vectors.json").read_text(encoding="utf-8"))
            wrong = json.dumps(facts | {"items": 8})
            (tmp_path / "v" / "vectors.json").write_text(wrong, encoding="utf-8")
        with pytest.raises(InputError):
            open_embeddings(tmp_path / "v")
        file.write_bytes(kept)
