"""Published data as it is, and with faults planted in copies of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nearfield.data.collection import Collection
from nearfield.data.doctor import CHECKS
from nearfield.data.doctor.subject import Subject
from nearfield.data.open import open_collection, open_pairs
from nearfield.data.pairs import Pairs
from nearfield.data.split import split_by_group
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.model_facts import model_facts
from nearfield.types.finding import ERROR, WARNING, Finding
from nearfield.types.word_rule import words

Run = Callable[..., dict[str, Finding]]
EMBEDDED = ["stdlib", "pydoc-topics"]
BEIR = [
    "cisi",
    "med",
    "nfcorpus_preprocessed",
    "llama_10k_train",
    "llama_10k_val",
    *(f"xquad/{language}" for language in ("en", "de", "es", "zh", "ar")),
]
ASKED = [
    "medquad/pairs.jsonl",
    "paper_title_abstract/pairs.jsonl",
    "wikiqa/train.jsonl",
    "wikiqa/test.jsonl",
]
ALIKE = [
    "stsb/train.jsonl",
    "stsb/dev.jsonl",
    "stsb/test.jsonl",
    "mrpc/train.jsonl",
    "mrpc/test.jsonl",
    *(
        f"tatoeba/{language}-eng.jsonl"
        for language in ("jpn", "ara", "hin", "fra", "rus", "deu", "ind", "spa", "swh", "cmn")
    ),
]
PAIRS_MOST = 3000  # rows of a file of pairs that are examined here


@pytest.fixture(scope="module")
def collection(request: pytest.FixtureRequest) -> Callable[[str], Collection]:
    @lru_cache(None)
    def get(name: str) -> Collection:
        return open_collection(
            name if name in EMBEDDED else Path(request.getfixturevalue("shared_data")) / name
        )

    return get


@pytest.fixture(scope="module")
def pairs(shared_data: Path) -> Callable[[str], Pairs]:
    @lru_cache(None)
    def get(name: str) -> Pairs:
        return Pairs.from_table(
            open_pairs(shared_data / name).table.slice(0, PAIRS_MOST), name=name
        )

    return get


def severity(check: str, data: Collection | Pairs) -> str | None:
    """What this one check says."""
    found = CHECKS[check](Subject(data))
    return found and found.severity


def errors(found: dict[str, Finding]) -> dict[str, int]:
    return {name: finding.count for name, finding in found.items() if finding.severity == ERROR}


@pytest.mark.parametrize("name", [*EMBEDDED, *BEIR])
def test_no_error_is_found_in_a_sound_collection(
    name: str, collection: Callable[[str], Collection], findings: Run
) -> None:
    assert errors(findings(collection(name))) == {}


@pytest.mark.parametrize("name", [*ASKED, *ALIKE])
def test_no_error_is_found_in_sound_pairs(
    name: str, pairs: Callable[[str], Pairs], findings: Run
) -> None:
    assert errors(findings(pairs(name))) == {}


def test_scifact_trains_on_what_it_tests(
    collection: Callable[[str], Collection], findings: Run
) -> None:
    """Two claims stand in both splits word for word, with the same abstract, and a quarter of the
    test claims differ from a training claim about the same abstract in a word ("show" and "lack
    inductive properties").
    """
    found = findings(collection("scifact"))
    assert errors(found) == {"leaked-queries": 2}
    near = found["near-leaked-queries"]
    assert (near.severity, near.count) == (WARNING, 77)


@pytest.mark.parametrize("name", [*EMBEDDED, "scifact", *BEIR])
def test_exchanged_queries_and_documents_are_found(
    name: str, collection: Callable[[str], Collection]
) -> None:
    whole = collection(name)
    documents = pa.table(
        {
            "id": whole.queries["id"],
            "title": pa.array([""] * len(whole.queries)),
            "text": whole.queries["text"],
            "group": whole.queries["group"],
        }
    )
    queries = pa.table(
        {
            "id": whole.documents["id"],
            "text": pa.array(list(whole.document_texts)),
            "group": whole.documents["group"],
        }
    )
    judgements = whole.judgements.rename_columns(["document", "query", "relevance", "split"])
    # all three files exchanged, then only corpus and queries
    for swapped in (judgements, whole.judgements):
        assert severity("swapped-columns", Collection(name, documents, queries, swapped)) == ERROR
    if name not in EMBEDDED:  # there a query and its document have the same id
        assert (
            severity(
                "swapped-columns", Collection(name, whole.documents, whole.queries, judgements)
            )
            == ERROR
        )


@pytest.mark.parametrize("name", ["med", "nfcorpus_preprocessed", "xquad/zh"])
def test_judgements_of_shuffled_documents_are_found(
    name: str, collection: Callable[[str], Collection]
) -> None:
    whole = collection(name)
    order = np.random.default_rng(0).permutation(len(whole.judgements))
    documents = whole.judgements["document"].take(pa.array(order))
    judgements = whole.judgements.set_column(1, "document", documents)
    assert severity("shuffled-pairs", whole) is None
    assert severity("shuffled-pairs", replace(whole, judgements=judgements)) == WARNING


@pytest.mark.parametrize("name", ASKED)
def test_a_shuffled_column_of_pairs_is_found(name: str, pairs: Callable[[str], Pairs]) -> None:
    whole = pairs(name)
    order = np.random.default_rng(0).permutation(len(whole))
    table = whole.table.set_column(1, "positive", whole.table["positive"].take(pa.array(order)))
    assert severity("shuffled-pairs", Pairs.from_table(table)) == WARNING


@pytest.mark.parametrize("name", [*ASKED[:2], "scifact"])
def test_a_model_tells_pairs_without_common_words_from_shuffled_ones(
    name: str,
    pairs: Callable[[str], Pairs],
    collection: Callable[[str], Collection],
    local_model: Callable[[str], Path],
) -> None:
    """Real pairs whose queries are left no word of their positives, as those of a recommendation,
    an answer or code may be.
    """
    rows = related(name, pairs, collection)
    whole = Pairs.from_table(pa.table({"query": rows[0], "positive": rows[1]}))
    order = np.random.default_rng(0).permutation(len(rows[0])).tolist()
    positives = [rows[1][at] for at in order]
    mixed = Pairs.from_table(pa.table({"query": rows[0], "positive": positives}))
    assert severity("shuffled-pairs", whole) == WARNING
    model = model_facts(load_text_encoder(local_model("minilm-l3")))
    for data, expected in ((whole, None), (mixed, ERROR)):
        found = CHECKS["shuffled-pairs"](Subject(data, None, model))
        assert (found and found.severity) == expected


def related(
    name: str, pairs: Callable[[str], Pairs], collection: Callable[[str], Collection]
) -> tuple[list[str], list[str]]:
    """Some queries, without their positives' words, and these."""
    if "." in name:
        given = pairs(name)
        both = list(zip(given.queries, given.positives, strict=True))
    else:
        whole = collection(name)
        split = whole.split("train")
        places = dict(zip(whole.document_ids, whole.document_texts, strict=True))
        both = [
            (query, places[next(iter(split.relevance[key]))])
            for key, query in zip(split.query_ids, split.query_texts, strict=True)
        ]
    made: list[tuple[str, str]] = []
    for query, positive in dict(both).items():
        own = set(words(positive))
        left = " ".join(word for word in words(query) if word not in own)
        if len(left.split()) > 1:
            made.append((left, positive))
    queries, positives = zip(*made[:250], strict=True)
    return list(queries), list(positives)


@pytest.mark.parametrize("name", ASKED)
def test_exchanged_columns_of_pairs_are_found(name: str, pairs: Callable[[str], Pairs]) -> None:
    table = pairs(name).table
    assert (
        severity(
            "swapped-columns",
            Pairs.from_table(pa.table({"query": table["positive"], "positive": table["query"]})),
        )
        == ERROR
    )


@pytest.mark.parametrize("name", ALIKE)
def test_columns_that_are_alike_may_be_exchanged(name: str, pairs: Callable[[str], Pairs]) -> None:
    table = pairs(name).table
    exchanged = pa.table(
        {"query": table["positive"], "positive": table["query"], "score": table["score"]}
    )
    assert severity("swapped-columns", Pairs.from_table(exchanged)) is None


def with_copies(whole: Collection, change: Callable[[str], str]) -> Collection:
    """30 % more documents: copies, with other ids, of some that are there."""
    rows = np.random.default_rng(9).choice(
        len(whole.documents), int(0.3 * len(whole.documents)), replace=False
    )
    chosen = whole.documents.take(pa.array(rows))
    copies = pa.table(
        {
            "id": [f"copy-{i}" for i in range(len(rows))],
            "title": chosen["title"],
            "text": [change(text) for text in chosen["text"].to_pylist()],
            "group": chosen["group"],
        }
    )
    return Collection(
        whole.name,
        pa.concat_tables([whole.documents, copies.cast(whole.documents.schema)]),
        whole.queries,
        whole.judgements,
    )


@pytest.mark.parametrize("name", [*EMBEDDED, "scifact", *BEIR])
def test_a_corpus_with_copies_is_found(name: str, collection: Callable[[str], Collection]) -> None:
    found = CHECKS["duplicate-documents"](
        Subject(with_copies(collection(name), lambda text: text.upper() + " \n"))
    )
    assert found is not None
    assert found.severity == ERROR
    assert found.count >= int(0.3 * len(collection(name).documents))


@pytest.mark.parametrize("name", ["med", "cisi", "xquad/en", "xquad/zh"])
def test_a_corpus_with_near_copies_is_found(
    name: str, collection: Callable[[str], Collection], findings: Run
) -> None:
    copied = with_copies(collection(name), lambda text: "Copy: " + text.replace(",", " –"))
    found = findings(copied)
    assert "near-duplicate-documents" in errors(found)
    assert "false-negatives" in found


@pytest.mark.parametrize("name", [*ASKED, "stsb/train.jsonl", "mrpc/train.jsonl"])
def test_pairs_with_copies_are_found(name: str, pairs: Callable[[str], Pairs]) -> None:
    table = pairs(name).table
    copied = Pairs.from_table(pa.concat_tables([table, table.slice(0, int(0.3 * len(table)))]))
    assert severity("duplicate-pairs", copied) == ERROR


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "exact": lambda words: words,
    "case": lambda words: [word.upper() for word in words],
    "punctuation": lambda words: [word.strip('?¿.,"') for word in words],
    "a word changed": lambda words: [*words[:2], "something", *words[3:]],
    "a word dropped": lambda words: [*words[:2], *words[3:]],
    "a word added": lambda words: [*words[:2], "really", *words[2:]],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "name", ["xquad/en", "xquad/de", "xquad/ar", "med", "llama_10k_val", "pydoc-topics"]
)
def test_one_leaked_query_is_found(
    name: str, change: str, collection: Callable[[str], Collection]
) -> None:
    whole = split_by_group(collection(name), {"train": 0.6, "test": 0.4}, seed=0)
    leaks = ("leaked-queries", "near-leaked-queries")
    assert [severity(check, whole) for check in leaks] in ([None, None], [WARNING, None]), (
        "sound before"
    )
    chosen = next(
        key
        for key, text in zip(
            whole.split("test").query_ids, whole.split("test").query_texts, strict=True
        )
        if 6 <= len(text.split()) <= 14
    )
    text = whole.query_texts[list(whole.query_ids).index(chosen)]
    copy = pa.table(
        {"id": ["planted"], "text": [" ".join(CHANGES[change](text.split()))], "group": [""]}
    )
    judged = whole.judgements.filter(pc.equal(whole.judgements["query"], chosen)).to_pydict()
    judged |= {
        "query": ["planted"] * len(judged["query"]),
        "split": ["train"] * len(judged["query"]),
    }
    planted = Collection(
        name,
        whole.documents,
        pa.concat_tables([whole.queries, copy.cast(whole.queries.schema)]),
        pa.concat_tables([whole.judgements, pa.table(judged, schema=whole.judgements.schema)]),
    )
    near = change not in ("exact", "case", "punctuation")
    found = CHECKS[leaks[near]](Subject(planted))
    assert found is not None
    assert (found.severity, found.count >= 1) == (WARNING if near else ERROR, True)
    assert "'planted'" in found.example


def test_a_leak_adds_to_those_that_scifact_has(
    collection: Callable[[str], Collection], findings: Run
) -> None:
    whole = collection("scifact")
    judged = whole.judgements.filter(pc.equal(whole.judgements["split"], "test")).slice(
        10, 1
    ).to_pydict() | {"split": ["train"]}
    found = findings(
        Collection(
            "scifact",
            whole.documents,
            whole.queries,
            pa.concat_tables([whole.judgements, pa.table(judged, schema=whole.judgements.schema)]),
        )
    )
    assert found["leaked-queries"].count == 3


def test_real_duplicates_of_a_corpus_are_a_warning(
    collection: Callable[[str], Collection], findings: Run
) -> None:
    found = findings(collection("nfcorpus_preprocessed"))["duplicate-documents"]
    assert (found.severity, found.count) == (WARNING, 39)
