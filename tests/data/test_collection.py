from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.data.collection import DOCUMENTS, QUERIES, Collection
from nearfield.errors import CollectionError, InputError

JUDGED = [
    ("q1", "a", 2, "test"),
    ("q1", "b", 0, "test"),
    ("q2", "b", 1, "train"),
    ("q3", "a", 0, "train"),
    ("gone", "a", 1, "test"),
]


def made(
    documents: list[tuple[str, ...]] | None = None,
    queries: list[tuple[str, ...]] | None = None,
    judgements: list[tuple[str, str, int, str]] | None = None,
    *,
    documents_only: bool = False,
) -> Collection:
    documents = (
        [("a", "Title", "text", ""), ("b", "", " other ", "g")] if documents is None else documents
    )
    queries = (
        [("q1", "first", ""), ("q2", "second", ""), ("q3", "third", "")]
        if queries is None
        else queries
    )
    judgements = JUDGED if judgements is None else judgements
    return Collection(
        "small",
        pa.Table.from_pylist(
            [dict(zip(DOCUMENTS.names, row, strict=True)) for row in documents], schema=DOCUMENTS
        ),
        pa.Table.from_pylist(
            [dict(zip(QUERIES.names, row, strict=True)) for row in queries], schema=QUERIES
        ),
        pa.Table.from_pylist(
            [
                dict(zip(("query", "document", "relevance", "split"), row, strict=True))
                for row in judgements
            ]
        )
        if judgements
        else pa.table({"query": [], "document": [], "relevance": [], "split": []}),
        documents_only=documents_only,
    )


def test_a_split_has_the_queries_with_a_relevant_document() -> None:
    collection = made()
    assert collection.splits == ("train", "test")
    split = collection.split("test")
    assert (split.query_ids, split.query_texts) == (("q1",), ("first",))
    assert split.relevance == {"q1": {"a": 2, "b": 0}}
    assert collection.split("train").query_ids == ("q2",)
    assert list(collection.document_texts) == ["Title text", "other"]
    assert collection.document_positions(["b", "no", "a"]).tolist() == [1, -1, 0]


def test_of_two_judgements_the_higher_holds() -> None:
    for grades in ((1, 0), (0, 1)):
        collection = made(judgements=[("q1", "a", grade, "test") for grade in grades])
        assert collection.split("test").relevance == {"q1": {"a": 1}}


def test_an_unknown_split_names_the_known_and_the_nearest() -> None:
    with pytest.raises(
        CollectionError,
        match=r"no split 'tset'; it has train, test. Did you mean "
        r"'test'",
    ):
        made().split("tset")
    with pytest.raises(CollectionError, match="no judgements at all"):
        made(judgements=[]).split("test")


def test_a_split_without_a_judged_query_raises() -> None:
    for row in (("q1", "a", 0, "dev"), ("gone", "a", 1, "dev")):
        with pytest.raises(CollectionError, match="'dev' has no judged query"):
            made(judgements=[*JUDGED, row]).split("dev")


@pytest.mark.parametrize(
    ("documents", "queries", "message"),
    [
        ([("a", "", "x", ""), ("a", "", "y", "")], None, "document id 'a' is used more than once"),
        (None, [("q", "x", ""), ("q", "y", "")], "query id 'q' is used more than once"),
        ([("", "", "x", "")], None, "a document has an empty id"),
        ([], None, "has no documents"),
        (None, [], "2 documents and no queries"),
    ],
)
def test_what_cannot_be_used_raises(
    documents: list[tuple[str, ...]] | None, queries: list[tuple[str, ...]] | None, message: str
) -> None:
    with pytest.raises(CollectionError, match=message):
        made(documents, queries)


def test_documents_only_has_to_be_declared() -> None:
    collection = made(queries=[], judgements=[], documents_only=True)
    assert len(collection.document_ids) == 2
    with pytest.raises(CollectionError, match="no judgements at all"):
        collection.split("test")


def test_a_table_of_other_columns_raises() -> None:
    good = made()
    with pytest.raises(
        CollectionError, match="small: documents has columns id, text; wanted also title, group"
    ):
        Collection("small", pa.table({"id": ["a"], "text": ["b"]}), good.queries, good.judgements)
    wrong = pa.table({"query": ["q1"], "document": ["a"], "relevance": ["high"], "split": ["test"]})
    with pytest.raises(CollectionError, match="does not fit"):
        Collection("small", good.documents, good.queries, wrong)


def test_saved_and_opened_it_is_the_same(tmp_path: Path) -> None:
    collection = made()
    collection.save(tmp_path / "saved")
    collection.save(tmp_path / "saved")  # replaced, not appended to
    opened = Collection.open(tmp_path / "saved")
    assert opened.name == "small"
    assert opened.fingerprint == collection.fingerprint
    assert opened.split("test").relevance == collection.split("test").relevance
    assert sorted(file.name for file in tmp_path.iterdir()) == ["saved"]


def test_an_opened_collection_is_memory_mapped(tmp_path: Path) -> None:
    text = "x" * 1000
    made([(str(number), "", text, "") for number in range(20_000)]).save(tmp_path / "large")
    before = pa.total_allocated_bytes()
    opened = Collection.open(tmp_path / "large")
    assert opened.document_texts[19_999] == text
    assert pa.total_allocated_bytes() - before < 1 << 20


@pytest.mark.parametrize("damage", ["missing", "cut", "manifest", "format"])
def test_a_damaged_folder_is_a_clear_error(tmp_path: Path, damage: str) -> None:
    made().save(tmp_path / "saved")
    file = (
        tmp_path
        / "saved"
        / ("queries.arrow" if damage in ("missing", "cut") else "collection.json")
    )
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    else:
        file.write_text('{"format": 99}' if damage == "format" else "{")
    with pytest.raises(InputError, match=file.name):
        Collection.open(tmp_path / "saved")


@given(
    st.lists(st.text(max_size=6), min_size=1, max_size=20), st.integers(1, 7), st.integers(0, 19)
)
def test_the_fingerprint_sees_content_and_not_chunks(
    texts: list[str], cut: int, changed: int
) -> None:
    rows = [(str(number), "", text, "") for number, text in enumerate(texts)]
    whole = made(rows)
    batches = [
        batch
        for at in range(0, len(rows), cut)
        for batch in whole.documents.slice(at, cut).to_batches()
    ]
    chunked = Collection(
        "other name", pa.Table.from_batches(batches), whole.queries, whole.judgements
    )
    assert chunked.fingerprint == whole.fingerprint
    changed %= len(rows)
    other = [
        *rows[:changed],
        (*rows[changed][:2], rows[changed][2] + "x", ""),
        *rows[changed + 1 :],
    ]
    assert made(other).fingerprint != whole.fingerprint


def test_texts_moved_between_neighbours_change_the_fingerprint() -> None:
    assert (
        made([("1", "", "ab", ""), ("2", "", "c", "")]).fingerprint
        != made([("1", "", "a", ""), ("2", "", "bc", "")]).fingerprint
    )
    assert made([("1", "a", "b", "")]).fingerprint != made([("1", "", "ab", "")]).fingerprint


def test_nulls_become_empty_strings() -> None:
    good = made()
    documents = pa.table(
        {
            "id": ["a"],
            "title": pa.nulls(1, pa.string()),
            "text": ["x"],
            "group": pa.nulls(1, pa.string()),
        }
    )
    assert Collection("c", documents, good.queries, good.judgements).document_texts[0] == "x"
    assert np.all([not good.documents[name].null_count for name in DOCUMENTS.names])
