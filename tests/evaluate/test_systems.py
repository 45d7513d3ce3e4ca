"""Rows cut from one encode pass."""

from __future__ import annotations

import numpy as np
import pytest

from nearfield.data.collection import Split
from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError, MatryoshkaWarning, MetricWarning, TruncationWarning
from nearfield.evaluate.systems import bm25_system, fused_system, model_systems
from nearfield.indexes.exact import Exact

DOCUMENTS = 200


def test_every_row_comes_from_one_pass(bag: Encoder, split: Split) -> None:
    seen: list[int] = []
    rows = model_systems(
        bag,
        split,
        name="bag",
        dims=(64, 32, 64),
        storages=("float32", "int8", "binary"),
        progress=lambda done, total, note="": seen.append(done),
    )
    assert [row.name for row in rows] == [
        f"bag {dim} {storage}" for dim in (64, 32) for storage in ("float32", "int8", "binary")
    ]
    assert [row.bytes_per_document for row in rows] == [256, 64, 8, 128, 32, 4]
    assert [call for call in bag.calls if call[1] > 1] == [("document", DOCUMENTS), ("query", 80)]
    assert len({row.documents_per_second for row in rows}) == 1
    assert all(row.query_milliseconds and row.query_milliseconds > 0 for row in rows)
    assert seen[-1] == DOCUMENTS


def test_a_row_is_what_truncating_then_storing_gives(bag: Encoder, split: Split) -> None:
    row = model_systems(bag, split, name="bag", dims=(32,), storages=("int8",))[0]
    documents = (
        bag.encode(split.collection.document_texts, "document").truncate(32).quantise("int8")
    )
    queries = bag.encode(split.query_texts, "query").truncate(32)
    by_hand = Exact(documents).search(queries, 100)
    np.testing.assert_array_equal(row.ranking.documents, by_hand.documents)
    assert row.name == row.model == "bag"


def test_an_untrained_dim_warns_and_is_measured_against_the_whole(
    bag: Encoder, split: Split
) -> None:
    with pytest.warns(
        MatryoshkaWarning, match="bag is cut to 20 dimensions and was trained for 32, 64"
    ):
        rows = model_systems(bag, split, name="bag", dims=(64, 20))
    assert [len(row.deviations) for row in rows] == [0, 1]
    np.testing.assert_array_equal(
        rows[1].deviations[0].reference.documents, rows[0].ranking.documents
    )


def test_another_similarity_warns_and_is_measured_against_the_contracts(
    unnormalised: Encoder, split: Split
) -> None:
    with pytest.warns(MetricWarning, match="long is made for dot and used with cosine"):
        row = model_systems(unnormalised, split, name="long", similarity="cosine")[0]
    right = model_systems(unnormalised, split, name="long")[0]
    np.testing.assert_array_equal(row.deviations[0].reference.documents, right.ranking.documents)
    assert not np.array_equal(row.ranking.documents, right.ranking.documents)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dims": (64, 0)}, "0 dimensions"),
        ({"storages": ("int4",)}, "not stored as 'int4'"),
        ({"similarity": "cosin"}, "Did you mean 'cosine'"),
    ],
)
def test_what_is_impossible_is_refused_before_anything_is_encoded(
    bag: Encoder, split: Split, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        model_systems(bag, split, name="bag", **wrong)
    assert bag.calls == []


def test_dims_that_the_model_does_not_have_are_left_out_with_a_note(
    bag: Encoder, split: Split
) -> None:
    rows = model_systems(bag, split, name="bag", dims=(128, 64, 32))
    assert [row.dim for row in rows] == [64, 32]
    note = "bag: 128 dimensions were left out, as its vectors have 64"
    assert all(note in row.notes for row in rows)
    (row,) = model_systems(bag, split, name="bag", dims=(128,))
    assert (row.dim, note in row.notes) == (64, True)


def test_truncated_documents_are_a_note(short_sighted: Encoder, split: Split) -> None:
    words = [len(text.split()) for text in split.collection.document_texts]
    cut = [count - 15 for count in words if count > 15]
    with pytest.warns(TruncationWarning):
        row = model_systems(short_sighted, split, name="short")[0]
    share = f"{sum(cut) / sum(words):.1%} of all tokens were not read"
    assert row.notes == (f"short: {len(cut)} of 200 documents are longer than 15 tokens; {share}",)


def test_lexical_and_fused(bag: Encoder, split: Split) -> None:
    lexical, dense = bm25_system(split), model_systems(bag, split, name="bag")[0]
    fused = fused_system(dense, lexical)
    assert (lexical.dim, lexical.storage) == (None, "")
    assert lexical.bytes_per_document > 0
    assert fused.name == "bag + bm25 (fused)"
    assert fused.bytes_per_document == dense.bytes_per_document + lexical.bytes_per_document
    assert fused.query_milliseconds == pytest.approx(
        dense.query_milliseconds + lexical.query_milliseconds
    )
    assert fused.documents_per_second < min(
        dense.documents_per_second, lexical.documents_per_second
    )
    assert fused.ranking.query_ids == split.query_ids
