"""Nearest words against a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearfield.data.word_vectors import WordVectors
from nearfield.errors import InputError
from nearfield.retrieval.words import nearest_words
from word_files import WORDS, some_vectors, write_text


@pytest.fixture
def vectors(tmp_path: Path) -> WordVectors:
    return WordVectors.open(write_text(tmp_path / "w.txt", WORDS, some_vectors()))


def by_loop(
    vectors: WordVectors, positive: list[str], negative: list[str]
) -> list[tuple[str, float]]:
    table = {
        word: row / np.linalg.norm(row)
        for word, row in zip(WORDS, vectors.vectors.astype(np.float64), strict=True)
    }
    target = sum((table[word] for word in positive), np.zeros(4)) - sum(
        (table[word] for word in negative), np.zeros(4)
    )
    rest = [
        (word, float(row @ target / np.linalg.norm(target)))
        for word, row in table.items()
        if word not in [*positive, *negative]
    ]
    return sorted(rest, key=lambda found: -found[1])


@pytest.mark.parametrize(
    ("positive", "negative"),
    [(["cat"], []), (["king", "woman"], ["man"]), (["the", "the"], ["dog", "."])],
)
def test_the_order_and_cosines_of_a_loop(
    positive: list[str], negative: list[str], vectors: WordVectors
) -> None:
    expected = by_loop(vectors, positive, negative)
    found = nearest_words(vectors, positive, negative=negative, k=50)
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose(
        [score for _, score in found], [score for _, score in expected], atol=1e-6
    )
    assert nearest_words(vectors, positive, negative=negative, k=3) == found[:3]


def test_bad_input(vectors: WordVectors) -> None:
    with pytest.raises(
        InputError,
        match=r"w has no word 'cta', 'King'; its 12 words are read as "
        r"they are written",
    ):
        nearest_words(vectors, ["cta", "King", "dog"])
    with pytest.raises(InputError, match="got 0 words and k = 10"):
        nearest_words(vectors, [])
    with pytest.raises(InputError, match="got 1 words and k = 0"):
        nearest_words(vectors, ["cat"], k=0)
