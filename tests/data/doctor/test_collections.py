"""Each check of a collection on a small case with the fault planted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from nearfield.data.collection import Collection
from nearfield.data.doctor.words import wording
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding

Run = Callable[..., dict[str, Finding]]
LONG = (
    "the committee agreed on a plan for the northern harbour and its two old piers before "
    "winter came to the coast again"
)


@pytest.fixture
def plant(sound: Collection, make_collection):  # type: ignore[no-untyped-def]
    """The sound collection with documents, queries and judgements added or replaced."""

    def add(
        documents: dict[str, str] | None = None,
        queries: dict[str, str] | None = None,
        judgements=(),
    ):  # type: ignore[no-untyped-def]
        old = [tuple(row.values()) for row in sound.judgements.to_pylist()]
        texts = dict(zip(sound.document_ids, sound.document_texts, strict=True)) | (documents or {})
        return make_collection(
            texts,
            dict(zip(sound.query_ids, sound.query_texts, strict=True)) | (queries or {}),
            [*old, *judgements],
        )

    return add


def test_nothing_is_found_in_sound_data(sound: Collection, findings: Run) -> None:
    assert findings(sound) == {}


def test_judgements_that_point_nowhere(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    found = findings(plant(judgements=[("q1", "gone", 1, "train"), ("nobody", "d1", 1, "test")]))[
        "unknown-ids"
    ]
    assert (found.severity, found.count, found.total) == (ERROR, 2, 12)
    assert "'gone'" in found.example
    many = [("q1", f"d{i % 10}", 0, "train") for i in range(300)]
    assert (
        findings(plant(judgements=[*many, ("q1", "gone", 1, "train")]))["unknown-ids"].severity
        == WARNING
    )


def test_contradictory_judgements(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    found = findings(
        plant(
            judgements=[
                ("q1", "d1", 0, "train"),
                ("q2", "d2", 1, "train"),
                ("q1", "d1", 2, "train"),
            ]
        )
    )["contradictory-judgements"]
    assert (found.severity, found.count) == (WARNING, 2), "the equal repetition of q2 is none"
    assert "'q1'" in found.example
    assert "relevance 0 and 1" in found.example


def test_queries_without_positive(plant, make_collection, findings: Run) -> None:  # type: ignore[no-untyped-def]
    idle = findings(plant(queries={"idle": "nobody judged this"}))["queries-without-positive"]
    assert (idle.severity, idle.count, idle.total) == (NOTE, 1, 11)
    refused = findings(
        plant(queries={"idle": "all judged zero"}, judgements=[("idle", "d1", 0, "test")])
    )["queries-without-positive"]
    assert refused.severity == WARNING
    assert (
        findings(make_collection({"d": "x y z"}, {"q": "a b c"}, []))[
            "queries-without-positive"
        ].severity
        == ERROR
    )


def test_empty_texts(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    spare = findings(plant(documents={"none": " \u200b "}, queries={"nothing": ""}))
    assert (spare["empty-documents"].severity, spare["empty-documents"].count) == (WARNING, 1)
    assert spare["empty-queries"].severity == WARNING
    judged = findings(
        plant(
            documents={"none": ""},
            queries={"nothing": "\n"},
            judgements=[("q1", "none", 1, "test"), ("nothing", "d2", 1, "test")],
        )
    )
    assert judged["empty-documents"].severity == judged["empty-queries"].severity == ERROR
    assert "'none'" in judged["empty-documents"].example
    assert "leaked-queries" not in findings(
        plant(
            queries={"a": "", "b": ""}, judgements=[("a", "d1", 1, "train"), ("b", "d1", 1, "test")]
        )
    )


def test_one_character_texts(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    found = findings(plant(documents={"dash": " - "}, queries={"nine": "9"}))["one-character-texts"]
    assert (found.severity, found.count, found.total) == (WARNING, 2, 22)
    assert "'nine'" in found.example


@pytest.mark.parametrize(("copies", "severity"), [(1, WARNING), (3, ERROR)])
def test_duplicate_documents(plant, findings: Run, copies: int, severity: str) -> None:  # type: ignore[no-untyped-def]

    spread = {f"y{i}": " ".join(f"other{i}{letter}" for letter in "abcdefgh") for i in range(15)}
    found = findings(
        plant(
            documents={**spread, "one": LONG}
            | {f"copy{i}": LONG.upper().replace(" ", "\n ") for i in range(copies)}
        )
    )
    assert (found["duplicate-documents"].severity, found["duplicate-documents"].count) == (
        severity,
        copies,
    )
    assert "near-duplicate-documents" not in found


def test_near_duplicate_documents_and_the_false_negatives_they_make(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    near = LONG.replace("again", "soon")
    found = findings(
        plant(documents={"one": LONG, "near": near}, judgements=[("q1", "one", 1, "train")])
    )
    assert (
        found["near-duplicate-documents"].severity,
        found["near-duplicate-documents"].count,
    ) == (WARNING, 1)
    assert found["false-negatives"].severity == WARNING
    assert (found["false-negatives"].count, found["false-negatives"].total) == (1, 10)
    assert "'near'" in found["false-negatives"].example
    judged = findings(
        plant(
            documents={"one": LONG, "near": near},
            judgements=[("q1", "one", 1, "train"), ("q1", "near", 0, "train")],
        )
    )
    assert "false-negatives" not in judged, "who judged the copy irrelevant has judged it"


def test_exact_copies_make_false_negatives_too(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    found = findings(
        plant(
            documents={"one": LONG, "copy": LONG + " "},
            judgements=[("q1", "one", 1, "train"), ("q2", "copy", 1, "train")],
        )
    )
    assert found["false-negatives"].count == 2


def test_duplicate_queries(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    found = findings(
        plant(
            queries={"again": "Where is WORD1a, with word1c"},
            judgements=[("again", "d1", 1, "train")],
        )
    )
    assert (found["duplicate-queries"].severity, found["duplicate-queries"].count) == (WARNING, 1)
    assert "leaked-queries" not in found, "both are in train"


def test_near_duplicate_queries_are_a_note(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    found = findings(plant(queries={"one": LONG, "two": LONG.replace("winter", "spring")}))
    assert (found["near-duplicate-queries"].severity, found["near-duplicate-queries"].count) == (
        NOTE,
        1,
    )


@pytest.mark.parametrize(
    "copy",
    [
        "where is word7a with word7i?",
        "WHERE  is word7a with word7i",
        "Where is “word7a”, with word7i ?!",
    ],
)
def test_one_leaked_query_is_an_error(plant, findings: Run, copy: str) -> None:  # type: ignore[no-untyped-def]
    found = findings(plant(queries={"copy": copy}, judgements=[("copy", "d7", 1, "train")]))
    assert (
        found["leaked-queries"].severity,
        found["leaked-queries"].count,
        found["leaked-queries"].total,
    ) == (ERROR, 1, 5)
    assert "'q7'" in found["leaked-queries"].example
    assert "'copy'" in found["leaked-queries"].example


def test_the_same_query_id_in_two_splits_is_a_leak(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    assert (
        findings(plant(judgements=[("q7", "d7", 1, "train")]))["leaked-queries"].severity == ERROR
    )
    assert (
        findings(plant(judgements=[("q7", "d7", 1, "dev")]))["leaked-queries"].severity == WARNING
    ), "dev and test: nothing was learnt"


def test_a_leaked_query_of_a_document_with_an_exact_copy(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    text = " ".join(f"word7{letter} filler7{letter}" for letter in "abcdefghijkl") + "."
    found = findings(
        plant(
            documents={"d7b": text},
            queries={"copy": "where is word7a with word7i"},
            judgements=[("copy", "d7b", 1, "train")],
        )
    )
    assert found["leaked-queries"].severity == ERROR


def test_a_few_equal_queries_with_other_positives_are_a_warning(
    make_collection, findings: Run
) -> None:  # type: ignore[no-untyped-def]
    documents = {
        f"d{i}": f"document {i} about thing{i} and matter{i} in place{i}" for i in range(400)
    }
    queries = {f"q{i}": f"thing{i} matter{i}" for i in range(400)} | {"short": "thing0 matter0."}
    judgements = [(f"q{i}", f"d{i}", 1, "test") for i in range(400)] + [
        ("short", "d399", 1, "train")
    ]
    found = findings(make_collection(documents, queries, judgements))["leaked-queries"]
    assert (found.severity, found.count) == (WARNING, 1)


@pytest.mark.parametrize(
    "copy",
    [
        "when is word7a with word7i",
        "where is word7a with",
        "so where is word7a with word7i?",
        "with word7i where is word7a?",
    ],
)
def test_one_near_copy_with_the_same_positive_is_an_error(plant, findings: Run, copy: str) -> None:  # type: ignore[no-untyped-def]
    found = findings(plant(queries={"copy": copy}, judgements=[("copy", "d7", 1, "train")]))
    assert (found["near-leaked-queries"].severity, found["near-leaked-queries"].count) == (
        WARNING,
        1,
    )
    assert "'copy'" in found["near-leaked-queries"].example


@pytest.mark.parametrize("other", ["why has word7a no filler7i", "where is word7i"])
def test_another_question_about_the_same_document_is_no_leak(
    plant, findings: Run, other: str
) -> None:  # type: ignore[no-untyped-def]
    found = findings(plant(queries={"other": other}, judgements=[("other", "d7", 1, "train")]))
    assert "near-leaked-queries" not in found
    assert (found["shared-documents"].severity, found["shared-documents"].count) == (WARNING, 1), (
        "one of five"
    )


def test_a_similar_query_with_another_positive_is_a_note(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    queries = {"a": LONG, "b": LONG.replace("winter", "spring")}
    found = findings(
        plant(queries=queries, judgements=[("a", "d1", 1, "train"), ("b", "d8", 1, "test")])
    )
    assert (
        found["similar-queries-across-splits"].severity,
        found["similar-queries-across-splits"].count,
    ) == (NOTE, 1)
    assert "near-leaked-queries" not in found


def test_leaks_against_a_naive_double_loop(make_collection, findings: Run) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(6)
    queries = {
        f"q{i}": " ".join(generator.choice([*"abcd"], size=generator.integers(1, 4)))
        + "?" * int(generator.integers(2))
        for i in range(60)
    }
    judgements = [
        (name, f"d{generator.integers(40)}", 1, ("train", "test")[generator.integers(2)])
        for name in queries
    ]
    place = {query: (document, split) for query, document, _, split in judgements}
    leaked = {
        b
        for a, b in product(queries, queries)
        if place[a][1] == "train"
        and place[b][1] == "test"
        and wording(queries[a]) == wording(queries[b])
    }
    found = findings(
        make_collection(
            {f"d{i}": f"text {i} of its own {i}" for i in range(40)}, queries, judgements
        )
    )["leaked-queries"]
    assert (found.severity, found.count) == (ERROR, len(leaked))
    assert len(leaked) > 5


def test_a_query_that_is_its_document(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    found = findings(
        plant(
            documents={"same": "An entire question."},
            queries={"same": "an entire question"},
            judgements=[("same", "same", 1, "test")],
        )
    )
    assert (found["query-is-document"].severity, found["query-is-document"].count) == (WARNING, 1)


def test_queries_that_are_documents_by_their_ids(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    planted = {
        "documents": {"same": "Title. An entire  question."},
        "judgements": [("same", "d1", 1, "test")],
    }
    found = findings(plant(queries={"same": "an entire question"}, **planted))
    assert (found["own-documents"].severity, found["own-documents"].count) == (NOTE, 1)
    assert "queries-among-documents" not in found
    found = findings(plant(queries={"same": "something else"}, **planted))
    assert (found["own-documents"].severity, found["own-documents"].count) == (WARNING, 1)
    assert "own-documents" not in findings(
        plant(
            queries={"same": "x y"},
            documents=planted["documents"],
            judgements=[("same", "same", 1, "test")],
        )
    )


def test_queries_that_are_documents_by_their_texts(plant, findings: Run) -> None:  # type: ignore[no-untyped-def]
    planted = {
        "documents": {"other": "An entire  question"},
        "queries": {"one": "an entire question"},
    }
    found = findings(plant(**planted, judgements=[("one", "d1", 1, "test")]))
    assert (found["queries-among-documents"].severity, found["queries-among-documents"].count) == (
        WARNING,
        1,
    )
    assert "id of its document" in found["queries-among-documents"].fix
    assert "queries-among-documents" not in findings(
        plant(**planted, judgements=[("one", "other", 1, "test")])
    )


def test_queries_copied_out_of_their_documents_are_a_note(make_collection, findings: Run) -> None:  # type: ignore[no-untyped-def]
    documents = {
        f"d{i}": f"About thing{i}: it says that word{i} is mended by hand{i}. And more."
        for i in range(9)
    }
    queries = {f"q{i}": f"it says that word{i} is mended" for i in range(9)}
    found = findings(
        make_collection(documents, queries, [(f"q{i}", f"d{i}", 1, "test") for i in range(9)])
    )
    assert found["query-in-document"].severity == NOTE


def test_a_collection_of_documents_only_is_examined_too(findings: Run) -> None:
    documents = pa.table(
        {"id": ["a", "b"], "title": ["", ""], "text": [LONG, LONG], "group": ["", ""]}
    )
    none = pa.table(
        {
            "id": pa.array([], pa.string()),
            "text": pa.array([], pa.string()),
            "group": pa.array([], pa.string()),
        }
    )
    judged = pa.table(
        {
            "query": pa.array([], pa.string()),
            "document": pa.array([], pa.string()),
            "relevance": pa.array([], pa.int32()),
            "split": pa.array([], pa.string()),
        }
    )
    found = findings(Collection("only", documents, none, judged, documents_only=True))
    assert set(found) == {"duplicate-documents"}
