"""Adapters and bridges as runs: what they gain on synthetic spaces, and what they keep clear of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.linalg import expm

from nearfield.data.collection import Collection
from nearfield.encoders.encoder import Encoder
from nearfield.errors import CollectionError
from nearfield.evaluate.measures import score_ranking
from nearfield.indexes.exact import Exact
from nearfield.models.vector_map import VectorMap
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.dense import Dense
from nearfield.train.data.frozen import FrozenVectors
from nearfield.train.data.leakage import free_documents
from nearfield.train.fits.adapter import AdapterRecipe, _Steps
from nearfield.train.fits.bridge import BridgeRecipe
from nearfield.train.runs.adapt import StoredVectors, adapt, training_data
from nearfield.train.runs.bridge import AGAIN, BRIDGED, OLD, UNBRIDGED, bridge
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY, Role
from nearfield.types.verdict import Verdict
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


def adapted(vectors: FrozenVectors, folder: Path, recipe: AdapterRecipe = RECIPE) -> Verdict:
    """The verdict on an adapter trained on these vectors, which lie in files."""
    given = vectors.collection
    vectors.documents.save(folder / "documents", ids=list(given.document_ids))
    vectors.queries.save(folder / "queries", ids=list(given.query_ids))
    stored = StoredVectors(folder / "documents", folder / "queries")
    return adapt(None, given, to=folder / "run", stored=stored, recipe=recipe)


def facts(run: Path) -> dict[str, Any]:
    """What the adapter in the run folder says of itself."""
    told: dict[str, Any] = json.loads((run / "adapter" / "adapter.json").read_text())
    return told


def test_queries_are_turned_back_and_the_verdict_is_on_unseen_ones(tmp_path: Path) -> None:
    vectors = turned_away()
    verdict = adapted(vectors, tmp_path)
    assert (verdict.outcome, verdict.queries, verdict.split) == ("better", 40, "test")
    assert (verdict.tuned.noun, verdict.baseline.noun) == ("adapted model", "model without it")
    assert verdict.difference.low > 0
    assert facts(tmp_path / "run")["notes"] == [
        "without a guard: vectors from files have no model to encode one"
    ]
    found = VectorMap.open(tmp_path / "run" / "adapter" / "map")
    test = vectors.collection.split("test")
    mapped = replace(
        vectors.of_split(test), vectors=found.apply_to(vectors.of_split(test).floats())
    )
    ids = vectors.collection.document_ids
    queries = Queries(test.query_texts, test.query_ids)
    ranking = retrieve(mapped, Exact(vectors.documents), queries, ids, k=100)
    again = score_ranking(ranking, test.relevance, ["nDCG@10"])["nDCG@10"].mean
    assert verdict.tuned.mean == pytest.approx(again)


def test_where_nothing_helps_on_dev_the_map_is_the_identity(tmp_path: Path) -> None:
    vectors = turned_away(turn=0.0)
    verdict = adapted(vectors, tmp_path, replace(RECIPE, rate=3.0, epochs=2))
    assert facts(tmp_path / "run")["share"] == 0
    assert verdict.outcome == "no difference shown"
    found = VectorMap.open(tmp_path / "run" / "adapter" / "map")
    np.testing.assert_allclose(
        found.apply_to(vectors.queries.floats()), vectors.queries.floats(), atol=1e-6
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
    data = training_data(vectors, free_documents(collection, positives=True))
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


class Known(Encoder[Dense]):
    """A model that knows the vectors of some texts."""

    def __init__(self, name: str, collection: Collection, vectors: Sequence[np.ndarray]) -> None:
        self.contract = Contract(name, vectors[0].shape[1], 512)
        texts = [*collection.document_texts, *collection.query_texts]
        self.known = dict(zip(texts, np.concatenate(vectors).astype(np.float32), strict=True))

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Dense:
        return Dense.under(self.contract, np.stack([self.known[item] for item in items]))


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> tuple[Collection, dict[str, Known]]:
    """An old model of 10 dimensions and a new one of 14 that see the same twelve causes."""
    collection = tiny_collection(queries=160)
    generator = np.random.default_rng(0)
    causes = generator.normal(size=(160, 12))
    asked = causes + 0.3 * generator.normal(size=causes.shape)
    sides = {}
    for name, dim in (("old", 10), ("new", 14)):
        mix = generator.normal(size=(12, dim))
        made = [
            side @ mix / np.linalg.norm(side @ mix, axis=1, keepdims=True)
            for side in (causes, asked)
        ]
        sides[name] = Known(name, collection, made)
    monkeypatch.setattr("nearfield.train.runs.bridge.load", lambda name, device: sides[name])
    return collection, sides


LINEAR = BridgeRecipe(width=0)


def test_a_bridge_brings_back_most_of_what_a_new_model_on_old_vectors_loses(
    spaces: tuple[Collection, dict[str, Known]], tmp_path: Path
) -> None:
    collection, models = spaces
    verdict = bridge("old", "new", collection, to=tmp_path / "run", recipe=LINEAR, guards=())
    assert verdict is not None
    assert (verdict.tuned.noun, verdict.baseline.noun) == ("bridged documents", "old model")
    rows = json.loads((tmp_path / "run" / "comparison.json").read_text())["rows"]
    means = {row["name"]: row["estimate"]["mean"] for row in rows}
    assert (verdict.tuned.mean, verdict.baseline.mean) == (means[BRIDGED], means[OLD])
    assert means[AGAIN] >= means["50% embedded again"] > means[UNBRIDGED]
    assert means[BRIDGED] > means[UNBRIDGED]
    found = json.loads((tmp_path / "run" / "bridge.json").read_text())
    assert found["kept"] == pytest.approx(means[BRIDGED] / means[AGAIN])
    lost = means[AGAIN] - means[UNBRIDGED]
    assert found["regained"] == pytest.approx((means[BRIDGED] - means[UNBRIDGED]) / lost)
    assert found["regained"] > 0.6
    test, carry = collection.split("test"), VectorMap.open(tmp_path / "run" / "map")
    old, new = (models[name].encode(collection.document_texts, "document") for name in models)
    carried, shares = carry.apply_to(old.floats()), []
    for query in models["new"].encode(test.query_texts, QUERY).floats():
        best, seen = (
            set(np.argsort(-(vectors @ query), kind="stable")[:10])
            for vectors in (new.floats(), carried)
        )
        shares.append(len(best & seen) / 10)
    assert found["recall"]["mean"] == pytest.approx(np.mean(shares))


def test_a_bridge_is_not_fitted_on_what_is_held_out(
    spaces: tuple[Collection, dict[str, Known]], tmp_path: Path
) -> None:
    collection, _ = spaces
    bridge("old", "new", collection, to=tmp_path / "run", recipe=LINEAR, guards=())
    train = collection.judgements.filter(pc.equal(collection.judgements["split"], "train"))
    fitted = json.loads((tmp_path / "run" / "bridge.json").read_text())["fitted_on"]
    assert fitted == len(set(train["document"].to_pylist()))
    split = pa.array(["test"] * len(collection.judgements))
    judged = replace(collection, judgements=collection.judgements.set_column(3, "split", split))
    with pytest.raises(CollectionError, match="0 documents are free of held-out judgements"):
        bridge("old", "new", judged, to=tmp_path / "other", recipe=LINEAR, guards=())


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
