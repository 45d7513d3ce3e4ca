"""Texts made comparable."""

from __future__ import annotations

import pytest

from nearfield.data.doctor.words import (
    Shingler,
    digest,
    length_in_words,
    normalised,
    terms,
    visible,
    wording,
)
from nearfield.types.word_rule import words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A  b\n c", "a B c"),
        ("ﬁne", "FINE"),
        ("x\u200by", "xy"),
        ("Straße", "STRASSE"),
        ("full\u3000width", "ｆｕｌｌ width"),
    ],
)
def test_normalised_sets_case_blanks_and_compatible_characters_aside(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is it?", "what is IT"),
        ("“So,” he said: no…", "so he said no"),
        ("这是什么？", "这是什么"),
        ("what's x-ray: a", "whats x-ray a"),
    ],
)
def test_wording_sets_punctuation_aside(one: str, other: str) -> None:
    assert wording(one) == wording(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("what is c++?", "what is c?"),
        ("what is c#", "what is c"),
        ("3.5 mm", "35 mm"),
        ("?", "!"),
        ("a <= b", "a < b"),
    ],
)
def test_wording_keeps_what_means_something(one: str, other: str) -> None:
    assert wording(one) != wording(other)


def test_words_of_scripts_with_and_without_blanks() -> None:
    assert words("Two-part Wörter, 3 of them") == ["two", "part", "wörter", "3", "of", "them"]
    assert words("东京abc") == ["东", "京", "abc"]
    assert words("मेरे दादा") == ["मेरे", "दादा"], "vowel signs belong to their word"
    assert terms("A market-wide, 3.5 % rise: 东京!") == [
        "a",
        "market-wide",
        "3.5",
        "%",
        "rise",
        "东",
        "京",
    ]
    assert length_in_words("we should go to sleep") == 5
    assert length_in_words("我该去睡觉了。") == pytest.approx(6 / 1.7)


def test_visible_has_no_width_left() -> None:
    assert visible(" \u200b\ufeff \n") == ""
    assert visible(" x ") == "x"


def naive_shingles(text: str, sizes: tuple[int, ...]) -> set[tuple[str, ...]]:
    split = words(text)
    if 0 < len(split) < min(sizes):
        return {tuple(split)}
    return {
        tuple(split[start : start + size])
        for size in sizes
        for start in range(len(split) - size + 1)
    }


@pytest.mark.parametrize("sizes", [(3,), (1, 2), (2, 5)])
def test_shingles_are_those_of_a_naive_loop(sizes: tuple[int, ...]) -> None:
    texts = [
        "",
        "one",
        "one two",
        "a b a b a b a",
        "...",
        "one two three",
        "we two three four five six one",
        "one",
    ]
    values, owner = Shingler(sizes)(texts)
    assert owner.tolist() == sorted(owner.tolist())
    found: dict[tuple[str, ...], int] = {}
    for row, text in enumerate(texts):
        naive = naive_shingles(text, sizes)
        mine = values[owner == row].tolist()
        assert len(set(mine)) == len(naive)
        if len(naive) == 1:
            assert found.setdefault(next(iter(naive)), mine[0]) == mine[0]


def test_no_texts_and_only_empty_texts_have_no_shingles() -> None:
    for texts in ([], ["", "?!"]):
        values, owner = Shingler((3,))(texts)
        assert len(values) == len(owner) == 0


def test_digest_is_the_same_in_every_process() -> None:
    assert digest("near") == 0xFD10F617D27419E5
