"""Judgements of several judges: what is judged, what a file may hold, and how far they agree."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner, Result

from nearfield.cli.app import build
from nearfield.data.open import open_collection
from nearfield.encoders.remote.address import Address
from nearfield.errors import InputError
from nearfield.evaluate.judging.assessor import Assessor
from nearfield.evaluate.judging.chat_judge import ChatJudge, read_grade
from nearfield.evaluate.judging.judgements import Judgements, write_form
from nearfield.evaluate.judging.pool import Pooled, pool, with_queries
from nearfield.retrieval.searchable import index
from nearfield.statistics.agreement import kappa
from tiny_data import tiny_collection
from vendors import loopback, relevance

ITEMS = [Pooled(f"q{at // 2}", f"query {at // 2}", f"d{at}", "", f"text {at}") for at in range(6)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=40))
def test_kappa_is_scikit_learns(grades: list[tuple[int, int]]) -> None:
    first, second = np.array(grades, np.float64).T
    found = kappa(first, second)
    if len(set(first) | set(second)) == 1:
        assert found.mean == 0
        return
    assert found.mean == pytest.approx(cohen_kappa_score(first, second), abs=1e-9)
    assert found.low - 1e-9 <= found.high


def test_the_interval_of_kappa_holds_what_a_larger_sample_says() -> None:
    """Two judges who agree with a third, hidden one four times in five, 60 times 100 items."""
    random = np.random.default_rng(0)

    def judged(truth: np.ndarray) -> np.ndarray:
        return np.where(random.random(len(truth)) < 0.8, truth, 1 - truth).astype(np.float64)

    many = random.integers(0, 2, 200_000)
    expected = cohen_kappa_score(judged(many), judged(many))
    held = 0
    for _ in range(60):
        truth = random.integers(0, 2, 100)
        found = kappa(judged(truth), judged(truth))
        held += found.low <= expected <= found.high
    assert held >= 51


def test_the_pool_has_each_systems_best_and_says_nothing_of_whose_they_are() -> None:
    collection = tiny_collection()
    items = pool(["bm25"], collection, k=3)
    found = index("bm25", collection)
    texts = dict(zip(collection.query_ids, collection.query_texts, strict=True))
    for name in dict.fromkeys(item.query for item in items):
        own = [item.document for item in items if item.query == name]
        best = [hit.id for hit in found.search(texts[name], 3)]
        assert sorted(own) == sorted(best)
    assert pool(["bm25", "bm25"], collection, k=3) == items
    other = pool(["bm25"], collection, k=3, seed=1)
    assert other != items
    assert sorted(map(repr, other)) == sorted(map(repr, items))
    assert len({item.query for item in pool(["bm25"], collection, most=2)}) == 2


def test_queries_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    file.write_text("the cat\nthe law\n")
    items = pool(["bm25"], ["a cat", "a law", "the sea"], queries=file)
    assert {item.query_text for item in items} == {"the cat", "the law"}
    with pytest.raises(InputError, match="has no queries"):
        pool(["bm25"], ["a cat", "a law"])


def test_queries_of_a_file_are_judged_and_saved_with_the_data(tmp_path: Path) -> None:
    rows = [{"id": "1", "text": "a cat"}, {"id": "2", "text": "a law"}]
    (tmp_path / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    documents = open_collection(tmp_path / "documents.jsonl")
    file = tmp_path / "queries.txt"
    file.write_text("the law\n\nthe cat\n")
    judged = Judgements(tmp_path / "judgements.tsv")
    for item in pool(["bm25"], documents, queries=file):
        judged.add("anna", (item.query, item.document), 1)
    # a line more, and before the others
    file.write_text("the sea\nthe law\n\nthe cat\n")
    saved = judged.applied(with_queries(documents, file), "anna")
    split = saved.split("test")
    assert dict(zip(split.query_texts, split.relevance.values(), strict=True)) == {
        "the law": {"2": 1},
        "the cat": {"1": 1},
    }
    with pytest.raises(InputError, match="which documents lacks; where queries came from a file"):
        judged.applied(documents, "anna")


def test_queries_of_a_file_are_not_taken_for_those_of_the_data(tmp_path: Path) -> None:
    rows = [{"_id": "1", "text": "the sea"}, {"_id": "2", "text": "the cat"}]
    queries = tmp_path / "queries.jsonl"
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = with_queries(open_collection(["a cat", "a law"]), queries)
    file = tmp_path / "queries.txt"
    file.write_text("the law\n")
    (item,) = pool(["bm25"], own, queries=file)
    assert (item.query_text, item.query in own.query_ids) == ("the law", False)


@pytest.mark.parametrize(
    ("text", "said"),
    [("\n \n", "has no queries"), ('{"_id": "a", "text": 1.5}\n', r"\.jsonl:1: 'text' is a")],
)
def test_a_file_without_queries(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / ("queries.txt" if text.isspace() else "queries.jsonl")
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        pool(["bm25"], ["a cat"], queries=file)


def test_the_command_saves_judgements_of_a_files_queries(tmp_path: Path) -> None:
    documents = tmp_path / "documents.jsonl"
    documents.write_text('{"id": "1", "text": "a cat"}\n{"id": "2", "text": "a law"}\n')
    queries = tmp_path / "queries.txt"
    queries.write_text("the law\n")
    form = tmp_path / "form.tsv"

    def run(*arguments: str | Path) -> Result:
        given = ["judge", *map(str, arguments), "--on", str(documents), "--to", str(form)]
        return CliRunner().invoke(build(), given)

    assert "form.tsv: no judgements" in run().output.replace("\n", "")
    assert run("bm25", "--queries", queries, "--form", "--judge", "anna").exit_code == 0
    form.write_text(form.read_text().replace("\t2\t\t", "\t2\t1\t"))
    saved = tmp_path / "saved"
    told = run("--queries", queries, "--judge", "anna", "--save", saved)
    assert told.exit_code == 0, told.output
    assert open_collection(saved).split("test").query_texts == ("the law",)


def test_a_judge_goes_on_where_it_was_stopped_and_may_go_back(tmp_path: Path) -> None:
    path = tmp_path / "judgements.tsv"
    assessor = Assessor(ITEMS, Judgements(path), "anna")
    assert assessor.next()["query"] == "query 0"
    assessor.judged(0, 1)
    assessor.judged(1, 0)
    assert assessor.back() == assessor.shown(1)
    assert assessor.judged(1, 1)["done"] == 2
    # another process, which knows the file alone
    again = Assessor(ITEMS, Judgements(path), "anna")
    assert (again.next()["item"], again.next()["done"]) == (2, 2)
    assert again.shown(1)["grade"] == 1
    other = Assessor(ITEMS, Judgements(path), "bert")
    assert other.next()["item"] == 0  # who sees nothing of anna's
    for at in range(6):
        other.judged(at, 1)
    assert other.next()["item"] is None
    with pytest.raises(InputError, match="no item 6"):
        other.judged(6, 1)
    with pytest.raises(InputError, match="graded 2"):
        other.judged(0, 2)


def test_a_form_is_filled_in_and_read(tmp_path: Path) -> None:
    path = tmp_path / "form.tsv"
    items = [*ITEMS, Pooled("q9", 'a "quoted"\tquery', "d9", "Title", "two\nlines")]
    write_form(path, items, "anna")
    assert Judgements(path).by_judge == {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, dialect="excel-tab"))
    assert rows[-1]["query text"] == 'a "quoted" query'
    assert rows[-1]["document text"] == "Title two lines"
    filled = path.read_text().replace("q9\td9\t\t", "q9\td9\t1\t").replace("\n", "\r\n")
    path.write_text("\ufeff" + filled, newline="")  # as a spreadsheet saves it
    assert Judgements(path).by_judge == {"anna": {("q9", "d9"): 1}}
    with pytest.raises(InputError, match="is there already"):
        write_form(path, items, "anna")


def test_judges_are_compared_on_what_both_have_judged(tmp_path: Path) -> None:
    judged = Judgements(tmp_path / "judgements.tsv")
    for at, item in enumerate(ITEMS):
        judged.add("anna", (item.query, item.document), at % 2)
        if at:
            judged.add("m#1", (item.query, item.document), int(at > 2))
    (found,) = judged.agreement()
    assert (found.a, found.b, found.items) == ("anna", "m#1", 5)
    assert found.equal == pytest.approx(3 / 5)
    expected = cohen_kappa_score([1, 0, 1, 0, 1], [0, 0, 1, 1, 1])
    assert found.kappa.mean == pytest.approx(expected)


def test_one_judges_judgements_become_the_test_split(tmp_path: Path) -> None:
    collection = tiny_collection()
    items = pool(["bm25"], collection, k=2)
    judged = Judgements(tmp_path / "judgements.tsv")
    for item in items:
        judged.add("anna", (item.query, item.document), 1)
    judged.add("bert", (items[0].query, items[0].document), 0)
    made = judged.applied(collection, "anna")
    made.save(tmp_path / "judged")
    split = open_collection(tmp_path / "judged").split("test")
    assert sum(len(grades) for grades in split.relevance.values()) == len(items)
    with pytest.raises(InputError, match=r"no judgement by 'ana'; judges: anna, bert\. Did you"):
        judged.applied(collection, "ana")
    judged.add("carl", ("q?", items[0].document), 0)
    with pytest.raises(InputError, match=r"judges query 'q\?', which"):
        judged.applied(collection, "carl")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("query\tdocument\tjudge\n", "has no column 'relevance'"),
        ("", "has no column 'query'"),
        ("query\tdocument\trelevance\tjudge\nq\td\tyes\tme\n", ":2: relevance is 'yes'"),
        ("query\tdocument\trelevance\tjudge\nq\td\t-1\tme\n", "relevance is '-1'"),
        ("query\tdocument\trelevance\tjudge\nq\td\t1000\tme\n", "relevance is '1000'"),
        ("query\tdocument\trelevance\tjudge\n\td\t1\tme\n", "query is empty"),
        ("query\tdocument\trelevance\tjudge\nq\td\t1\t\n", "judge is empty"),
        (b"query\tdoc\xffument", "is not a text in UTF-8"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = tmp_path / "judgements.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said) as raised:
        Judgements(path)
    assert "judgements.tsv" in str(raised.value)


def test_a_file_without_a_last_line_end_is_not_spoilt(tmp_path: Path) -> None:
    path = tmp_path / "judgements.tsv"
    path.write_text("query\tdocument\trelevance\tjudge\nq\td\t1\tme")
    Judgements(path).add("me", ("q", "e"), 0)
    assert Judgements(path).by_judge == {"me": {("q", "d"): 1, ("q", "e"): 0}}
    with pytest.raises(InputError, match="cannot stand in"):
        Judgements(path).add("m\te", ("q", "e"), 0)


def test_a_model_judges_under_its_own_name(tmp_path: Path) -> None:
    judgements = Judgements(tmp_path / "judgements.tsv")
    texts = ["the cat", "a law of the court", "the cat and the law"]
    items = [Pooled("q", "the cat", f"d{at}", "", text) for at, text in enumerate(texts)]
    with loopback() as vendor:
        address = Address.parse(f"{vendor.url}/compatible/v1#judge")
        assert address is not None
        assessor = Assessor(items, judgements, "judge", highest=2)
        vendor.faults = ["", "prose"]
        assert ChatJudge(address).judge(assessor) == 1
        assert ChatJudge(address).judge(assessor) == 0  # asks for what is missing alone
        assert len(vendor.answered) == 4
    found = Judgements(judgements.path).by_judge["judge"]
    assert [found["q", f"d{at}"] for at in range(3)] == [
        round(2 * relevance("the cat", text)) for text in texts
    ]


@pytest.mark.parametrize("content", [None, "", "very", "3", "-1", "1 or 2", "9" * 5000, {"a": 1}])
def test_an_answer_that_is_no_grade(content: Any) -> None:
    assert read_grade(content, highest=2)[1] == "is no number from 0 to 2"
    assert read_grade(" 2.\n", highest=2) == (2, "")


def test_a_relevance_of_thousands_of_digits_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "judgements.tsv"
    file.write_text(f"query\tdocument\trelevance\tjudge\nq\td\t{'1' * 5000}\tanna\n")
    with pytest.raises(InputError, match=r"judgements.tsv:2: relevance is '1{40}'; wanted a whole"):
        Judgements(file)
