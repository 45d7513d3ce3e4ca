"""Exchanged columns by ids and by texts; data that is alike in both, or long in its queries, is
left alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nearfield.data.collection import Collection
from nearfield.data.doctor.swapped import Column, describe, points
from nearfield.data.pairs import Pairs
from nearfield.types.finding import ERROR, Finding

Run = Callable[..., dict[str, Finding]]
WORDS = [f"word{i}" for i in range(400)]


def prose(generator: np.random.Generator, words: int, sentences: int = 1, end: str = ".") -> str:
    parts = [
        " ".join(generator.choice(WORDS, size=max(2, words // sentences))) for _ in range(sentences)
    ]
    return (". ".join(parts)) + end


def pairs_of(query: tuple[int, int, str], positive: tuple[int, int, str], count: int = 60) -> Pairs:
    generator = np.random.default_rng(7)
    return Pairs.from_table(
        pa.table(
            {
                "query": [prose(generator, *query) for _ in range(count)],
                "positive": [prose(generator, *positive) for _ in range(count)],
            }
        )
    )


def exchanged(pairs: Pairs) -> Pairs:
    return Pairs.from_table(
        pa.table({"query": pairs.table["positive"], "positive": pairs.table["query"]})
    )


@pytest.mark.parametrize(
    ("query", "positive"),
    [
        ((10, 1, "?"), (100, 6, ".")),  # questions on passages
        ((9, 1, ""), (150, 8, ".")),  # titles and abstracts
        ((12, 1, "."), (180, 9, ".")),  # claims and abstracts
        ((2, 1, ""), (150, 1, "")),  # keywords and texts without punctuation
        ((6, 1, "?"), (25, 1, ".")),  # questions and sentences
        ((50, 3, "?"), (120, 6, ".")),  # long requests
    ],
)
def test_an_exchange_is_found_and_the_right_order_is_not(
    query: tuple[int, int, str], positive: tuple[int, int, str], findings: Run
) -> None:
    pairs = pairs_of(query, positive)
    assert "swapped-columns" not in findings(pairs)
    found = findings(exchanged(pairs))["swapped-columns"]
    assert (found.severity, found.count) == (ERROR, 60)


@pytest.mark.parametrize(
    ("query", "positive"),
    [
        ((8, 1, "."), (8, 1, ".")),  # paraphrases
        ((14, 1, "."), (7, 1, ".")),  # premise and hypothesis
        ((28, 1, "."), (11, 1, ".")),  # a sentence and its compression
        ((150, 8, "?"), (130, 7, ".")),  # posts and passages
        ((190, 9, "."), (160, 8, ".")),  # arguments and counter-arguments
        ((250, 12, "."), (90, 1, "")),  # problem statements and programs
        ((40, 3, "?"), (2, 1, "")),  # questions and names
        ((10, 1, "?"), (10, 1, "?")),  # questions asked twice
        ((3, 1, ""), (9, 1, "?")),  # keywords and a list of frequent questions
    ],
)
def test_what_is_alike_or_long_in_its_queries_is_left_alone(
    query: tuple[int, int, str], positive: tuple[int, int, str], findings: Run
) -> None:
    assert "swapped-columns" not in findings(pairs_of(query, positive))


def test_class_names_are_no_swapped_queries(findings: Run) -> None:
    generator = np.random.default_rng(8)
    names = ["card arrival", "lost card", "top up"]
    rows = {
        "query": [prose(generator, 30, 3) for _ in range(90)],
        "positive": [names[i % 3] for i in range(90)],
    }
    assert "swapped-columns" not in findings(Pairs.from_table(pa.table(rows)))


def test_judgements_whose_ids_only_fit_the_other_way_are_certain(
    make_collection, findings: Run
) -> None:  # type: ignore[no-untyped-def]
    documents, queries = (
        {"d1": "some words here", "d2": "other words there"},
        {"q1": "some words", "q2": "other words"},
    )
    found = findings(
        make_collection(documents, queries, [("d1", "q1", 1, "test"), ("d2", "q2", 1, "test")])
    )
    assert (found["swapped-columns"].severity, found["swapped-columns"].count) == (ERROR, 2)
    assert "'d1'" in found["swapped-columns"].example
    assert "swapped-columns" not in findings(
        make_collection(documents, queries, [("q1", "d1", 1, "test"), ("d2", "q2", 1, "test")])
    )


def test_ids_that_fit_both_ways_say_nothing(make_collection, findings: Run) -> None:  # type: ignore[no-untyped-def]
    texts = {str(i): f"text {i} with words{i}" for i in range(9)}
    judgements = [(str(i), str(8 - i), 1, "test") for i in range(9)]
    assert "swapped-columns" not in findings(make_collection(texts, texts, judgements))


def test_a_handful_of_texts_says_nothing(sound: Collection, findings: Run) -> None:
    rows = {
        "query": ["a long text of many words. It goes on and on. " * 5] * 3,
        "positive": ["what?"] * 3,
    }
    assert "swapped-columns" not in findings(Pairs.from_table(pa.table(rows)))


def test_points_change_sign_with_the_columns_while_both_are_short() -> None:
    one, other = Column(8, 0.4, 0.1, 0.0), Column(30, 0.0, 0.5, 0.9)
    assert points(one, other) == pytest.approx([-value for value in points(other, one)])


def test_columns_are_described_across_scripts() -> None:
    column = describe(
        [
            "什么是光？",
            "Quand part-il",
            "how it works",
            "Two. Sentences.",
            "def f(x): return [x[i] for i in (1, 2)]",
        ]
    )
    assert column.questions == pytest.approx(0.6)
    assert column.several == pytest.approx(0.2)
    assert column.code == pytest.approx(0.2)
