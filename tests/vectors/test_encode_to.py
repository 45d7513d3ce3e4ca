from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counting import NOT_FINITE, Counting
from nearfield.data.stream import Row, Stream
from nearfield.encoders import pace
from nearfield.errors import (
    ContractError,
    InputError,
    MatryoshkaWarning,
    ModelError,
    NearfieldWarning,
    StorageError,
    TruncationWarning,
)
from nearfield.similarity.dense import Dense
from nearfield.similarity.storages import STORAGES
from nearfield.store.made_by import MadeBy
from nearfield.vectors.encode_to import encode_to
from nearfield.vectors.job import forget_job, job_folder, restart_job
from nearfield.vectors.request import Request

TEXTS = [f"text {number % 37} {'x' * (number % 37 % 9)}" for number in range(100)]


@pytest.fixture(autouse=True, scope="module")
def _whole_shards() -> Iterator[None]:
    """Shards are written at once, but where a test says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "FIRST", 1000)
        yield


def manifest(folder: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(folder / "manifest.parquet").to_pylist()
    return rows


def ids(folder: Path) -> list[str]:
    return [
        json.loads(line) for line in (folder / "ids.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def contents(folder: Path) -> dict[str, object]:
    """All that is in a vector folder, but for the seconds that it took."""
    held: dict[str, object] = {file.name: file.read_bytes() for file in folder.iterdir()}
    facts = json.loads((folder / "vectors.json").read_text())
    return held | {"vectors.json": facts | {"usage": facts["usage"] | {"seconds": 0}}}


def stopping(rows: list[Row], after: int, error: BaseException) -> Stream:
    """A stream that fails after so many rows."""

    def read() -> Iterator[Row]:
        yield from rows[:after]
        raise error

    return Stream("stopping", read, lambda: len(rows))


def rows_of(texts: list[str]) -> list[Row]:
    return [Row(number, str(number), text) for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize("storage", list(STORAGES))
@pytest.mark.parametrize("dim", [None, 8])
@pytest.mark.parametrize("shard_rows", [30, 1000])
def test_the_folder_is_what_encoding_at_once_and_saving_gives(
    tmp_path: Path, storage: str, dim: int | None, shard_rows: int
) -> None:
    request = Request(dim=dim, storage=storage)
    account = encode_to(
        Counting(),
        Stream.of(TEXTS),
        tmp_path / "vectors",
        request,
        shard_rows=shard_rows,
        cache=False,
    )
    whole = Counting().encode(TEXTS, "document")
    expected = (whole if dim is None else whole.truncate(dim)).quantise(storage)
    got = Dense.open(tmp_path / "vectors")
    np.testing.assert_array_equal(got.vectors, expected.vectors)
    if storage == "int8":
        np.testing.assert_array_equal(got.ranges, expected.ranges)
    assert (got.dim, got.storage, got.similarity, got.normalise) == (
        expected.dim,
        storage,
        "cosine",
        True,
    )
    assert ids(tmp_path / "vectors") == [str(number) for number in range(1, 101)]
    assert (account.rows, account.failed, got.usage) == (100, 0, account.usage)
    assert (account.usage.items, account.usage.tokens) == (whole.usage.items, whole.usage.tokens)
    assert not job_folder(tmp_path / "vectors").exists()


def test_no_text_is_encoded_twice(tmp_path: Path) -> None:
    encoder, cached = Counting(files="a"), tmp_path / "again"
    first = encode_to(encoder, Stream.of(TEXTS), tmp_path / "vectors", shard_rows=30)
    asked = [text for call in encoder.asked for text in call]
    assert sorted(asked) == sorted(set(TEXTS))
    assert first.cached + first.repeated + len(asked) == 100
    encoder.asked.clear()
    edited = [*TEXTS[:50], "one that is new", *TEXTS[50:]]
    second = encode_to(
        encoder, Stream.of(edited), cached, Request(storage="float16"), shard_rows=30
    )
    assert [text for call in encoder.asked for text in call] == ["one that is new"]
    assert second.cached + second.repeated == 100
    encode_to(encoder, Stream.of(edited), cached, shard_rows=30)
    np.testing.assert_array_equal(
        Dense.open(cached).vectors, Counting().encode(edited, "document").vectors
    )


@pytest.mark.parametrize(("files", "role"), [("b2", "document"), ("b1", "query")])
@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_another_model_or_prompt_has_another_cache(tmp_path: Path, files: str, role: str) -> None:
    encode_to(Counting(files="b1"), Stream.of(TEXTS), tmp_path / "one")
    other = Counting(files=files)
    account = encode_to(other, Stream.of(TEXTS), tmp_path / "two", Request(role=role))
    assert account.cached == 0
    np.testing.assert_array_equal(
        Dense.open(tmp_path / "two").vectors, other.encode(TEXTS, role).vectors
    )


def test_each_row_is_accounted_for(tmp_path: Path) -> None:
    texts = [
        "short",
        "",
        f"an {NOT_FINITE}",
        "far longer than the model reads",
        "half \ud800 a pair",
        "short",
    ]
    rows = [Row(2 * number, f"id{number}", text) for number, text in enumerate(texts, 1)]
    rows.append(Row(14, "14", "", "file:14: is not JSON"))
    with pytest.warns(NearfieldWarning) as warned:
        account = encode_to(
            Counting(),
            Stream("mixed", lambda: iter(rows), lambda: None),
            tmp_path / "vectors",
            shard_rows=3,
        )
    assert sorted(str(warning.message) for warning in warned) == [
        "1 of 4 texts are empty (the first is id2); their vectors tell nothing",
        "counting reads 20 tokens: 1 of 4 texts were longer and lost 11 tokens (26.8% of all)",
    ]
    assert (account.rows, account.failed, account.empty, account.first_empty, account.repeated) == (
        7,
        3,
        1,
        "id2",
        0,
    )
    assert [fault.split(":")[0] for fault in account.faults] == [
        "id3",
        "row 10 holds half of a surrogate pair, which is not a character",
        "file",
    ]
    table = manifest(tmp_path / "vectors")
    assert [(row["row"], row["id"], row["state"], row["vector"]) for row in table] == [
        (2, "id1", "done", 0),
        (4, "id2", "done", 1),
        (6, "id3", "failed", None),
        (8, "id4", "truncated", 2),
        (10, "id5", "failed", None),
        (12, "id6", "done", 3),
        (14, "14", "failed", None),
    ]
    assert [(row["tokens"], row["tokens_lost"]) for row in table] == [
        (5, 0),
        (0, 0),
        (None, None),
        (20, 11),
        (None, None),
        (5, 0),
        (None, None),
    ]
    assert [row["reason"] is None for row in table] == [row["state"] != "failed" for row in table]
    assert ids(tmp_path / "vectors") == ["id1", "id2", "id4", "id6"]
    assert np.isfinite(Dense.open(tmp_path / "vectors").vectors).all()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.sampled_from(["", "a", "b", NOT_FINITE, "\ud800", "é" * 30]) | st.text(max_size=25),
        min_size=1,
        max_size=30,
    ),
    shard_rows=st.integers(4, 12),
    stop=st.integers(0, 30),
    cache=st.booleans(),
)
@pytest.mark.filterwarnings("ignore::nearfield.errors.NearfieldWarning")
def test_any_rows_are_accounted_for_once_and_going_on_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    shard_rows: int,
    stop: int,
    cache: bool,
) -> None:
    tmp_path = tmp_path_factory.mktemp("run")
    rows = rows_of([f"{text}{'' if cache else ' '}" for text in texts])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
        good = [row.text for row in rows if NOT_FINITE not in row.text and "\ud800" not in row.text]
        with contextlib.suppress(OSError, ModelError, InputError):
            encode_to(
                Counting(),
                stopping(rows, stop, OSError("pulled")),
                tmp_path / "one",
                shard_rows=shard_rows,
                cache=cache,
            )
        if not good:
            return
        try:
            encode_to(
                Counting(),
                Stream("all", lambda: iter(rows), lambda: None),
                tmp_path / "one",
                shard_rows=shard_rows,
                cache=cache,
            )
        except ModelError:  # the first sixteen texts fail, and no other was encoded
            assert sum(NOT_FINITE in text for text in texts) >= 16
            return
    expected = Counting().encode(good, "document")
    np.testing.assert_array_equal(Dense.open(tmp_path / "one").vectors, expected.vectors)
    table = manifest(tmp_path / "one")
    assert [row["row"] for row in table] == list(range(1, len(rows) + 1))
    places = [row["vector"] for row in table if row["state"] != "failed"]
    assert places == list(range(len(good)))


def test_what_was_done_before_an_error_is_not_done_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Counting()
    with pytest.raises(OSError, match="pulled"):
        encode_to(
            encoder,
            stopping(rows_of(TEXTS), 65, OSError("pulled")),
            tmp_path / "vectors",
            shard_rows=20,
            cache=False,
        )
    assert not (tmp_path / "vectors").exists()
    assert sum(map(len, encoder.asked)) <= 60
    encoder.asked.clear()
    with caplog.at_level(logging.INFO, "nearfield"):
        account = encode_to(
            encoder, Stream.of(TEXTS), tmp_path / "vectors", shard_rows=20, cache=False
        )
    assert "goes on after row 60, where it was interrupted" in caplog.text
    assert account.rows == 100
    assert len(encoder.asked) == 2
    encode_to(encoder, Stream.of(TEXTS), tmp_path / "unbroken", shard_rows=20, cache=False)
    assert contents(tmp_path / "vectors") == contents(tmp_path / "unbroken")


CHANGED = [
    (
        [*TEXTS[:10], "another", *TEXTS[11:]],
        Counting(),
        Request(),
        "rows 1 to 20 of the input are not those that were encoded",
    ),
    (TEXTS[:30], Counting(), Request(), "rows 21 to 30 of the input are not those"),
    (TEXTS[:20], Counting(), Request(), "the input now ends before row 60"),
    (TEXTS, Counting(files="f" * 64), Request(), "files was '0000"),
    (TEXTS, Counting(), Request(role="query"), "role was 'document' and is 'query' now"),
    (TEXTS, Counting(), Request(dim=4), "dim was 12 and is 4 now"),
    (TEXTS, Counting(), Request(storage="int8"), "dtype was 'float32' and is 'int8' now"),
]


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize(
    ("texts", "encoder", "request_", "said"), CHANGED, ids=[said[:30] for *_, said in CHANGED]
)
def test_a_changed_input_or_request_is_refused_and_started_over_when_asked(
    tmp_path: Path, texts: list[str], encoder: Counting, request_: Request, said: str
) -> None:
    with pytest.raises(OSError, match="pulled"):
        encode_to(
            Counting(),
            stopping(rows_of(TEXTS), 65, OSError("pulled")),
            tmp_path / "vectors",
            shard_rows=20,
        )
    with pytest.raises(InputError, match=said) as raised:
        encode_to(encoder, Stream.of(texts), tmp_path / "vectors", request_, shard_rows=20)
    assert f"remove {job_folder(tmp_path / 'vectors')} to start over" in str(raised.value)
    assert any(job_folder(tmp_path / "vectors").iterdir())
    forget_job(tmp_path / "vectors")
    assert encode_to(
        encoder, Stream.of(texts), tmp_path / "vectors", request_, shard_rows=20
    ).rows == len(texts)


def test_strict_ends_at_the_first_bad_row(tmp_path: Path) -> None:
    for texts, said in (
        ([*TEXTS, NOT_FINITE], "counting gave NaN"),
        ([*TEXTS, "\ud800"], "row 101 holds half of a surrogate pair"),
    ):
        with pytest.raises(InputError, match=said):
            encode_to(Counting(), Stream.of(texts), tmp_path / "vectors", Request(strict=True))
    assert list(tmp_path.iterdir()) == []


def test_a_broken_model_is_not_asked_for_every_text(tmp_path: Path) -> None:
    encoder = Counting()
    with pytest.raises(ModelError, match="NaN or infinite"):
        encode_to(
            encoder,
            Stream.of([f"{NOT_FINITE} {number}" for number in range(5000)]),
            tmp_path / "vectors",
            cache=False,
        )
    assert len(encoder.asked) < 60
    with pytest.raises(
        InputError, match="none of its 3 rows can be encoded; the first: 1: counting gave NaN"
    ):
        encode_to(
            encoder,
            Stream.of([f"{NOT_FINITE} {number}" for number in range(3)]),
            tmp_path / "vectors",
            cache=False,
        )
    assert list(tmp_path.iterdir()) == []


def test_what_float16_cannot_hold_fails(tmp_path: Path) -> None:
    encoder = Counting(normalise=False, size=1e4)
    account = encode_to(
        encoder, Stream.of(["a", "z" * 20]), tmp_path / "vectors", Request(storage="float16")
    )
    assert (account.failed, account.usage.items) == (1, 1)
    assert "float16 cannot hold" in account.faults[0]


def test_bad_requests_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="13 dimensions"):
        encode_to(Counting(), Stream.of(TEXTS), tmp_path / "vectors", Request(dim=13))
    with pytest.raises(ContractError, match="no role 'classify'"):
        encode_to(Counting(), Stream.of(TEXTS), tmp_path / "vectors", Request(role="classify"))
    with pytest.raises(InputError, match="texts: holds no text"):
        encode_to(Counting(), Stream.of([]), tmp_path / "vectors")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(StorageError, match="exists and is not a vector folder"):
        encode_to(Counting(), Stream.of(TEXTS), tmp_path / "other")


def test_a_dim_that_was_not_trained_is_said(tmp_path: Path) -> None:
    with pytest.warns(MatryoshkaWarning, match="cut to 5 dimensions and was trained for 4, 8"):
        encode_to(Counting(), Stream.of(TEXTS), tmp_path / "vectors", Request(dim=5))
    assert Dense.open(tmp_path / "vectors").vectors.shape == (100, 5)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        with pytest.raises(InputError, match="is being written by another process"):
            restart_job(tmp_path / "vectors")
        assert job_folder(tmp_path / "vectors").is_dir()
        with pytest.raises(InputError, match="is being written by another process"):
            encode_to(Counting(), Stream.of(TEXTS), tmp_path / "vectors")
        yield from rows_of(TEXTS)

    assert (
        encode_to(Counting(), Stream("nested", rows, lambda: None), tmp_path / "vectors").rows
        == 100
    )


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_the_folder_says_what_made_it(tmp_path: Path) -> None:
    encode_to(
        Counting(files="abc"),
        Stream.of(TEXTS),
        tmp_path / "vectors",
        Request(role="query", source="here"),
        cache=False,
    )
    assert MadeBy.open(tmp_path / "vectors") == MadeBy("counting", "here", "abc", "query")


def test_progress_never_falls_and_ends_at_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    encode_to(
        Counting(),
        Stream.of(TEXTS),
        tmp_path / "vectors",
        shard_rows=30,
        progress=lambda done, total, note="": seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert seen[-1] == (100, 100)


def test_a_truncated_text_is_warned_of_once(tmp_path: Path) -> None:
    with pytest.warns(TruncationWarning) as warned:
        encode_to(Counting(), Stream.of(["x" * 30] * 9), tmp_path / "vectors", shard_rows=2)
    assert len(warned) == 1


def test_texts_that_stand_far_down_are_seen_and_others_are_not_replaced_unasked(
    tmp_path: Path,
) -> None:
    """A stream that can be read only once is looked at when all of it is encoded; what was done is
    in the cache.
    """
    to, old = tmp_path / "vectors", [f"old {number}" for number in range(40)]
    encode_to(Counting(), Stream.of(old), to)
    new = [f"new {number}" for number in range(5000)]
    for repeatable in (True, False):
        stream = Stream("new", lambda: iter(rows_of(new)), lambda: None, repeatable=repeatable)
        with pytest.raises(
            StorageError,
            match=r"vectors: holds vectors of other texts, none of "
            r"this input's among them",
        ):
            encode_to(Counting(), stream, to)
        assert pq.read_table(to / "manifest.parquet").num_rows == 40
    assert not job_folder(to).exists()
    account = encode_to(Counting(), Stream.of([*new, old[7]]), to)
    assert (account.rows, account.cached) == (5001, 5001)
    assert encode_to(Counting(), Stream.of(old[8:]), to, replace=True).rows == 32


def test_a_killed_run_remembers_that_it_may_replace(tmp_path: Path) -> None:
    to = tmp_path / "vectors"
    encode_to(Counting(), Stream.of(["old"]), to)
    with pytest.raises(OSError, match="pulled"):
        encode_to(
            Counting(),
            stopping(rows_of(TEXTS), 65, OSError("pulled")),
            to,
            shard_rows=20,
            replace=True,
        )
    assert encode_to(Counting(), Stream.of(TEXTS), to, shard_rows=20).rows == len(TEXTS)


class Adapted(Counting):
    """Its queries' vectors go through an adapter."""

    adapter = "a1"

    @property
    def identity(self) -> dict[str, str] | None:
        return {"files": self.files, "adapter": self.adapter}


