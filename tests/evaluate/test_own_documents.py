"""The document of a query's own id is left out of its ranking, before the ranking is cut: BEIR's
rule.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counting import Counting, CountingFused, CountingTerms, CountingTokens
from nearfield.data.collection import DOCUMENTS, JUDGEMENTS, QUERIES, Collection
from nearfield.data.open import open_collection
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.encoder_scorer import EncoderScorer
from nearfield.evaluate.compare import compare
from nearfield.evaluate.reranked import reranked_system
from nearfield.evaluate.systems import System, bm25_system, fused_system, model_systems
from nearfield.evaluate.trec import write_run
from nearfield.types.ranking import Ranking

DEPTH = 5


@pytest.fixture
def arguments() -> Collection:
    """Twelve texts in pairs that answer each other; the queries a, c and e are documents, f has a
    document's id and it is the answer.
    """
    texts = {key: f"the {key * 3} of {'abcdef'.find(key) // 2} law" for key in "abcdefghijkl"}
    queries = {key: texts[key] for key in "acef"} | {"z": texts["a"]}
    judged = [("a", "b", 1), ("c", "d", 1), ("e", "g", 1), ("f", "f", 1), ("z", "b", 1)]
    return Collection(
        "arguments",
        pa.table(
            {
                "id": list(texts),
                "title": [""] * 12,
                "text": list(texts.values()),
                "group": [""] * 12,
            },
            schema=DOCUMENTS,
        ),
        pa.table(
            {"id": list(queries), "text": list(queries.values()), "group": [""] * 5}, schema=QUERIES
        ),
        pa.table(
            {
                name: [row[at] for row in judged]
                for at, name in enumerate(("query", "document", "relevance"))
            }
            | {"split": ["test"] * 5},
            schema=JUDGEMENTS,
        ),
    )


def found(system: System) -> dict[str, list[str]]:
    return {
        key: [name for name, _ in system.ranking.of(row)]
        for row, key in enumerate(system.ranking.query_ids)
    }


def check(system: System, whole: System) -> None:
    """Each ranking is the whole one without the query's own document, cut after that."""
    for key, names in found(whole).items():
        assert found(system)[key] == [name for name in names if name != key or key == "f"][:DEPTH]
        assert len(found(system)[key]) == DEPTH
        assert key in names or key == "z"


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("kind", [Counting, CountingTerms, CountingTokens, CountingFused])
def test_it_is_left_out_whatever_finds_it(arguments: Collection, kind: type[Encoder]) -> None:
    split, kept = arguments.split("test"), replace(arguments, keep_own=True).split("test")
    options = {"storages": ("float32", "int8")} if kind is Counting else {}
    ours = model_systems(kind(), split, name="counting", depth=DEPTH, **options)
    wholes = model_systems(kind(), kept, name="counting", depth=12, **options)
    for system, whole in zip(ours, wholes, strict=True):
        check(system, whole)
    lexical = bm25_system(split, depth=DEPTH)
    check(lexical, bm25_system(kept, depth=12))
    for system in (
        fused_system(lexical, ours[0]),
        reranked_system(ours[0], EncoderScorer(Counting()), split),
    ):
        assert not [key for key, names in found(system).items() if key in names and key != "f"]


def test_it_is_said_and_can_be_kept(arguments: Collection, tmp_path: Path) -> None:
    system = bm25_system(arguments.split("test"))
    assert compare([system], arguments.split("test")).notes == (
        "3 of 5 queries have the id of a document, which is left out of their rankings, as BEIR "
        "does",
    )
    kept = replace(arguments, keep_own=True)
    assert (
        "each may find itself"
        in compare([bm25_system(kept.split("test"))], kept.split("test")).notes[0]
    )
    write_run(system.ranking, tmp_path / "run")
    assert "a Q0 a " not in (tmp_path / "run").read_text()


def test_beirs_figure(shared_data: Path) -> None:
    """Queries whose ids are documents' ids, as in ArguAna: 1.0 without the query itself, .631 with
    it.
    """
    collection = open_collection(shared_data.parent / "cases" / "query_is_document" / "data")
    for data, figure in ((collection, 1.0), (replace(collection, keep_own=True), 0.631)):
        (row,) = compare([bm25_system(data.split("test"))], data.split("test")).rows
        assert row.estimate.mean == pytest.approx(figure, abs=5e-4)


@given(st.data())
def test_a_ranking_without_some_documents_by_plain_lists(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(st.lists(st.integers(0, 8), unique=True, max_size=6), min_size=1, max_size=4)
    )
    own = np.array([data.draw(st.integers(-1, 8)) for _ in rows], np.int64)
    k = data.draw(st.integers(1, 6))
    documents = np.array([row + [-1] * (6 - len(row)) for row in rows], np.int64)
    scores = np.where(documents >= 0, -np.arange(6.0), -np.inf).astype(np.float32)
    ranking = Ranking(
        [str(row) for row in range(len(rows))], list("abcdefghi"), documents, scores
    ).without(own, k)
    for row, (wanted, out) in enumerate(zip(rows, own, strict=True)):
        pairs = [
            ("abcdefghi"[document], -float(at))
            for at, document in enumerate(wanted)
            if document != out
        ][:k]
        assert ranking.of(row) == pairs
    assert ranking.documents.shape == (len(rows), k)
    assert np.isneginf(ranking.scores[ranking.documents < 0]).all()
