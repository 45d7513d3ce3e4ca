"""Embeddings of every kind are written a shard at a time, with the same promises as dense ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counting import NOT_FINITE, Counting, CountingFused, CountingTerms, CountingTokens
from nearfield.data.stream import Row, Stream
from nearfield.errors import ContractError, NearfieldWarning
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.open import open_embeddings
from nearfield.similarity.stored import stored_size
from nearfield.vectors.encode_to import encode_to
from nearfield.vectors.request import Request

TEXTS = [f"{'abc defgh'[: number % 10]} {'x' * (number % 7)}".strip() for number in range(60)]
KINDS = [
    (Counting, "float16"),
    (CountingTerms, "float32"),
    (CountingTerms, "float16"),
    (CountingTokens, "float32"),
    (CountingTokens, "float16"),
    (CountingTokens, "int8"),
    (CountingTokens, "binary"),
    (CountingFused, "float16"),
]
pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.NearfieldWarning")


def assert_same(got: Embeddings, expected: Embeddings) -> None:
    ours, theirs = got.arrays(), expected.arrays()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def cut_off(rows: list[Row], after: int) -> Stream:
    def read() -> Iterator[Row]:
        yield from rows[:after]
        raise OSError("pulled")

    return Stream("cut off", read, lambda: None)


@pytest.mark.parametrize(("kind", "storage"), KINDS)
@pytest.mark.parametrize("shard_rows", [7, 1000])
def test_the_folder_is_what_encoding_at_once_and_saving_gives(
    tmp_path: Path, kind: type[Counting], storage: str, shard_rows: int
) -> None:
    account = encode_to(
        kind(),
        Stream.of(TEXTS),
        tmp_path / "vectors",
        Request(storage=storage),
        shard_rows=shard_rows,
        cache=False,
    )
    whole = kind().encode(TEXTS, "document")
    whole.quantise(storage).save(tmp_path / "at-once", ids=[str(number) for number in range(1, 61)])
    got = open_embeddings(tmp_path / "vectors")
    assert_same(got, open_embeddings(tmp_path / "at-once"))
    assert (got.usage, account.usage.items, account.usage.tokens) == (
        account.usage,
        60,
        whole.usage.tokens,
    )
    for file in (tmp_path / "at-once").rglob("*.npy"):
        np.testing.assert_array_equal(
            np.load(file), np.load(tmp_path / "vectors" / file.relative_to(tmp_path / "at-once"))
        )
    names = [
        file.relative_to(tmp_path / "at-once") for file in (tmp_path / "at-once").rglob("*.json*")
    ]
    assert all((tmp_path / "vectors" / name).is_file() for name in names)
    assert stored_size(tmp_path / "vectors").bytes_per_item == pytest.approx(got.bytes_per_item)
    tokens = pq.read_table(tmp_path / "vectors" / "manifest.parquet")["tokens"].to_pylist()
    assert tokens == [min(20, len(text)) for text in TEXTS]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.sampled_from(["", "a", "b", NOT_FINITE, "é" * 30]) | st.text(max_size=25),
        min_size=1,
        max_size=24,
    ),
    kind=st.sampled_from([CountingTerms, CountingTokens, CountingFused]),
    shard_rows=st.integers(4, 9),
    stop=st.integers(0, 24),
    cache=st.booleans(),
)
def test_going_on_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    kind: type[Counting],
    shard_rows: int,
    stop: int,
    cache: bool,
) -> None:
    tmp_path = tmp_path_factory.mktemp("run")
    rows = [Row(number, str(number), text) for number, text in enumerate(texts, 1)]
    good = [text for text in texts if NOT_FINITE not in text and text.isprintable()]
    if len(good) < len(texts) - 12 or not good:
        return
    rows = [row for row in rows if row.text.isprintable()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
        with pytest.raises(OSError, match="pulled"):
            encode_to(
                kind(), cut_off(rows, stop), tmp_path / "one", shard_rows=shard_rows, cache=cache
            )
        encode_to(
            kind(),
            Stream("all", lambda: iter(rows), lambda: None),
            tmp_path / "one",
            shard_rows=shard_rows,
            cache=cache,
        )
    assert_same(open_embeddings(tmp_path / "one"), kind().encode(good, "document"))
    assert (tmp_path / "one" / "ids.jsonl").read_text(encoding="utf-8").count("\n") == len(good)


@pytest.mark.parametrize("kind", [CountingTerms, CountingTokens, CountingFused])
def test_no_text_is_encoded_twice_and_each_kind_has_a_cache_of_its_own(
    tmp_path: Path, kind: type[Counting]
) -> None:
    encoder = kind(files=f"a file of {kind.__name__}")
    encode_to(Counting(files=encoder.files), Stream.of(TEXTS), tmp_path / "dense")
    first = encode_to(encoder, Stream.of(TEXTS), tmp_path / "first", shard_rows=20)
    assert first.cached + sum(map(len, encoder.asked)) + first.repeated == 60
    assert first.cached < 60
    encoder.asked.clear()
    second = encode_to(encoder, Stream.of([*TEXTS, "new"]), tmp_path / "second", shard_rows=20)
    assert [text for call in encoder.asked for text in call] == ["new"]
    assert second.cached + second.repeated == 60
    assert_same(open_embeddings(tmp_path / "second"), kind().encode([*TEXTS, "new"], "document"))


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_pooled_tokens_are_those_of_pool(tmp_path: Path, storage: str) -> None:
    request = Request(storage=storage, pool_tokens=3)
    encode_to(
        CountingTokens(files="pooled"),
        Stream.of(TEXTS),
        tmp_path / "pooled",
        request,
        shard_rows=11,
    )
    expected = CountingTokens().encode(TEXTS, "document").pool(3).quantise(storage)
    got = open_embeddings(tmp_path / "pooled")
    assert isinstance(got, MultiVector)
    assert_same(got, expected)
    assert len(got.tokens) < len(CountingTokens().encode(TEXTS, "document").tokens) / 2


def test_what_a_kind_does_not_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for encoder, request, said in (
        (CountingTerms(), Request(storage="int8"), "sparse embeddings are not stored as 'int8'"),
        (CountingTerms(), Request(pool_tokens=2), "sparse embeddings have no tokens to pool"),
        (Counting(), Request(pool_tokens=2), "dense embeddings have no tokens to pool"),
        (
            CountingTokens(),
            Request(dim=4),
            "4 dimensions were asked for, and multi-vector embeddings are not cut",
        ),
        (CountingTokens(), Request(role="query", pool_tokens=2), "queries keep all their tokens"),
        (CountingTokens(), Request(pool_tokens=0), "a factor of 0"),
    ):
        with pytest.raises(ContractError, match=said):
            encode_to(encoder, Stream.of(TEXTS), tmp_path / "vectors", request)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [CountingTerms, CountingTokens])
def test_what_float16_cannot_hold_fails(tmp_path: Path, kind: type[Counting]) -> None:
    texts = ["a", "zzzz zzzz zzzz"]
    peaks = kind(normalise=False).encode(texts, "document").peaks()
    encoder = kind(normalise=False, size=2 * 65504 / float(peaks.sum()), files=kind.__name__)
    account = encode_to(encoder, Stream.of(texts), tmp_path / "v", Request(storage="float16"))
    assert account.failed == 1
    assert "float16 cannot hold" in account.faults[0]
    assert len(open_embeddings(tmp_path / "v")) == 1


def test_another_pooling_is_another_run(tmp_path: Path) -> None:
    with pytest.warns(NearfieldWarning):
        encode_to(
            CountingTokens(), Stream.of(TEXTS), tmp_path / "v", Request(pool_tokens=2), cache=False
        )
    facts = json.loads((tmp_path / "v" / "vectors.json").read_text(encoding="utf-8"))
    assert (facts["kind"], facts["items"]) == ("multi-vector", 60)
