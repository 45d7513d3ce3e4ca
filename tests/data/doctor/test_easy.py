"""Where BM25 alone finds what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nearfield.data.collection import Collection
from nearfield.data.doctor import easy
from nearfield.data.doctor.check import Found
from nearfield.data.doctor.subject import Subject
from nearfield.data.open import open_collection
from nearfield.retrieval.bm25 import first_found
from nearfield.types.arrays import Positions
from nearfield.types.finding import WARNING, Finding


@pytest.fixture
def asked(make_collection) -> Callable[..., Collection]:  # type: ignore[no-untyped-def]
    """40 documents; a query of each in its own words, but for `hard` of them in words of no
    document, all in the given split.
    """

    def make(
        count: int = 40,
        *,
        hard: int = 0,
        split: str = "test",
        also: Sequence[tuple[str, str, int, str]] = (),
    ) -> Collection:
        documents = {
            f"d{at}": f"word{at} thing{at} and more of the same for all" for at in range(40)
        }
        queries = {
            f"q{at}": "nothing known" if at < hard else f"where is thing{at}?"
            for at in range(count)
        }
        return make_collection(
            documents, queries, [*((f"q{at}", f"d{at}", 1, split) for at in range(count)), *also]
        )

    return make


def look(
    data: Collection,
    first: Callable[[Sequence[str], Sequence[str]], Positions] | None = first_found,
) -> Found | None:
    return easy.easy_queries(Subject(data, first))


def test_nine_in_ten_are_too_many(asked: Callable[..., Collection]) -> None:
    found = look(asked(hard=4))
    assert found is not None
    assert (found.severity, found.count, found.total) == (WARNING, 36, 40)
    assert found.example == (
        "BM25 ranks a relevant document first for 90%; query 'q4' \"where is thing4?\""
    )
    assert look(asked(hard=5)) is None
    assert look(asked(19)) is None  # too few to say
    assert look(asked(), None) is None


def test_the_doctor_asks_where_it_is_given_what_ranks(
    asked: Callable[..., Collection], findings: Callable[..., dict[str, Finding]]
) -> None:
    assert "easy-queries" in findings(asked(), first=first_found)
    assert "easy-queries" not in findings(asked())


def test_held_out_queries_count_where_there_are_some(asked: Callable[..., Collection]) -> None:
    unanswered = [(f"q{at}", f"d{(at + 1) % 40}", 1, "test") for at in range(40)]
    assert look(asked(split="train")) is not None
    assert look(asked(split="train", also=unanswered)) is None


def test_no_more_documents_are_read_than_it_takes(
    asked: Callable[..., Collection], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def first(documents: Sequence[str], queries: Sequence[str]) -> Positions:
        read.append(len(documents))
        return first_found(documents, queries)

    monkeypatch.setattr(easy, "_POOLS", (5, 30))
    assert look(asked(25, hard=15), first) is None
    found = look(asked(25), first)
    assert found is not None
    few, *more = read
    assert 25 <= few == more[0] < more[1] < 40
    assert f"first for 100%, among {more[1]} of the 40 documents; query" in found.example


def test_other_checks_see_more_than_its_sample(
    asked: Callable[..., Collection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(easy, "_QUERIES", 25)
    subject = Subject(asked(split="train"), first_found)
    found = easy.easy_queries(subject)
    assert found is not None
    assert found.total == 25
    assert subject.judged.positive.sum() == 40


def test_texts_without_words_are_not_answered(make_collection) -> None:  # type: ignore[no-untyped-def]
    texts = {f"q{at}": "-" * (at + 1) for at in range(20)}
    assert look(make_collection(texts, texts, [(name, name, 1, "test") for name in texts])) is None


@pytest.mark.parametrize(
    ("name", "share"), [("xquad/en", 0.937), ("scifact", None), ("cisi", None)]
)
def test_published_sets(name: str, share: float | None, shared_data: Path) -> None:
    found = look(open_collection(shared_data / name))
    assert (found and round(found.count / found.total, 3)) == share
