"""Every format of word vectors, and what is wrong with a file that is none."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.data.readers.word_vectors import is_word_vectors, word_vector_blocks
from nearfield.errors import InputError
from word_files import WORDS, some_vectors, write_binary, write_every_format, write_text

FORMATS = (
    "glove",
    "word2vec",
    "fasttext",
    "binary",
    "unbroken",
    "fasttext gzip",
    "binary gzip",
    "pair",
)


def read(path: Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    blocks = list(word_vector_blocks(path))
    return [word for words, _ in blocks for word in words], np.concatenate(
        [vectors for _, vectors in blocks]
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_words_and_numbers(name: str, tmp_path: Path) -> None:
    path = write_every_format(tmp_path, WORDS, some_vectors())[name]
    words, vectors = read(path)
    assert words == WORDS
    np.testing.assert_array_equal(vectors, some_vectors())
    assert is_word_vectors(path)


def test_more_words_than_a_block(tmp_path: Path) -> None:
    words, vectors = [f"w{at}" for at in range(9000)], some_vectors(9000, 3)
    for path in (
        write_text(tmp_path / "t", words, vectors),
        write_binary(tmp_path / "b", words, vectors),
    ):
        found = read(path)
        assert found[0] == words
        np.testing.assert_array_equal(found[1], vectors)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=8),
        min_size=1,
        max_size=20,
        unique=True,
    )
)
def test_any_word_without_blanks_comes_back(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("words")
    for path in (
        write_text(folder / "t", words, some_vectors(len(words)), header=True),
        write_binary(folder / "b", words, some_vectors(len(words))),
    ):
        assert read(path)[0] == words


def test_a_word_with_blanks_within(tmp_path: Path) -> None:
    path = write_text(
        tmp_path / "glove.txt", ["the", ". . .", "at name@domain.com"], some_vectors(3)
    )
    words, vectors = read(path)
    assert words == ["the", ". . .", "at name@domain.com"]
    np.testing.assert_array_equal(vectors, some_vectors(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x\.txt:1: holds no word vectors"),
        ("the\n", r"x\.txt:1: holds no word vectors"),
        ("0 4\n", r"x\.txt:1: holds no word vectors"),
        ("the 1 2\ncat 1\n", r"x\.txt:2: holds 1 numbers after the word; wanted 2"),
        ("the 1 2\ncat 1 zwei\n", r"x\.txt:2: 'zwei' is not a finite number"),
        ("the 1 2\ncat 1 2\ndog nan 2\n", r"x\.txt:3: 'nan' is not a finite number"),
        ("the 1 2\ncat 1 inf\n", r"x\.txt:2: 'inf' is not a finite number"),
        ("3 2\nthe 1 2\ncat 1 2\n", r"first line says 3 words, and 2 lines follow"),
        ("1 2\nthe 1 2\ncat 1 2\n", r"first line says 1 words, and 2 lines follow"),
    ],
)
def test_errors_name_file_and_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x.txt")


def test_a_line_that_is_no_utf_8(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"the 1 2\nna\xefve 1 2\n")
    with pytest.raises(InputError, match=r"x\.txt:2: is not UTF-8"):
        read(tmp_path / "x.txt")


def test_damaged_binary_files(tmp_path: Path) -> None:
    whole = write_binary(tmp_path / "w.bin", WORDS, some_vectors()).read_bytes()

    def refused(content: bytes, message: str) -> None:
        (tmp_path / "x.bin").write_bytes(content)
        with pytest.raises(InputError, match=message):
            read(tmp_path / "x.bin")

    refused(whole[:-10], "ends within word 12 of 12")
    refused(whole + b"more", "goes on after the 12 words")
    refused(
        whole.replace(some_vectors()[1].tobytes()[:4], struct.pack("<f", np.nan), 1),
        r"word 2 \('king'\) holds NaN",
    )
    refused(whole.replace("naïve".encode(), b"na\xff\xffve", 1), "word 7 is not UTF-8")
    refused(b"1 2\n" + b"\xff" * 5000, "word 1 is longer than 4096 bytes")
    refused(struct.pack("<i", 793712314) + b"\x0c\x00\x00\x00", r"give the \.vec file")


def test_an_array_and_a_table_that_do_not_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", some_vectors(3))
    pq.write_table(pa.table({"word": ["a", "b"]}), tmp_path / "w.parquet")
    with pytest.raises(
        InputError,
        match=r"v\.npy has the shape \(3, 4\), w\.parquet 2 rows and 1 "
        r"columns of text",
    ):
        read(tmp_path)
    pq.write_table(pa.table({"word": ["a", None, "c"]}), tmp_path / "w.parquet")
    with pytest.raises(InputError, match="row 1 has no word"):
        read(tmp_path)
    (tmp_path / "w.parquet").unlink()
    with pytest.raises(InputError, match="holds no word vectors"):
        read(tmp_path)
    assert not is_word_vectors(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"1000000000000 300\ncat 1 2\n",
            r"x\.bin:1: the first line says 1,000,000,000,000 words "
            r"of 300 dimensions, at least",
        ),
        (
            b"10 3000000000\nab",
            r"x\.bin:1: has 3,000,000,000 dimensions by its first line; wanted "
            r"at most 65,536",
        ),
        (
            gzip.compress(b"1000000000 300\n" + b"\xff" * 99, mtime=0),
            r"x\.bin:1: the first line "
            r"says 1,000,000,000 words",
        ),
        (
            gzip.compress(b"the 1 2\ncat 3 4\n" * 99, mtime=0)[:40],
            "is cut or damaged and could not be unpacked",
        ),
        (b"9" * 5000 + b" 2\ncat 1 2\n", "x.bin"),
    ],
    ids=["words", "dimensions", "packed words", "cut gzip", "digits"],
)
def test_claims_are_compared_with_the_file(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x.bin")
