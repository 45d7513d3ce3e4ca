"""Near-duplicates against a double loop over sets of words."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.data.doctor.minhash import bands_for, near_duplicates
from nearfield.types.word_rule import words


def jaccard(one: str, other: str, sizes: tuple[int, ...]) -> float:
    first, second = (
        {
            tuple(split[i : i + size])
            for size in (sizes if len(split) >= min(sizes) else (len(split),))
            for i in range(len(split) - size + 1)
            if split
        }
        for split in (words(one), words(other))
    )
    return len(first & second) / max(1, len(first | second))


def naive(
    texts: list[str], threshold: float, sizes: tuple[int, ...]
) -> dict[tuple[int, int], float]:
    pairs = (
        (i, j, jaccard(texts[i], texts[j], sizes)) for j in range(len(texts)) for i in range(j)
    )
    return {(i, j): value for i, j, value in pairs if value >= threshold}


def edited(texts: list[str], copies: int, most: int, seed: int) -> list[str]:
    """Texts with copies of some, in which up to `most` words are changed."""
    generator, result = np.random.default_rng(seed), list(texts)
    for _ in range(copies):
        split = texts[generator.integers(len(texts))].split()
        for place in generator.integers(len(split), size=generator.integers(most + 1)):
            split[place] = f"new{generator.integers(10**6)}"
        result.append(" ".join(split))
    return result


@pytest.mark.parametrize(
    ("threshold", "sizes", "length"),
    [(0.8, (3,), 90), (0.8, (1, 2), 12), (0.5, (1, 2), 9), (0.7, (3,), 30)],
)
def test_all_pairs_of_a_double_loop_are_found_and_no_other(
    threshold: float, sizes: tuple[int, ...], length: int
) -> None:
    generator = np.random.default_rng(1)
    base = [" ".join(f"w{word}" for word in generator.zipf(1.3, length) % 5000) for _ in range(80)]
    texts = edited(base, 170, 1 + length // 12, seed=2)
    wanted, found = (
        naive(texts, threshold, sizes),
        near_duplicates(texts, threshold=threshold, sizes=sizes),
    )
    mine = dict(
        zip(
            zip(found.first.tolist(), found.second.tolist(), strict=True),
            found.similarity.tolist(),
            strict=True,
        )
    )
    assert len(wanted) > 80
    assert mine == pytest.approx({pair: wanted[pair] for pair in mine}), (
        "nothing below the threshold, and the true similarity"
    )
    assert len(mine) >= 0.99 * len(wanted)


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), max_size=7).map(" ".join), max_size=25),
    st.sampled_from([0.5, 0.8]),
)
@settings(max_examples=80)
def test_pairs_given_are_true_ordered_and_unique(texts: list[str], threshold: float) -> None:
    found = near_duplicates(texts, threshold=threshold, sizes=(1, 2))
    wanted = naive(texts, threshold, (1, 2))
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    for pair, similarity in zip(pairs, found.similarity, strict=True):
        assert similarity == pytest.approx(wanted[pair])
    assert {pair for pair, value in wanted.items() if value == 1} <= set(pairs), (
        "equal sets share every band"
    )


def test_bands_miss_a_pair_at_the_threshold_once_in_a_thousand() -> None:
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        bands, rows = bands_for(threshold)
        assert (1 - threshold**rows) ** bands <= 0.001
        assert bands * rows <= 128


def test_the_same_texts_have_the_same_pairs_and_order_does_not_matter() -> None:
    generator = np.random.default_rng(3)
    texts = edited(
        [" ".join(f"w{word}" for word in generator.integers(300, size=40)) for _ in range(60)],
        60,
        2,
        seed=4,
    )
    once, again = (near_duplicates(texts, threshold=0.8, sizes=(3,)) for _ in range(2))
    np.testing.assert_array_equal(once.first, again.first)
    order = generator.permutation(len(texts))
    moved = near_duplicates([texts[i] for i in order], threshold=0.8, sizes=(3,))
    mine = {frozenset(pair) for pair in zip(once.first.tolist(), once.second.tolist(), strict=True)}
    assert mine == {
        frozenset((int(order[a]), int(order[b])))
        for a, b in zip(moved.first, moved.second, strict=True)
    }


def test_one_text_many_times_stays_linear() -> None:
    texts = ["the same words here, always the same" + "!" * (i % 3) for i in range(3000)]
    found = near_duplicates(texts, threshold=0.8, sizes=(3,))
    assert len(np.unique(found.second)) == 2999, "each has an earlier copy"
    assert len(found) < 3 * 3000


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0])
def test_a_threshold_that_means_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        near_duplicates(["a"], threshold=threshold, sizes=(3,))


def test_ten_thousand_documents_take_seconds() -> None:
    generator = np.random.default_rng(5)
    vocabulary = np.array([f"word{i}" for i in range(20_000)])
    texts = [" ".join(vocabulary[generator.zipf(1.2, 150) % 20_000]) for _ in range(10_000)]
    started = time.process_time()
    near_duplicates(texts, threshold=0.8, sizes=(3,))
    # 0.7 s on a core of 2024; sixty thousand are to take under a minute
    assert time.process_time() - started < 10
