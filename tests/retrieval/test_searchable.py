"""The front door: documents in any form, searched, kept and opened again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counting import CountingTerms
from late_models import tiny_late
from nearfield.encoders.encoder_scorer import EncoderScorer
from nearfield.encoders.load import load
from nearfield.errors import ContractError, InputError, StorageError
from nearfield.retrieval.searchable import Plan, index, open_index, search
from tiny import tiny_model
from tiny_data import text_files, tiny_collection

TEXTS = ["a cat on a mat", "tax law for small firms", "ships and cats", "how bread is baked"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "model")


@pytest.mark.parametrize("form", ["texts", "records", "path", "collection"])
def test_documents_of_every_form_are_found(form: str, tmp_path: Path) -> None:
    forms = {
        "texts": TEXTS,
        "records": [{"id": f"d{at}", "title": "", "text": text} for at, text in enumerate(TEXTS)],
        "path": text_files(tmp_path / "texts", TEXTS),
        "collection": tiny_collection(),
    }
    hits = search("bm25", forms[form], "cat", k=2)
    assert [hit.rank for hit in hits] == [1, 2]
    assert all("cat" in hit.text for hit in hits)
    assert hits[0].score >= hits[1].score > 0
    if form == "records":
        assert sorted(hit.id for hit in hits) == ["d0", "d2"]


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_several_queries_are_searched_as_each_alone() -> None:
    plan = Plan(fuse=True, rerank=EncoderScorer(CountingTerms()))
    found = index(CountingTerms(), TEXTS, plan=plan)
    queries = ["tax law", "a cat", "tax law"]
    several = found.search_each(queries, 2)
    assert several == [found.search(query, 2) for query in queries]
    assert found.search_each([]) == []
    assert search("bm25", TEXTS, queries) == [search("bm25", TEXTS, query) for query in queries]
    with pytest.raises(InputError, match="got one text"):
        found.search_each("tax law")


def test_what_is_no_document_is_refused() -> None:
    for wrong in ([{"weight": "a cat"}], [{"id": "1"}], [], [3]):
        with pytest.raises(InputError):
            index("bm25", wrong)


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_a_hit_says_why() -> None:
    found = index("bm25", TEXTS, plan=Plan(rerank=EncoderScorer(CountingTerms())))
    (first, *_) = found.search("a cat and quasars")
    assert set(first.ranks) == {"bm25"}
    assert list(first.why) == ["bm25", f"{CountingTerms().contract.name}, reranking"]
    assert [match.query for match in first.why["bm25"].matches] == ["cat"]
    assert first.why["bm25"].unmet == ["quasar"]
    assert found.stopped("a cat") == {"bm25": ["a"]}


def test_a_model_and_bm25_are_fused(model: Path) -> None:
    found = index(str(model), TEXTS, plan=Plan(fuse=True))
    hits = found.search("cat", k=4)
    assert set(hits[0].ranks) == {str(model), "bm25"}
    assert sorted(hit.ranks["bm25"] or 9 for hit in hits) == [1, 2, 9, 9]


def test_an_index_is_kept_opened_again_and_encodes_what_changed(
    model: Path, tmp_path: Path
) -> None:
    encoder, place = load(model), tmp_path / "index"
    first = index(str(model), TEXTS, place).search("cat", k=3)
    vectors = (place / "vectors" / "vectors.npy").stat().st_mtime_ns
    for again in (index(str(model), TEXTS, place), index(encoder, TEXTS, place), open_index(place)):
        assert [(hit.id, hit.score) for hit in again.search("cat", k=3)] == [
            (hit.id, hit.score) for hit in first
        ]
    assert (place / "vectors" / "vectors.npy").stat().st_mtime_ns == vectors
    changed = index(str(model), [*TEXTS[:3], "a cat, a cat"], place)
    expected = encoder.encode([*TEXTS[:3], "a cat, a cat"], "document")
    stored = changed.retriever.stages[0].documents
    assert stored is not None
    np.testing.assert_array_equal(stored.as_dense("test").floats(), expected.floats())
    assert open_index(place).collection.document_texts[3] == "a cat, a cat"
    other = tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(StorageError, match="holds vectors by model as document"):
        index(str(other), TEXTS[:1], place)
    assert len(open_index(place).collection.document_ids) == 4


def test_an_index_of_words_is_kept(tmp_path: Path) -> None:
    index("bm25", TEXTS, tmp_path / "words")
    assert [hit.text for hit in open_index(tmp_path / "words").search("bread")] == TEXTS[3:]
    with pytest.raises(InputError):
        open_index(tmp_path / "nowhere")


def test_no_index_is_opened_by_another_model_than_made_it(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "index"
    index(str(model), TEXTS, place)
    with pytest.raises(InputError, match="holds an index by a model's vectors; give bm25 its own"):
        index("bm25", TEXTS, place)
    assert open_index(place).retriever.stages[0].name == str(model)
    (place / "vectors" / "encoder.json").unlink()
    with pytest.raises(InputError, match="does not say which model made its vectors; call index"):
        open_index(place)


@pytest.mark.parametrize("where", [[True] * 4, [1, 2], np.arange(4), np.ones(3, bool)])
def test_where_is_a_flag_for_each_document(where: Any) -> None:
    with pytest.raises(ContractError, match=r"wanted \(4,\), a bool array"):
        index("bm25", TEXTS).search("cat", where=where)


def test_what_does_not_fit_together_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is nothing to fuse"):
        index("bm25", TEXTS, plan=Plan(fuse=True))
    with pytest.raises(InputError, match="there is no index 'hsnw'"):
        index("nowhere", TEXTS, plan=Plan(index="hsnw"))
    with pytest.raises(ContractError, match="the index funnel is not for multi-vector"):
        index(str(tiny_late(tmp_path / "late")), TEXTS, plan=Plan(index="funnel"))


def test_a_shortlist_is_kept_with_the_vectors(model: Path, tmp_path: Path) -> None:
    plan = Plan(index="binary", recall=0.9, k=2)
    found = index(str(model), TEXTS, tmp_path / "index", plan)
    facts = json.loads((tmp_path / "index" / "vectors" / "index-binary" / "index.json").read_text())
    assert (facts["items"], facts["k"], facts["recall"]) == (4, 2, 0.9)
    exact = index(str(model), TEXTS)
    assert [hit.id for hit in found.search("cat", 2)] == [hit.id for hit in exact.search("cat", 2)]
