"""An index beside vectors is used again, made again for other vectors, and done without where
nothing can be written.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexes import clustered, exact_top_k
from nearfield.errors import InputError, NearfieldWarning, StorageError
from nearfield.indexes import INDEXES
from nearfield.indexes.shortlist import Shortlist, digest
from nearfield.retrieval.indexed import indexed
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.dense import Dense


@pytest.mark.parametrize("kind", ["funnel", "binary"])
def test_an_index_is_kept_until_the_vectors_change(kind: str, tmp_path: Path) -> None:
    documents, folder = clustered(400), tmp_path / "vectors"
    documents.save(folder)
    file = folder / f"index-{kind}" / "index.json"

    def of(vectors: Dense, k: int = 5, recall: float = 0.9) -> Shortlist:
        index = indexed(vectors, kind, k=k, recall=recall, folder=folder)
        assert isinstance(index, Shortlist)
        fresh = INDEXES[kind].of(vectors)
        assert isinstance(fresh, Shortlist)
        query = clustered(9, seed=7).floats()
        if kind == "binary":  # of one size
            np.testing.assert_array_equal(index.candidates(query, 20), fresh.candidates(query, 20))
        assert json.loads(file.read_text())["made_of"] == digest(vectors)
        return index

    first, written = of(documents), file.stat().st_mtime_ns
    assert of(documents).oversampling == first.oversampling
    assert file.stat().st_mtime_ns == written
    assert of(documents, 7, 0.95).k == 7
    of(clustered(400, seed=5))
    one_changed = documents.vectors.copy()
    one_changed[123] = -one_changed[123]
    of(replace(documents, vectors=one_changed))
    file.write_text("{}")
    with pytest.warns(NearfieldWarning, match=r"index\.json: .*; it is made again"):
        of(documents)


@pytest.mark.parametrize("kind", ["funnel", "binary"])
def test_an_index_behind_a_link_that_leads_out_is_neither_read_nor_written(
    kind: str, tmp_path: Path
) -> None:
    documents = clustered(50)
    documents.save(tmp_path / "vectors")
    (tmp_path / "outside").mkdir()
    (tmp_path / "vectors" / f"index-{kind}").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="leads out of"):
        indexed(documents, kind, k=3, recall=0.9, folder=tmp_path / "vectors")
    assert not any((tmp_path / "outside").iterdir())


def test_what_cannot_be_kept_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Shortlist, path: Path) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(Shortlist, "save", full)
    with pytest.warns(NearfieldWarning, match="the index is not kept.*the disk is full"):
        assert len(indexed(clustered(50), "binary", k=3, recall=0.9, folder=tmp_path)) == 50


@pytest.mark.parametrize("kind", ["funnel", "binary"])
def test_retrieval_by_an_index(kind: str) -> None:
    query, documents = clustered(4, seed=1), clustered(300)
    names = [str(number) for number in range(300)]
    index = indexed(documents, kind, k=5, recall=0.99)
    ranking = retrieve(query, index, Queries(names[:4], names[:4]), names, k=5)
    exact, scores = exact_top_k(query, documents, 5)
    assert (ranking.documents == exact).mean() > 0.9
    np.testing.assert_allclose(
        ranking.scores[ranking.documents == exact], scores[ranking.documents == exact]
    )


def test_an_unknown_kind() -> None:
    with pytest.raises(InputError, match="there is no index 'hnsw'; known: exact, funnel, binary"):
        INDEXES["hnsw"]
