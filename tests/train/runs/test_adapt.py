from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.linalg import expm

from nearfield.data.collection import Collection
from nearfield.errors import CollectionError, ContractError, InputError
from nearfield.evaluate.measures import score_ranking
from nearfield.indexes.exact import Exact
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.dense import Dense
from nearfield.train.data.frozen import FrozenVectors
from nearfield.train.data.leakage import free_documents
from nearfield.train.runs import bridging
from nearfield.train.runs.adapt import _training_data, adapt
from nearfield.train.runs.adapter import AdapterRecipe, _Steps
from nearfield.train.runs.bridge import BridgeRecipe
from tiny_data import tiny_collection

RECIPE = AdapterRecipe(kind="linear", epochs=12, batch=32, rate=1e-2)


def turned_away(*, noise: float = 0.0, turn: float = 1.0) -> FrozenVectors:
    """Each query's vector is its document's, turned: 160 documents, 80 training pairs."""
    collection = tiny_collection(queries=160)
    generator = np.random.default_rng(0)
    documents = generator.normal(size=(160, 12))
    skew = generator.normal(size=(12, 12)) / 12**0.5
    queries = documents @ expm(turn * (skew - skew.T)) + noise * generator.normal(
        size=documents.shape
    )
    sides = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (documents, queries))
    return FrozenVectors(
        "turned", collection, *(Dense(side.astype(np.float32), 12) for side in sides)
    )


def test_queries_are_turned_back_and_the_verdict_is_on_unseen_ones() -> None:
    vectors = turned_away()
    before = vectors.documents.vectors.copy()
    found = adapt(vectors, RECIPE)
    assert (found.verdict.outcome, found.verdict.queries, found.verdict.split) == (
        "better",
        40,
        "test",
    )
    assert found.verdict.difference.low > 0
    np.testing.assert_array_equal(vectors.documents.vectors, before)
    test = vectors.collection.split("test")
    mapped = replace(
        vectors.of_split(test), vectors=found.vector_map.apply_to(vectors.of_split(test).floats())
    )
    ids = vectors.collection.document_ids
    queries = Queries(test.query_texts, test.query_ids)
    ranking = retrieve(mapped, Exact(vectors.documents), queries, ids, k=100)
    again = score_ranking(ranking, test.relevance, ["nDCG@10"])["nDCG@10"].mean
    assert found.verdict.tuned.mean == pytest.approx(again)


def test_where_nothing_helps_on_dev_the_map_is_the_identity() -> None:
    vectors = turned_away(turn=0.0)
    found = adapt(vectors, replace(RECIPE, rate=3.0, epochs=2))
    assert found.share == 0
    assert found.verdict.outcome == "no difference shown"
    np.testing.assert_allclose(
        found.vector_map.apply_to(vectors.queries.floats()), vectors.queries.floats(), atol=1e-6
    )


def test_a_query_that_is_a_document_neither_finds_itself_nor_is_its_negative() -> None:
    plain = turned_away()
    documents = plain.collection.documents.to_pydict()
    for name in documents:
        documents[name] += list(
            plain.collection.query_ids if name == "id" else plain.collection.query_texts
        )
    collection = replace(plain.collection, documents=pa.table(documents))
    both = Dense(np.concatenate([plain.documents.vectors, plain.queries.vectors]), 12)
    vectors, train = (
        FrozenVectors("turned", collection, both, plain.queries),
        collection.split("train"),
    )
    data = _training_data(vectors, free_documents(collection, positives=True))
    assert data.own is not None
    np.testing.assert_array_equal(data.document[data.own], vectors.of_split(train).floats())
    for key, found in zip(
        train.query_ids,
        vectors.ranking(train).documents[:, :10],
        strict=True,
    ):
        assert key not in [collection.document_ids[int(at)] for at in found]
    ignored = _Steps(data, np.zeros((1, 2), np.int64), RECIPE, "cosine").relevant[0]
    assert ignored.tolist() == [*data.relevant[0], data.own[0]]


def test_no_document_of_dev_or_test_is_a_negative() -> None:
    collection = tiny_collection(queries=40)
    free = set(free_documents(collection, positives=True).tolist())
    for split, inside in (("train", True), ("dev", False), ("test", False)):
        named = {key for judged in collection.split(split).relevance.values() for key in judged}
        positions = set(collection.document_positions(sorted(named)).tolist())
        assert positions <= free if inside else positions.isdisjoint(free)