def test_an_adapter_is_told_apart_for_the_role_that_it_maps(tmp_path: Path) -> None:
    again = Adapted()
    again.adapter = "a2"
    for encoder in (Counting(), Adapted(), again):
        encode_to(encoder, Stream.of(["one", "two"]), tmp_path / "documents")
    encode_to(Adapted(), Stream.of(["one", "two"]), tmp_path / "queries", Request(role="query"))
    for other in (Counting(), again):
        with pytest.raises(
            StorageError,
            match="holds query vectors by counting through another "
            "adapter than this one, or through none",
        ):
            encode_to(other, Stream.of(["one", "two"]), tmp_path / "queries", Request(role="query"))


@pytest.mark.parametrize("damaged", ["shards/00000000.npz", "shards/00000001.npz"])
def test_a_shard_that_was_damaged_after_a_kill_is_made_again(tmp_path: Path, damaged: str) -> None:
    texts = [f"text {number}" for number in range(50)]

    def cut(rows: int) -> Stream:
        def read() -> Iterator[Row]:
            yield from islice(Stream.of(texts).rows(), rows)
            raise InputError("cut off")

        return Stream("cut off", read, lambda: None)

    encode_to(Counting(), Stream.of(texts), tmp_path / "whole", shard_rows=10, cache=False)
    with pytest.raises(InputError, match="cut off"):
        encode_to(Counting(), cut(45), tmp_path / "vectors", shard_rows=10, cache=False)
    file = tmp_path / ".vectors.encode" / damaged
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    with pytest.warns(
        NearfieldWarning,
        match=r"of the [34] shards that an unfinished run left, "
        r"number [12] is damaged; .* made again",
    ):
        encode_to(Counting(), Stream.of(texts), tmp_path / "vectors", shard_rows=10, cache=False)
    for name in ("vectors.npy", "ids.jsonl", "manifest.parquet", "checksums.json"):
        assert (tmp_path / "vectors" / name).read_bytes() == (
            tmp_path / "whole" / name
        ).read_bytes()
