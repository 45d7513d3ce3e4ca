"""Copies of a few texts among many: those that the data doctor finds, in one pass."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nearfield.data.doctor.minhash import DOCUMENT_RUNS, QUERY_RUNS, near_duplicates
from nearfield.data.doctor.words import digests, normalised, wording
from nearfield.train.data.copies import copies
from tiny import WORDS


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("queries", "lengths"), [(False, (1, 2, 3, 10, 60, 400)), (True, (1, 2, 3, 8, 14, 30))]
)
def test_they_are_those_of_the_doctor(queries: bool, lengths: tuple[int, ...], seed: int) -> None:
    generator = random.Random(seed)

    def some() -> list[str]:
        return [" ".join(generator.choices(WORDS, k=generator.choice(lengths))) for _ in range(30)]

    held, texts = some(), some()
    for text in held:
        words = text.split()
        for _ in range(generator.randint(0, len(words) // 20 + 1)):
            words[generator.randrange(len(words))] = generator.choice(WORDS)
        texts.append(" ".join(words))
    key = wording if queries else normalised
    sizes = QUERY_RUNS if queries else DOCUMENT_RUNS
    near = near_duplicates([*held, *texts], threshold=0.8, sizes=sizes)
    wanted = {
        int(second) - len(held)
        for first, second in zip(near.first, near.second, strict=True)
        if first < len(held) <= second
    }
    exact = {row for row, text in enumerate(texts) if key(text) in set(map(key, held))}
    keys, marks = copies(texts, held, queries=queries)
    assert set(np.flatnonzero(marks).tolist()) == wanted | exact
    np.testing.assert_array_equal(keys, digests(map(key, texts)))


def test_without_held_texts_nothing_is_a_copy() -> None:
    keys, found = copies(["a", ""], [])
    assert (len(keys), found.tolist()) == (2, [False, False])
    assert copies([], ["a"], queries=True)[1].tolist() == []
