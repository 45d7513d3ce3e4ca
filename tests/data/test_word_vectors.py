"""Word vectors as a static model's folder in the cache, and look-ups in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearfield.data.word_vectors import WordVectors, word_folder
from nearfield.errors import InputError
from word_files import WORDS, some_vectors, write_every_format, write_text


def test_every_format_opens_and_is_converted_once(tmp_path: Path) -> None:
    for path in write_every_format(tmp_path, WORDS, some_vectors()).values():
        vectors = WordVectors.open(path)
        assert vectors.words.to_pylist() == WORDS
        assert isinstance(vectors.vectors, np.memmap)
        np.testing.assert_array_equal(vectors.vectors, some_vectors())
        made = (word_folder(path) / "model.safetensors").stat().st_mtime_ns
        assert (word_folder(path) / "model.safetensors").stat().st_mtime_ns == made


def test_places_of_words(tmp_path: Path) -> None:
    vectors = WordVectors.open(write_text(tmp_path / "w.txt", WORDS, some_vectors()))
    assert vectors.positions(["cat", "nothing", "東京", "The", "the"]).tolist() == [9, -1, 7, -1, 0]
    assert vectors.first(5).positions(["cat", "woman"]).tolist() == [-1, 4]
    assert vectors.word(5) == "king's"


def test_a_word_that_comes_again_counts_once(tmp_path: Path) -> None:
    words, table = ["a", "b", "a", "c", "b"], some_vectors(5)
    vectors = WordVectors.open(write_text(tmp_path / "w.txt", words, table))
    assert vectors.words.to_pylist() == ["a", "b", "c"]
    np.testing.assert_array_equal(vectors.vectors, table[[0, 1, 3]])


def test_a_changed_file_is_converted_again(tmp_path: Path) -> None:
    WordVectors.open(write_text(tmp_path / "w.txt", WORDS, some_vectors()))
    again = WordVectors.open(
        write_text(tmp_path / "w.txt", [*WORDS, "more"], some_vectors(len(WORDS) + 1))
    )
    assert again.positions(["more"]).tolist() == [len(WORDS)]


def test_a_damaged_file_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "w.txt"
    path.write_text("the 1 2\ncat 1\n")
    for _ in range(2):
        with pytest.raises(InputError, match=r"w\.txt:2: holds 1 numbers"):
            WordVectors.open(path)
    with pytest.raises(InputError, match="does not exist"):
        WordVectors.open(tmp_path / "none")
