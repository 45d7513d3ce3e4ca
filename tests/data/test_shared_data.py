"""Published sets are read with the numbers that they are known to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.data.collection import Collection
from nearfield.data.open import open_collection, open_data, open_pairs
from nearfield.data.pairs import Pairs
from nearfield.data.split import split_by_group

COLLECTIONS = [
    ("scifact", 5183, {"train": (809, 919), "test": (300, 339)}),
    ("nfcorpus_preprocessed", 3395, {"test": (323, 12334)}),
    ("llama_10k_train", 334, {"test": (668, 668)}),
    ("llama_10k_val", 395, {"test": (790, 790)}),
    ("xquad/de", 240, {"test": (1190, 1190)}),
    ("med", 1033, {"test": (30, 696)}),
    ("paper_title_abstract/pairs.jsonl", 12000, {"all": (12000, 12000)}),
]


@pytest.mark.parametrize(
    ("name", "documents", "splits"), COLLECTIONS, ids=[name for name, _, _ in COLLECTIONS]
)
def test_collections(
    shared_data: Path, name: str, documents: int, splits: dict[str, tuple[int, int]]
) -> None:
    collection = open_collection(shared_data / name)
    assert len(collection.documents) == documents
    assert set(collection.splits) == set(splits)
    for split, (queries, judgements) in splits.items():
        found = collection.split(split)
        assert len(found.query_ids) == queries
        assert sum(map(len, found.relevance.values())) == judgements


def test_cisi_and_medquad_and_wikiqa(shared_data: Path) -> None:
    cisi = open_collection(shared_data / "cisi")
    assert (len(cisi.documents), len(cisi.queries)) == (1460, 112)
    medquad = open_collection(shared_data / "medquad" / "pairs.jsonl")
    assert (medquad.name, len(medquad.judgements)) == ("medquad", 5988)
    wikiqa = open_collection(shared_data / "wikiqa")
    assert {name: len(wikiqa.split(name).query_ids) for name in wikiqa.splits} == {
        "train": 873,
        "dev": 126,
        "test": 243,
    }
    assert set(wikiqa.judgements["relevance"].to_pylist()) == {0, 1}
    assert wikiqa.documents.num_rows == len(set(wikiqa.document_texts))


@pytest.mark.parametrize(
    ("name", "count"),
    [("stsb/train", 5749), ("stsb/dev", 1500), ("stsb/test", 1379), ("mrpc/test", 1725)],
)
def test_scored_pairs(shared_data: Path, name: str, count: int) -> None:
    pairs = open_data(shared_data / f"{name}.jsonl")
    assert isinstance(pairs, Pairs)
    assert pairs.scored
    assert len(pairs) == count


def test_wikiqa_as_pairs_and_clinc_as_documents(shared_data: Path) -> None:
    pairs = open_pairs(shared_data / "wikiqa" / "test.jsonl")
    assert not pairs.scored
    assert len(pairs) >= 243
    assert max(map(len, pairs.table["negatives"].to_pylist())) > 1
    clinc = open_data(shared_data / "clinc150" / "test.jsonl")
    assert isinstance(clinc, Collection)
    assert clinc.documents_only


@pytest.mark.parametrize(
    "name", ["scifact", "wikiqa", "medquad/pairs.jsonl", "nfcorpus_preprocessed"]
)
def test_real_sets_split_without_a_leak(shared_data: Path, name: str) -> None:
    collection = split_by_group(
        open_collection(shared_data / name), {"train": 0.7, "dev": 0.1, "test": 0.2}
    )
    seen: dict[str, str] = {}
    for row in collection.judgements.to_pylist():
        for key in (f"query {row['query']}", f"document {row['document']}"):
            assert seen.setdefault(key, row["split"]) == row["split"]
