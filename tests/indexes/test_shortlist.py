"""Both shortlists: what they list against naive estimates, and what a search by them finds against
exact search.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexes import clustered, exact_top_k, without_kernels
from nearfield.errors import ContractError, InputError
from nearfield.indexes.exact import Exact
from nearfield.indexes.funnel import Funnel
from nearfield.indexes.recall import Neighbours, narrowest
from nearfield.indexes.scan import NOWHERE
from nearfield.indexes.shortlist import Shortlist
from nearfield.indexes.signs import Signs
from nearfield.kernels.library import kernels, runnable
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import FUNCTIONS
from nearfield.types.arrays import Positions

KINDS = (Signs, Funnel)


def places(index: Shortlist, *, k: int, sample: Dense | None = None) -> Positions:
    return Neighbours.of(index.documents, k, sample).places(index)


def fitted(
    index: Shortlist, *, k: int = 10, recall: float = 0.98, sample: Dense | None = None
) -> Any:
    return Neighbours.of(index.documents, k, sample).fitted(index, recall)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("similarity", FUNCTIONS)
def test_a_shortlist_of_everything_is_exact_search(kind: type[Shortlist], similarity: str) -> None:
    query, documents = (
        clustered(6, seed=1, similarity=similarity),
        clustered(70, similarity=similarity),
    )
    found = replace(kind.of(documents), oversampling=100).search(query, 5)
    expected = exact_top_k(query, documents, 5)
    np.testing.assert_array_equal(found.documents, expected[0])
    np.testing.assert_array_equal(found.scores, expected[1])
    assert (
        replace(kind.of(documents), oversampling=1).search(query, 200).documents[:, 70:].max() == -1
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("similarity", FUNCTIONS)
@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_most_neighbours_are_on_a_short_list(
    kind: type[Shortlist], similarity: str, storage: str
) -> None:
    documents = clustered(3_000, similarity=similarity).quantise(storage)
    ranks = places(kind.of(documents), k=10, sample=clustered(40, seed=1, similarity=similarity))
    assert (ranks < 300).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("similarity", FUNCTIONS)
@pytest.mark.parametrize("dim", [3, 33, 48, 130])
def test_numpy_lists_the_same_as_the_kernel(
    kind: type[Shortlist], similarity: str, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, query = (
        clustered(501, dim, similarity=similarity),
        clustered(3, dim, seed=1).floats(),
    )
    index = kind.of(documents)
    by_kernel = index.candidates(query, 40)
    without_kernels(monkeypatch)
    by_numpy = index.candidates(query, 40)
    # rounding may turn neighbours whose estimates are equal in float32, but hardly more
    assert (
        np.mean(
            [
                len(set(a) & set(b))
                for a, b in zip(by_kernel.tolist(), by_numpy.tolist(), strict=True)
            ]
        )
        >= 38
    )
    expected = exact_top_k(Dense(query, dim, similarity=similarity), documents, 5)
    everything = replace(index, oversampling=101).search(
        Dense(query, dim, similarity=similarity), 5
    )
    np.testing.assert_array_equal(everything.documents, expected[0])


def test_the_estimate_of_the_signs_by_its_formula() -> None:
    documents, query = clustered(50), clustered(1, seed=1).floats()
    index = Signs.of(documents)
    unit = documents.floats() / np.linalg.norm(documents.floats(), axis=1, keepdims=True)
    rest = (unit - index.mean) @ index.rotation
    turned = (query @ index.rotation)[0]
    step = np.abs(turned).max() / 15
    rounded = step * np.rint(turned / step)
    estimates = [
        sum(q * (1 if r > 0 else -1) for q, r in zip(rounded, row, strict=True))
        * (row @ row)
        / np.abs(row).sum()
        for row in rest
    ]
    assert (
        index.candidates(query, 50)[0][:10].tolist()
        == np.argsort(-np.array(estimates))[:10].tolist()
    )
    np.testing.assert_allclose(index.rotation @ index.rotation.T, np.eye(48), atol=1e-5)


def test_a_funnel_as_the_model_made_it_reads_the_first_dimensions() -> None:
    documents = clustered(200)
    index = Funnel.of(documents, kept=20, turn=False)
    unit = documents.floats() / np.linalg.norm(documents.floats(), axis=1, keepdims=True)
    np.testing.assert_allclose(
        index.codes[:, :20] * index.ranges[1] + index.ranges[0],
        unit[:, :20],
        atol=index.ranges[1].max(),
    )
    assert (index.codes[:, 20:] == 0).all()
    with pytest.raises(ContractError, match="a funnel of 49 dimensions"):
        Funnel.of(documents, kept=49)


@pytest.mark.parametrize("kind", KINDS)
def test_the_oversampling_is_the_smallest_that_reaches_the_recall(kind: type[Shortlist]) -> None:
    documents, sample = clustered(4_000), clustered(80, seed=1)
    index = fitted(kind.of(documents), k=10, recall=0.95, sample=sample)
    ranks = places(index, k=10, sample=sample)
    reached = (ranks < 10 * index.oversampling).mean()
    assert reached >= 0.95
    bound = (ranks < 10 * (index.oversampling - 1)).mean(1)
    assert bound.mean() - 1.645 * bound.std() / 80**0.5 < 0.95
    found = index.search(sample, 10).documents
    exact = exact_top_k(sample, documents, 10)[0]
    assert (
        np.mean(
            [len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
        )
        >= reached - 1e-9
    )


def test_the_size_is_the_one_with_which_a_search_reads_least() -> None:
    documents, sample = clustered(4_000), clustered(80, seed=1)
    sizes = {}
    for index in Funnel.sizes(documents):
        index = fitted(index, recall=0.95, sample=sample)
        sizes[index.basis.shape[1]] = (
            4_000 * index.bytes_per_document
            + 20 * 10 * index.oversampling * documents.bytes_per_item
        )
    assert list(sizes) == [32, 48]
    chosen = narrowest(Funnel, documents, recall=0.95, sample=sample)
    assert chosen.basis.shape[1] == min(sizes, key=lambda kept: sizes[kept])
    assert chosen.oversampling == fitted(chosen, recall=0.95, sample=sample).oversampling


def test_exact_search_is_asked_once_for_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "nearfield.indexes.recall.Exact",
        lambda *words: asked.append(words) or Exact(*words),
    )
    narrowest(Funnel, clustered(4_000), recall=0.95)
    assert len(asked) == 1
    monkeypatch.setattr(Funnel, "of", lambda *words, **kept: pytest.fail("stand-ins were made"))
    with pytest.raises(InputError, match="nothing to measure recall with"):
        narrowest(Funnel, clustered(4_000), sample=clustered(0))


def test_vectors_that_no_few_dimensions_hold_get_a_wide_funnel() -> None:
    documents = Dense(np.random.default_rng(0).normal(size=(20_000, 192)).astype(np.float32), 192)
    with pytest.raises(InputError, match="ask for less"):
        fitted(Funnel.of(documents), recall=0.9)
    chosen = narrowest(Funnel, documents, recall=0.9)
    assert chosen.basis.shape[1] > 48
    assert chosen.recall == 0.9
    with pytest.raises(InputError, match=r"a recall of 1\b"):
        narrowest(Funnel, documents, recall=1.0)
    few = Dense(np.ascontiguousarray(documents.vectors[:, :8]), 8)
    with pytest.raises(InputError, match=r"the binary index finds .* ask for less"):
        narrowest(Signs, few, k=1, recall=0.99)


@pytest.mark.parametrize("kind", KINDS)
def test_documents_stand_in_for_queries(kind: type[Shortlist]) -> None:
    documents = clustered(600)
    ranks = places(kind.of(documents), k=7)
    assert ranks.shape == (256, 7)
    exact = exact_top_k(documents[[0]], documents, 8)[0][0]
    listed = kind.of(documents).candidates(documents[[0]].floats(), 600)[0]
    listed = listed[listed != 0].tolist()
    assert ranks[0].tolist() == [
        listed.index(document) for document in exact.tolist() if document != 0
    ]
    assert fitted(kind.of(documents), recall=0.9).oversampling >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_lies_on_disk_and_opens_memory_mapped(
    kind: type[Shortlist], tmp_path: Path
) -> None:
    documents = clustered(300)
    index = replace(kind.of(documents), oversampling=7)
    index.save(tmp_path / "index")
    opened = kind.open(tmp_path / "index", documents)
    assert opened is not None
    assert (opened.oversampling, len(opened)) == (7, 300)
    query = clustered(3, seed=1)
    np.testing.assert_array_equal(
        opened.search(query, 5).documents, index.search(query, 5).documents
    )
    assert 0 < opened.bytes_per_document < documents.bytes_per_item + 48 * 48
    with pytest.raises(InputError, match=f"kind is .{kind.kind}.; wanted one of"):
        next(other for other in KINDS if other is not kind).open(tmp_path / "index", documents)
    for name in ("codes", "offsets" if kind is Funnel else "factors"):
        whole = np.load(tmp_path / "index" / f"{name}.npy")
        for wrong in (whole[:-1], whole.astype(np.float64)):
            np.save(tmp_path / "index" / f"{name}.npy", wrong)
            with pytest.raises(
                InputError,
                match=r"holds \w+ of shape .*; wanted",
            ):
                kind.open(tmp_path / "index", documents)
        flipped = whole.copy()
        flipped.view(np.uint8).flat[5] ^= 1
        np.save(tmp_path / "index" / f"{name}.npy", flipped)
        with pytest.raises(InputError, match="is damaged: its checksum"):
            kind.open(tmp_path / "index", documents)
        np.save(tmp_path / "index" / f"{name}.npy", whole)
    (tmp_path / "index" / "codes.npy").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"codes.npy: is not a NumPy file"):
        kind.open(tmp_path / "index", documents)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input(kind: type[Shortlist], monkeypatch: pytest.MonkeyPatch) -> None:
    documents = clustered(30)
    index = kind.of(documents)
    with pytest.raises(
        ContractError, match=r"the dim of this \w+ index is 48 and the queries' is 9"
    ):
        index.search(clustered(1, 9), 3)
    with pytest.raises(ContractError, match="is cosine and the queries' is dot"):
        index.search(clustered(1, similarity="dot"), 3)
    with pytest.raises(InputError, match=r"a recall of 1\b"):
        fitted(index, recall=1.0)
    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"a recall of 1\b"):
        patch.setattr(Neighbours, "of", lambda *given: pytest.fail("every document was compared"))
        narrowest(kind, documents, recall=1.0)
    with pytest.raises(InputError, match="nothing to measure recall with"):
        fitted(index, sample=documents[:0])
    with pytest.raises(InputError, match="0 results"):
        index.search(clustered(1), 0)
    for value in (np.nan, np.inf):
        with pytest.raises(InputError, match="a query holds NaN or infinite"):
            index.search(Dense(np.full((1, 48), value, np.float32), 48), 3)
    query = clustered(4, seed=1)
    tiny = replace(query, vectors=query.vectors * np.float32(1e-30))
    np.testing.assert_array_equal(
        index.candidates(tiny.vectors, 10), index.candidates(query.vectors, 10)
    )
    assert kind.of(documents[:0]).search(clustered(2), 3).documents.tolist() == [[-1] * 3] * 2


def test_a_recall_out_of_reach_is_an_error_with_the_figure() -> None:
    generator = np.random.default_rng(0)
    documents = Dense(generator.normal(size=(4_000, 48)).astype(np.float32), 48)
    with pytest.raises(
        InputError,
        match=r"finds \.?0?\.\d+ of the 1 best among 128 times as "
        r"many.*exact search",
    ):
        fitted(Funnel.of(documents, kept=1), k=1, recall=0.99)


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_not_finite_are_an_error(kind: type[Shortlist]) -> None:
    documents = clustered(40)
    documents.vectors[7, 3] = np.nan
    with pytest.raises(InputError, match=r"document 7 .*not finite"):
        kind.of(documents)


@pytest.mark.parametrize("level", runnable())
@pytest.mark.parametrize(
    ("width", "with_offsets"), [(2, True), (6, False), (96, True), (514, False), (1030, True)]
)
def test_the_signs_kernel_adds_what_its_tables_hold_at_every_level(
    level: str, width: int, with_offsets: bool
) -> None:
    generator, m, n = np.random.default_rng(width), 77, 3
    codes = generator.integers(0, 256, (3, width, 32), np.uint8)
    tables = generator.integers(0, 61, (n, width, 2, 16), np.uint8)
    if width > 500:
        tables[0] = 60  # the largest sums, which pass 16 bits
    lines, factors = (
        generator.normal(size=(n, 2)).astype(np.float32),
        generator.normal(size=m).astype(np.float32),
    )
    offsets = generator.normal(size=m).astype(np.float32) if with_offsets else None
    positions, scores = np.full((n, m), NOWHERE, np.int64), np.full((n, m), -np.inf, np.float32)
    for part in ((0, 32), (32, m)):
        bounds = np.array(part, np.int64)
        kernels(level).call(
            "scan_signs",
            codes,
            width,
            factors,
            offsets,
            bounds,
            tables,
            lines,
            n,
            scores,
            positions,
            m,
        )
    stored = codes.transpose(0, 2, 1).reshape(-1, width)[:m].astype(np.int64)
    for query in range(n):
        order = np.argsort(positions[query])
        assert positions[query][order].tolist() == list(range(m))
        low, high = (
            tables[query, np.arange(width), half, nibble]
            for half, nibble in ((0, stored & 15), (1, stored >> 4))
        )
        total = low.sum(1, dtype=np.int64) + high.sum(1, dtype=np.int64)
        expected = (total * lines[query, 0].astype(np.float64) + lines[query, 1]) * factors + (
            0 if offsets is None else offsets
        )
        np.testing.assert_allclose(scores[query][order], expected, rtol=1e-4, atol=1e-3)
