from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.errors import ContractError, InputError
from nearfield.similarity.dense import Dense
from nearfield.similarity.fused import Fused
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.open import open_embeddings
from nearfield.similarity.sparse import Sparse


def three(n: int, *, seed: int = 0, fusion: dict[str, float] | None = None) -> Fused:
    """n items of 4 dimensions, 9 terms and one to three tokens of 3 dimensions."""
    numbers = np.random.default_rng(seed)
    lengths = numbers.integers(1, 4, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = Dense(
        numbers.normal(size=(int(offsets[-1]), 3)).astype(np.float32), 3, similarity="dot"
    )
    weights = np.maximum(numbers.normal(size=(n, 9)), 0)
    weighed = {} if fusion is None else {"weights": fusion}
    dense = Dense(numbers.normal(size=(n, 4)).astype(np.float32), 4)
    multi_vector = MultiVector(tokens, offsets, average=True)
    parts = {"dense": dense, "sparse": Sparse.of(weights), "multi-vector": multi_vector}
    return Fused(parts, **weighed)


@given(
    weights=st.tuples(*[st.sampled_from([0.0, 0.25, 1.0, 3.0])] * 3).filter(any),
    seed=st.integers(0, 99),
)
def test_a_score_is_the_weighted_sum_of_the_three(
    weights: tuple[float, float, float], seed: int
) -> None:
    fusion = dict(zip(("dense", "sparse", "multi-vector"), weights, strict=True))
    queries, documents = three(3, seed=seed, fusion=fusion), three(5, seed=seed + 1)
    expected = np.zeros((3, 5))
    for row in range(3):
        for column in range(5):
            query, document = (
                queries.parts["dense"].vectors[row],
                documents.parts["dense"].vectors[column],
            )
            dense = query @ document / np.linalg.norm(query) / np.linalg.norm(document)
            sparse = (
                queries.parts["sparse"].matrix().toarray()[row]
                @ documents.parts["sparse"].matrix().toarray()[column]
            )
            own, others = (
                each.parts["multi-vector"][[at]].tokens.vectors
                for each, at in ((queries, row), (documents, column))
            )
            near = np.mean([max(float(token @ other) for other in others) for token in own])
            expected[row, column] = weights[0] * dense + weights[1] * sparse + weights[2] * near
    np.testing.assert_allclose(queries.scores(documents), expected, atol=1e-4)


def test_a_part_of_no_weight_is_left_out_whatever_it_scores() -> None:
    queries = three(2, fusion={"dense": 1.0})
    # would score -inf
    nothing = MultiVector(
        queries.parts["multi-vector"].tokens[:0], np.zeros(3, np.int64), average=True
    )
    documents = Fused({**queries.parts, "multi-vector": nothing})
    np.testing.assert_allclose(
        queries.scores(documents), queries.parts["dense"].scores(queries.parts["dense"])
    )


def test_chosen_items_are_chosen_in_all_three() -> None:
    whole = three(6)
    some = whole[[4, 0, 4]]
    np.testing.assert_array_equal(some.scores(whole), whole.scores(whole)[[4, 0, 4]])
    assert whole.bytes_per_item == pytest.approx(
        sum(part.bytes_per_item for part in whole.parts.values())
    )


def test_all_three_are_stored_alike() -> None:
    whole = three(6)
    half = whole.quantise("float16")
    assert {part.storage for part in half.parts.values()} == {"float16"}
    np.testing.assert_allclose(half.scores(whole), whole.scores(whole), atol=0.02)
    with pytest.raises(ContractError, match="several embeddings are not stored as 'int8'"):
        whole.quantise("int8")


def test_a_folder_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    three(4).save(tmp_path / "v", ids=["a", "b", "c", "d"])
    assert (tmp_path / "v" / "ids.jsonl").read_text(encoding="utf-8").split() == [
        '"a"',
        '"b"',
        '"c"',
        '"d"',
    ]
    facts = json.loads((tmp_path / "v" / "vectors.json").read_text(encoding="utf-8"))
    (tmp_path / "v" / "vectors.json").write_text(json.dumps(facts | {"items": 5}), encoding="utf-8")
    with pytest.raises(InputError, match=r"holds 4, 4, 4 items; vectors\.json says 5"):
        Fused.open(tmp_path / "v")
    del facts["fusion"]
    (tmp_path / "v" / "vectors.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(InputError, match=r"vectors.json: has no fusion; wanted an object"):
        Fused.open(tmp_path / "v")


def test_a_folder_from_before_parts_had_names_opens(tmp_path: Path) -> None:
    whole = three(4)
    whole.save(tmp_path / "v")
    facts = json.loads((tmp_path / "v" / "vectors.json").read_text(encoding="utf-8"))
    assert facts.pop("parts") == ["dense", "sparse", "multi-vector"]
    (tmp_path / "v" / "vectors.json").write_text(json.dumps(facts), encoding="utf-8")
    opened = open_embeddings(tmp_path / "v")
    assert list(opened.by_part) == ["dense", "sparse", "multi-vector"]
    np.testing.assert_array_equal(opened.scores(opened), whole.scores(whole))


def test_fused_embeddings_are_no_part_and_every_weight_has_one(tmp_path: Path) -> None:
    inner = three(4)
    Fused({"a": inner.parts["dense"], "b": inner}, {"a": 1.0}).save(tmp_path / "nested")
    with pytest.raises(InputError, match="fuses 'b', which is fused itself"):
        open_embeddings(tmp_path / "nested")
    Fused(inner.parts, {"title": 1.0}).save(tmp_path / "other")
    with pytest.raises(InputError, match=r"fusion\.title is not a part; the parts are dense, "):
        open_embeddings(tmp_path / "other")
