"""Whole exports, of tables full of ids: texts are taken or asked for, and never an id as a text."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield.data.columns import UnknownColumnsError
from nearfield.data.evaluated.summaries import open_summaries
from nearfield.data.open import open_collection, open_data, open_labelled, open_pairs, recognise
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

NAMED = "parcel refund invoice address delivery broken voucher account password coupon"
WORDS = NAMED.split()
CHANNELS = ("Web form", "Help Center", "Mobile app")


def asked(at: int) -> str:
    return f"How do I get my {WORDS[at % 10]} number {at}?"


def answered(at: int) -> str:
    return f"Open the page of your {WORDS[at % 10]} and choose what to do with item {at} there."


def ticket(at: int) -> dict[str, Any]:
    """A row with ids wherever an export has some, which are texts of digits."""
    ids = ("ticket_id", "requester_id", "organization_id", "question_id", "answer_id", "group_id")
    return {name: f"{place + 1}{at:011d}" for place, name in enumerate(ids)} | {
        "created_at": f"2024-05-{1 + at % 28:02d}T10:00:00Z",
        "source": CHANNELS[at % 3],
        "satisfaction": ("good", "bad")[at % 2],
    }


def write(path: Path, rows: list[dict[str, Any]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        table.writeheader()
        table.writerows(rows)
    return path


def proposal(error: InputError) -> DataOptions:
    """The options that an error proposes."""
    found = re.findall(r"--(query|document) (\S+)", str(error).partition(" say: ")[2])
    return DataOptions(**dict(found))


@pytest.mark.parametrize(
    ("query", "document", "more"),
    [
        ("question", "answer", {}),
        ("subject", "description", {}),
        ("question_text", "answer_text", {"question": "1{at:09d}", "answer": "2{at:09d}"}),
        ("asked", "said", {"query": "Q{at}", "document": "D{at}"}),
        ("subject", "description", {"response": "Within one day"}),
    ],
)
def test_a_table_of_ids_gives_its_texts_or_asks(
    tmp_path: Path, query: str, document: str, more: dict[str, str]
) -> None:
    rows = [
        ticket(at)
        | {name: value.format(at=at) for name, value in more.items()}
        | {query: asked(at), document: answered(at)}
        for at in range(60)
    ]
    file = write(tmp_path / "tickets.csv", rows)
    try:
        found = open_collection(file)
    except UnknownColumnsError as error:
        found = open_collection(file, proposal(error))
    assert set(found.query_texts) == {asked(at) for at in range(60)}
    assert set(found.document_texts) == {answered(at) for at in range(60)}


def export(folder: Path, query: dict[str, str]) -> Path:
    articles = [
        {
            "id": f"9{at:08d}",
            "author_id": str(at % 3),
            "title": WORDS[at % 10],
            "body": answered(at),
        }
        for at in range(40)
    ]
    tickets = [
        {name: text.format(at=at) for name, text in query.items()}
        | ticket(at)
        | {"article_id": f"9{at:08d}"}
        for at in range(40)
    ]
    write(folder / "articles.csv", articles)
    write(folder / "users.csv", [{"id": str(at), "name": f"U{at}"} for at in range(9)])
    write(folder / "tickets.csv", tickets)
    return folder


def test_tables_that_point_at_each_other_among_others(tmp_path: Path) -> None:
    folder = export(tmp_path / "one", {"subject": "How do I get number {at}?"})
    found = open_collection(folder)
    assert len(found.documents) == len(found.queries) == len(found.judgements) == 40
    said = recognise(folder).read_as
    assert said.startswith("tickets.csv: 'subject' is the query, 'article_id' of articles.csv")
    assert said.endswith("every row is of a relevant one; not used: users.csv")
    two = {"subject": "How do I get number {at}?", "description": "Hello, I lost number {at}. Ann"}
    folder = export(tmp_path / "two", two)
    with pytest.raises(
        InputError, match=r"points at articles\.csv by 'article_id'; which"
    ) as raised:
        open_collection(folder)
    found = open_collection(folder, proposal(raised.value))
    assert found.query_texts[0] == "How do I get number 0?"
    assert found.document_texts[1].endswith(answered(1))


@pytest.mark.parametrize("name", ["questions", "tickets"])
def test_a_table_of_answers_that_point_at_questions(tmp_path: Path, name: str) -> None:
    """By the name of the file, or by the columns that are stated."""
    text = "question" if name == "questions" else "subject"
    asked_of = [{"id": str(100 + at), "user_id": str(at % 9), text: asked(at)} for at in range(20)]
    answers = [
        {"id": str(900 + at), f"{name[:-1]}_id": str(100 + at // 2), "body": answered(at)}
        for at in range(40)
    ]
    write(tmp_path / f"{name}.csv", asked_of)
    write(tmp_path / "replies.csv", answers)
    options = DataOptions() if name == "questions" else DataOptions(query=text, document="body")
    found = open_collection(tmp_path, options)
    assert tuple(found.query_texts) == tuple(asked(at) for at in range(20))
    assert found.split("all").relevance["103"] == {"906": 1, "907": 1}


def test_clicks_in_another_language_and_texts_under_unknown_names(tmp_path: Path) -> None:
    goods = [{"Nummer": f"A{at}", "Beschreibung": answered(at)} for at in range(30)]
    clicks = [
        {"Begriff": asked(at), "Nummer": f"A{other % 30}", "geklickt": int(at == other)}
        for at in range(30)
        for other in (at, at + 1)
    ]
    write(tmp_path / "artikel.csv", goods, ";")
    write(tmp_path / "suche.csv", clicks, ";")
    options = DataOptions(query="Begriff", document="Beschreibung")
    found = open_collection(tmp_path, options)
    grades = found.split("all").relevance.values()
    assert all(sorted(each.values()) == [0, 1] for each in grades)


@pytest.mark.parametrize("layout", ["folders", "files"])
def test_the_tables_of_a_hub(tmp_path: Path, layout: str) -> None:
    """CoIR's and mteb's: a corpus, queries and judgements, in folders or called so."""
    key = "_id" if layout == "folders" else "id"
    tables = {
        "corpus": [{key: f"d{at}", "text": answered(at), "title": None} for at in range(9)],
        "queries": [{key: f"q{at}", "text": asked(at)} for at in range(9)],
        "test": [{"query-id": f"q{at}", "corpus-id": f"d{at}", "score": 1.0} for at in range(5)],
        "train": [
            {"query-id": f"q{at}", "corpus-id": f"d{at}", "score": 1.0} for at in range(5, 9)
        ],
    }
    folders = {"corpus": "corpus", "queries": "queries", "test": "default", "train": "default"}
    if layout == "files":
        folders = dict.fromkeys(tables, "set-queries-corpus/data")
        folders |= dict.fromkeys(("test", "train"), "set-qrels/data")
    for name, rows in tables.items():
        path = tmp_path / folders[name] / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = open_collection(tmp_path)
    assert tuple(found.document_ids) == tuple(f"d{at}" for at in range(9))
    assert found.splits == ("train", "test")
    assert found.split("test").relevance == {f"q{at}": {f"d{at}": 1} for at in range(5)}
    wrong = tables["test"][:1]
    pq.write_table(pa.Table.from_pylist([{"query": "q0", "score": 1} for _ in wrong]), path)
    with pytest.raises(InputError, match="has columns query, score; wanted query-id, corpus-id"):
        open_collection(tmp_path)


@pytest.mark.parametrize(
    ("separator", "cells", "values"),
    [
        (";", ("3,800", "2,250"), (3.8, 2.25)),
        (",", ("3,800", "2,5"), (3.8, 2.5)),
        (",", ("3,800", "2,250"), None),
    ],
)
def test_three_digits_behind_a_comma(
    tmp_path: Path, separator: str, cells: tuple[str, str], values: tuple[float, ...] | None
) -> None:
    """They are a fraction where the table says so, else nobody knows."""
    rows = [
        {"Satz1": asked(at), "Satz2": answered(at), "Note": each} for at, each in enumerate(cells)
    ]
    file = write(tmp_path / "paare.csv", rows, separator)
    if values is None:
        with pytest.raises(InputError, match="with a point and not a comma"):
            open_data(file)
    else:
        assert tuple(open_data(file).table["score"].to_pylist()) == values


def test_labels_are_taken_by_their_names_and_not_their_numbers() -> None:
    rows = [{"text": asked(at), "label": at % 2, "label_text": WORDS[at % 2]} for at in range(60)]
    assert set(open_labelled(rows).test.labels) == {"parcel", "refund"}


def test_pairs_of_judged_rows() -> None:
    rows = [
        {"query": asked(at // 3), "document": answered(at), "clicked": int(at % 3 == 0)}
        for at in range(9)
    ]
    found = open_pairs(rows).table.to_pylist()
    assert [(row["query"], row["positive"], row["negatives"]) for row in found] == [
        (asked(at), answered(3 * at), [answered(3 * at + 1), answered(3 * at + 2)])
        for at in range(3)
    ]


def test_summaries_in_every_shape(tmp_path: Path) -> None:
    lists = [
        {
            "human_summaries": [asked(at)],
            "machine_summaries": [answered(at), answered(at + 9)],
            "relevance": [4.5, 2.0],
        }
        for at in range(3)
    ]
    whole = open_summaries(lists).texts
    flat = [
        {"reference": row["human_summaries"][0], "summary": text, "rating": score}
        for row in lists
        for text, score in zip(row["machine_summaries"], row["relevance"], strict=True)
    ]
    printed = [{name: json.dumps(of) for name, of in row.items()} for row in lists]
    assert open_summaries(write(tmp_path / "flat.csv", flat)).texts == whole
    assert open_summaries(write(tmp_path / "printed.csv", printed)).texts == whole
    assert open_summaries(pa.Table.from_pylist(lists)).texts == whole


def test_a_label_beside_texts_under_unknown_names_is_proposed(tmp_path: Path) -> None:
    rows = [
        ticket(at)
        | {"subject": asked(at), "description": f"Hello. {answered(at)}", "category": WORDS[at % 3]}
        for at in range(60)
    ]
    file = write(tmp_path / "tickets.csv", rows)
    with pytest.raises(UnknownColumnsError, match="Where 'category' is the label") as raised:
        open_data(file)
    assert "--document description alone. By their contents, say: --query" in str(raised.value)
    labelled = open_labelled(file, DataOptions(document="description"))
    assert set(labelled.test.labels) <= set(WORDS[:3])
