"""What every check of the data doctor promises: a planted fault is found, counted and told how to
be fixed, and sound data passes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from nearfield.data.collection import Collection
from nearfield.data.columns import Unused
from nearfield.data.doctor import CHECKS
from nearfield.data.doctor.subject import ModelFacts, Subject
from nearfield.data.pairs import Pairs
from nearfield.retrieval.bm25 import first_found
from nearfield.types.contract import Contract
from nearfield.types.finding import ERROR, NOTE, WARNING
from tiny_data import small_collection, small_pairs, sound_collection, tiny_collection

LONG = (
    "the committee agreed on a plan for the northern harbour and its two old piers before winter "
    "came to the coast again"
)
NEAR = LONG.replace("again", "soon")
Planted = tuple[Collection | Pairs, ModelFacts | None, int]
"""Data, the model that it is for, and how many items are affected."""


def model(name: str = "some-model", *, reads: int = 512, **prompts: str) -> ModelFacts:
    """A model that knows no capital letter."""

    def count(texts: Sequence[str]) -> npt.NDArray[np.int64]:
        return np.array([len(text.split()) for text in texts], dtype=np.int64)

    def unread(texts: Sequence[str]) -> tuple[Counter[str], int]:
        letters = [letter for text in texts for letter in text if letter.isalpha()]
        return Counter(CAPITAL=sum(map(str.isupper, letters))), len(letters)

    return ModelFacts(Contract(name, 8, reads, prompts=prompts), count, unread)


def plant(
    documents: Mapping[str, str] | None = None,
    queries: Mapping[str, str] | None = None,
    judgements: Sequence[tuple[str, str, int, str]] = (),
) -> Collection:
    """The sound collection with these added or replaced."""
    sound = sound_collection()
    texts = dict(zip(sound.document_ids, sound.document_texts, strict=True)) | (documents or {})
    asked = dict(zip(sound.query_ids, sound.query_texts, strict=True)) | (queries or {})
    old = [tuple(row.values()) for row in sound.judgements.to_pylist()]
    return small_collection(texts, asked, [*old, *judgements])


def every(text: str) -> Collection:
    """The sound collection with a text before each query and document."""
    sound = sound_collection()
    documents = zip(sound.document_ids, sound.document_texts, strict=True)
    queries = zip(sound.query_ids, sound.query_texts, strict=True)
    return plant(
        {key: text + was for key, was in documents}, {key: text + was for key, was in queries}
    )


def swapped() -> Collection:
    sound = sound_collection()
    judged = [(row["document"], row["query"], 1, "test") for row in sound.judgements.to_pylist()]
    documents = dict(zip(sound.document_ids, sound.document_texts, strict=True))
    queries = dict(zip(sound.query_ids, sound.query_texts, strict=True))
    return small_collection(documents, queries, judged)


def easy() -> Collection:
    documents = {f"d{at}": f"only{at} words{at} here{at}" for at in range(20)}
    queries = {f"q{at}": f"only{at}" for at in range(20)}
    return small_collection(
        documents, queries, [(f"q{at}", f"d{at}", 1, "test") for at in range(20)]
    )


def shuffled() -> list[tuple[str, str]]:
    """Pairs that share two rare words each, with the second column in another order."""
    queries = [f"where is a{at} beside b{at % 20}" for at in range(200)]
    documents = [f"there is a{at} beside b{at % 20} and c{at % 7}" for at in range(200)]
    order = np.random.default_rng(0).permutation(200).tolist()
    return [(query, documents[at]) for query, at in zip(queries, order, strict=True)]


def small_splits() -> Collection:
    queries = {f"q{at}": f"question number {at}" for at in range(40)}
    split = {at: "test" if at < 5 else "train" for at in range(40)}
    judged = [(f"q{at}", "d", 1, split[at]) for at in range(40)]
    return small_collection({"d": LONG}, queries, judged)


def one_positive() -> Collection:
    return small_collection(
        {"d": LONG}, {"q": "one", "r": "two"}, [("q", "d", 1, "train"), ("r", "d", 1, "train")]
    )


ROWS = [(f"where is it number{at}", f"answer{at} {LONG[at:]} {at}") for at in range(30)]
UNUSED = (Unused("x.csv", "'a' is the query", ("b", "c"), 5),)
# a check that joins the registry joins this table
PLANTED: Mapping[str, Callable[[], Planted]] = {
    "swapped-columns": lambda: (swapped(), None, 10),
    "unused-columns": lambda: (replace(sound_collection(), unused=UNUSED), None, 2),
    "unknown-ids": lambda: (plant(judgements=[("q1", "gone", 1, "train")]), None, 1),
    "leaked-queries": lambda: (
        plant(
            queries={"copy": "Where is word1a with word1c"}, judgements=[("copy", "d1", 1, "test")]
        ),
        None,
        1,
    ),
    "near-leaked-queries": lambda: (
        plant(
            queries={"near": "where was word1a with word1c?"},
            judgements=[("near", "d1", 1, "test")],
        ),
        None,
        1,
    ),
    "similar-queries-across-splits": lambda: (
        plant(
            queries={"one": LONG, "near": NEAR},
            judgements=[("one", "d1", 1, "train"), ("near", "d8", 1, "test")],
        ),
        None,
        1,
    ),
    "shared-documents": lambda: (
        plant(queries={"more": "something else"}, judgements=[("more", "d1", 1, "test")]),
        None,
        1,
    ),
    "small-splits": lambda: (small_splits(), None, 5),
    "empty-documents": lambda: (plant({"none": " \u200b "}), None, 1),
    "empty-queries": lambda: (plant(queries={"none": ""}), None, 1),
    "one-character-texts": lambda: (plant({"dash": "-"}, {"nine": "9"}), None, 2),
    "missing-value-texts": lambda: (plant({"none": "NaN"}, {"null": "null"}), None, 2),
    "printed-lists": lambda: (plant({"list": "['a', 'b']"}), None, 1),
    "duplicate-documents": lambda: (plant({"one": LONG, "copy": LONG.upper()}), None, 1),
    "near-duplicate-documents": lambda: (plant({"one": LONG, "near": NEAR}), None, 1),
    "duplicate-queries": lambda: (plant(queries={"one": LONG, "copy": LONG + "?"}), None, 1),
    "near-duplicate-queries": lambda: (plant(queries={"one": LONG, "near": NEAR}), None, 1),
    "duplicate-pairs": lambda: (small_pairs([*ROWS, ROWS[3]]), None, 1),
    "near-duplicate-pairs": lambda: (
        small_pairs([*ROWS, (LONG, NEAR), (NEAR, LONG)]),
        None,
        1,
    ),
    "repeated-positives": lambda: (small_pairs([*ROWS, ("another", ROWS[3][1])]), None, 1),
    "positive-among-negatives": lambda: (
        small_pairs(ROWS, negatives=[[ROWS[0][1]], [ROWS[0][1]], *([["x"]] * 28)]),
        None,
        1,
    ),
    "no-negatives": lambda: (small_pairs(ROWS, negatives=[[], *([["x"]] * 29)]), None, 1),
    "one-negative": lambda: (
        small_pairs(ROWS, negatives=[["x"], ["X."], *([["x"]] * 28)]),
        None,
        30,
    ),
    "one-score": lambda: (small_pairs(ROWS, scores=[1.0] * 30), None, 30),
    "contradictory-scores": lambda: (
        small_pairs([*ROWS, ROWS[3]], scores=[0.5] * 30 + [0.7]),
        None,
        1,
    ),
    "contradictory-judgements": lambda: (plant(judgements=[("q1", "d1", 0, "train")]), None, 1),
    "queries-without-positive": lambda: (plant(queries={"idle": "nobody judged this"}), None, 1),
    "one-positive": lambda: (one_positive(), None, 2),
    "false-negatives": lambda: (
        plant({"one": LONG, "near": NEAR}, judgements=[("q1", "one", 1, "train")]),
        None,
        1,
    ),
    "query-is-document": lambda: (
        plant({"same": LONG}, {"same?": LONG}, [("same?", "same", 1, "train")]),
        None,
        1,
    ),
    "own-documents": lambda: (plant({"both": LONG}, {"both": "other words"}), None, 1),
    "queries-among-documents": lambda: (
        plant({"text": LONG}, {"asks": LONG}, [("asks", "d1", 1, "train")]),
        None,
        1,
    ),
    "query-in-document": lambda: (
        small_pairs(
            [(f"where is it number{at}", f"{at}: where is it number{at}, here") for at in range(9)]
        ),
        None,
        9,
    ),
    "easy-queries": lambda: (easy(), None, 20),
    "shuffled-pairs": lambda: (small_pairs(shuffled()), None, 200),
    "truncated-texts": lambda: (sound_collection(), model(reads=20), 40),
    "unread-language": lambda: (
        plant({f"d{at}": LONG.upper() for at in range(10)}),
        model(),
        10 * sum(map(str.isalpha, LONG)),
    ),
    "missing-prompt": lambda: (sound_collection(), model("e5-small"), 10),
    "carried-prompt": lambda: (every("passage: "), model(document="passage: "), 10),
}


def test_every_check_is_here() -> None:
    assert set(PLANTED) == set(CHECKS), "plant the fault of each check in PLANTED"


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_planted_fault_is_found_and_counted(name: str) -> None:
    data, facts, count = PLANTED[name]()
    assert isinstance(data, CHECKS[name].examines)
    found = CHECKS[name](Subject(data, first_found, facts))
    assert found is not None
    assert found.count == count
    assert found.count <= found.total
    assert found.severity in (ERROR, WARNING, NOTE)
    assert found.example
    assert "\n" not in found.example


@pytest.mark.parametrize("name", list(CHECKS))
def test_what_is_said_to_do_is_a_sentence(name: str) -> None:
    data, facts, _ = PLANTED[name]()
    found = CHECKS[name](Subject(data, first_found, facts))
    assert found is not None
    fix = found.fix or CHECKS[name].fix
    assert re.fullmatch(r"[a-z][^\n]*[^\s.;,:]", fix), (
        "it follows a colon, and other things follow it"
    )
    assert len(fix.split()) >= 3
    assert "  " not in fix
    assert not re.search(r"[{}]|\bNone\b", fix)


@pytest.mark.parametrize("name", list(CHECKS))
def test_sound_data_passes(name: str) -> None:
    negatives = [[f"neither of {at}"] for at in range(30)]
    # the sound one is too small to have a test split that decides anything
    sound = tiny_collection(queries=120) if name == "small-splits" else sound_collection()
    for data in (sound, small_pairs(ROWS, negatives=negatives)):
        if isinstance(data, CHECKS[name].examines):
            assert CHECKS[name](Subject(data, first_found, model())) is None


@pytest.mark.parametrize("name", list(CHECKS))
def test_without_a_model_what_depends_on_one_is_not_looked_for(name: str) -> None:
    data, facts, _ = PLANTED[name]()
    found = CHECKS[name](Subject(data, first_found))
    assert facts is None or name == "carried-prompt" or found is None
