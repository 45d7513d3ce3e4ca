"""What training sees, and what it must not see."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nearfield.data.collection import Collection
from nearfield.data.kept_split import with_all_splits
from nearfield.encoders.text import TextEncoder
from nearfield.errors import CollectionError
from nearfield.models.model import TextModel
from nearfield.train.data.mining import mine
from nearfield.train.data.prepare import dev_pool, open_corpus, training_data
from nearfield.train.data.training_data import TrainingData, possibly_relevant
from nearfield.train.engine.trainer import trainable
from nearfield.train.recipe import Recipe
from nearfield.types.progress import silent
from tiny_data import tiny_collection

RECIPE = Recipe.of({"negatives": {"per_query": 4, "margin": 3.0}, "pool": 70})


@pytest.fixture(scope="module")
def planted() -> Collection:
    """A copy of each test and dev positive that nothing judges, and a document that a test query
    judges 0.
    """
    whole = tiny_collection()
    documents, judged = whole.documents.to_pydict(), whole.judgements.to_pydict()
    texts = dict(zip(documents["id"], documents["text"], strict=True))
    for query, document, split in list(
        zip(judged["query"], judged["document"], judged["split"], strict=True)
    ):
        if split != "train":
            _add(documents, f"copy-{document}", texts[document])
        if split == "test" and query.endswith("3"):
            _add(
                documents,
                f"zero-{query}",
                " ".join(reversed(texts[document].split())) + f" {query}",
            )
            for name, value in {
                "query": query,
                "document": f"zero-{query}",
                "relevance": 0,
                "split": "test",
            }.items():
                judged[name].append(value)
    judgements = pa.table(judged, schema=whole.judgements.schema)
    return dataclasses.replace(
        whole, documents=pa.table(documents, schema=whole.documents.schema), judgements=judgements
    )


def _add(documents: dict[str, list[str]], key: str, text: str) -> None:
    for name, value in {"id": key, "title": "", "text": text, "group": ""}.items():
        documents[name].append(value)


def test_no_negative_is_judged_in_dev_or_test_nor_a_copy_of_such(
    planted: Collection, tiny: Path
) -> None:
    encoder = TextEncoder.open(tiny)
    pairs = mine(encoder, open_corpus(encoder, planted, progress=silent), RECIPE)
    ids = planted.document_ids
    held = {row["document"] for row in planted.judgements.to_pylist() if row["split"] != "train"}
    used = {ids[int(at)] for at in pairs.negatives.ravel() if at >= 0}
    assert used
    assert not used & held
    assert not any(name.startswith(("copy-", "zero-")) for name in used)
    train = planted.split("train")
    for query, positive, negatives in zip(
        pairs.query, pairs.positive, pairs.negatives, strict=True
    ):
        assert train.relevance[train.query_ids[int(query)]] == {ids[int(positive)]: 1}
        assert int(positive) not in negatives.tolist()


def test_the_dev_pool_holds_no_document_of_the_test_split(planted: Collection, tiny: Path) -> None:
    encoder = TextEncoder.open(tiny)
    pool = dev_pool(encoder, open_corpus(encoder, planted, progress=silent), RECIPE)
    tested = {row["document"] for row in planted.judgements.to_pylist() if row["split"] == "test"}
    assert tuple(pool.query_ids) == planted.split("dev").query_ids
    assert not tested & set(pool.document_ids)
    assert {
        row["document"] for row in planted.judgements.to_pylist() if row["split"] == "dev"
    } <= set(pool.document_ids)
    assert len(pool.document_ids) <= 70


def test_a_training_pair_whose_document_is_also_tested_is_kept(tiny: Path) -> None:
    whole = tiny_collection()
    judged = whole.judgements.to_pydict()
    judged["document"][judged["query"].index("q0")] = "d3"  # the positive of the test query q3
    shared = dataclasses.replace(whole, judgements=pa.table(judged, schema=whole.judgements.schema))
    encoder = TextEncoder.open(tiny)
    pairs = mine(encoder, open_corpus(encoder, shared, progress=silent), RECIPE)
    assert len(pairs) == len(shared.split("train").query_ids)
    assert 3 not in pairs.negatives.ravel().tolist()


@pytest.fixture(scope="module")
def asking_itself() -> Collection:
    """Each query is a document, too, as in ArguAna and Quora."""
    whole = tiny_collection()
    documents = whole.documents.to_pydict()
    for key, text in zip(whole.query_ids, whole.query_texts, strict=True):
        _add(documents, key, text)
    return dataclasses.replace(whole, documents=pa.table(documents, schema=whole.documents.schema))


def test_a_query_that_is_a_document_is_no_negative_of_itself(
    asking_itself: Collection, tiny: Path
) -> None:
    encoder, train = TextEncoder.open(tiny), asking_itself.split("train")
    corpus = open_corpus(encoder, asking_itself, progress=silent)
    pairs = mine(encoder, corpus, RECIPE)
    own = train.own_documents
    assert [asking_itself.document_ids[int(at)] for at in own] == list(train.query_ids)
    for query, negatives in zip(pairs.query, pairs.negatives, strict=True):
        assert own[query] not in negatives
    data = training_data(encoder, asking_itself, pairs, RECIPE, corpus.same)
    assert possibly_relevant(data, pairs.query[:1], pairs.positive[:1], own[pairs.query[:1]]).all()


def test_a_query_that_is_a_document_does_not_find_itself_in_a_pool(
    asking_itself: Collection, tiny: Path
) -> None:
    encoder = TextEncoder.open(tiny)
    pool = dev_pool(
        encoder,
        open_corpus(encoder, asking_itself, progress=silent),
        dataclasses.replace(RECIPE, pool=500),
    )
    assert pool.own is not None
    assert [pool.document_ids[at] for at in pool.own] == list(pool.query_ids)
    pool = dataclasses.replace(pool, measure="RR@100")
    queries, documents = pool.embedded(encoder)
    scored = queries.scores(documents)
    for scores in (pool.scores(encoder), pool.judged(scored)):
        for row, key in enumerate(pool.query_ids):
            (relevant,) = (pool.document_ids.index(document) for document in pool.relevance[key])
            better = [
                at
                for at in range(scored.shape[1])
                if scored[row, at] > scored[row, relevant] and at != pool.own[row]
            ]
            assert scores.values[row] == pytest.approx(
                1 / (len(better) + 1) if len(better) < 100 else 0
            )


def test_tokens_are_those_of_the_documents_that_the_pairs_name(tiny: Path) -> None:
    whole, encoder = tiny_collection(), TextEncoder.open(tiny)
    corpus = open_corpus(encoder, whole, progress=silent)
    pairs = mine(encoder, corpus, RECIPE)
    data = training_data(encoder, whole, pairs, RECIPE, corpus.same)
    for row in (0, 7, 20):
        named = np.array([at for at in (pairs.positive[row], *pairs.negatives[row]) if at >= 0])
        tokens = data.documents.tokens(named)
        for place, at in enumerate(named):
            alone = encoder.tokenise([whole.document_texts[int(at)]], "document")
            assert tokens.of(place).tolist() == alone.ids.tolist()


def test_what_may_be_relevant_is_no_negative() -> None:
    nothing = np.zeros(0, np.int32)
    data = TrainingData(
        nothing, nothing, nothing, same=np.array([0, 1, 0, 3, 4]), relevant=[{0, 4}, {1}]
    )  # type: ignore[arg-type]
    marked = possibly_relevant(data, np.array([0, 1]), np.array([0, 1]), np.arange(5))
    assert marked.tolist() == [[True, False, True, False, True], [False, True, False, False, False]]


def test_splits_are_made_where_they_are_missing() -> None:
    whole = tiny_collection()
    assert with_all_splits(whole, seed=0) == (whole, ())
    cut, notes = with_all_splits(tiny_collection(dev=False), seed=0)
    assert cut.splits == ("train", "dev", "test")
    assert "dev was carved" in notes[0]
    with pytest.raises(CollectionError, match="tuning wants train and test"):
        with_all_splits(
            dataclasses.replace(
                whole, judgements=whole.judgements.set_column(3, "split", pa.array(["a", "b"] * 60))
            ),
            seed=0,
        )


def test_embeddings_are_frozen_by_what_they_are_and_not_by_their_name(tiny: Path) -> None:
    model = TextModel.open(tiny)
    trained = trainable(model, Recipe())
    assert "embeddings.word_embeddings.weight" not in trained
    assert "embeddings.LayerNorm.weight" in trained
    assert "pooler.dense.weight" not in trained
    assert "embeddings.word_embeddings.weight" in trainable(
        model, Recipe.of({"schedule": {"freeze_embeddings": False}})
    )