def test_a_collection_without_the_splits_is_an_error() -> None:
    vectors = turned_away()
    bare = Collection(
        "bare",
        *(
            getattr(tiny_collection(queries=160, dev=False), part)
            for part in ("documents", "queries", "judgements")
        ),
    )
    with pytest.raises(CollectionError, match="has no split 'dev'"):
        adapt(replace(vectors, collection=bare), RECIPE)


def spaces() -> tuple[FrozenVectors, FrozenVectors]:
    """An old model of 10 dimensions and a new one of 14 that see the same twelve causes."""
    collection = tiny_collection(queries=160)
    generator = np.random.default_rng(0)
    causes = generator.normal(size=(160, 12))
    asked = causes + 0.3 * generator.normal(size=causes.shape)
    sides = []
    for name, dim in (("old", 10), ("new", 14)):
        mix = generator.normal(size=(12, dim))
        made = [
            side @ mix / np.linalg.norm(side @ mix, axis=1, keepdims=True)
            for side in (causes, asked)
        ]
        sides.append(
            FrozenVectors(name, collection, *(Dense(side.astype(np.float32), dim) for side in made))
        )
    return sides[0], sides[1]


def test_a_bridge_brings_back_most_of_what_a_new_model_on_old_vectors_loses() -> None:
    old, new = spaces()
    found = bridging.bridge(
        old, new, sample=np.arange(100), recipe=BridgeRecipe(width=0), shares=(0.5,)
    )
    means = {row.name: row.estimate.mean for row in found.comparison.rows}
    assert means[bridging.AGAIN] >= means["50% embedded again"] > means[bridging.UNBRIDGED]
    assert means[bridging.BRIDGED] > means[bridging.UNBRIDGED]
    assert found.kept == pytest.approx(means[bridging.BRIDGED] / means[bridging.AGAIN])
    lost = means[bridging.AGAIN] - means[bridging.UNBRIDGED]
    assert found.regained == pytest.approx(
        (means[bridging.BRIDGED] - means[bridging.UNBRIDGED]) / lost
    )
    assert found.regained > 0.6
    test = new.collection.split("test")
    queries, carried = (
        new.of_split(test).floats(),
        found.vector_map.apply_to(old.documents.floats()),
    )
    shares = []
    for query in queries:
        best, seen = (
            set(np.argsort(-(vectors @ query), kind="stable")[:10])
            for vectors in (new.documents.floats(), carried)
        )
        shares.append(len(best & seen) / 10)
    assert found.recall.mean == pytest.approx(np.mean(shares))


def test_a_bridge_wants_one_collection_and_float_vectors() -> None:
    old, new = spaces()
    other = replace(new, collection=tiny_collection(queries=160, seed=1))
    with pytest.raises(InputError, match="wanted one collection"):
        bridging.bridge(old, other, sample=np.arange(100))
    with pytest.raises(ContractError, match="old vectors are binary"):
        bridging.bridge(
            replace(old, documents=old.documents.quantise("binary")), new, sample=np.arange(100)
        )


def test_a_copy_of_what_is_tested_is_no_negative() -> None:
    whole = tiny_collection()
    text = dict(zip(whole.document_ids, whole.document_texts, strict=True))[
        next(iter(whole.split("test").relevance["q3"]))
    ]
    more = pa.table(
        {"id": ["copy"], "title": [""], "text": [text.upper()], "group": [""]},
        schema=whole.documents.schema,
    )
    planted = replace(whole, documents=pa.concat_tables([whole.documents, more]))
    free = {planted.document_ids[int(at)] for at in free_documents(planted, positives=True)}
    assert "copy" not in free
    assert free == set(
        whole.judgements.filter(pc.equal(whole.judgements["split"], "train"))[
            "document"
        ].to_pylist()
    )


def test_a_bridge_is_not_fitted_on_what_is_held_out() -> None:
    old, new = spaces()
    found = bridging.bridge(old, new, sample=np.arange(160), recipe=BridgeRecipe(width=0))
    train = new.collection.judgements.filter(pc.equal(new.collection.judgements["split"], "train"))
    assert found.fitted_on == len(set(train["document"].to_pylist()))
    held = np.setdiff1d(np.arange(160), free_documents(new.collection))
    with pytest.raises(InputError, match="0 sampled documents are free"):
        bridging.bridge(old, new, sample=held)
