from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nearfield.cli.app import build
from nearfield.data.open import open_collection
from tiny import tiny_model

TEXT = "One two three. Four five six.\n\nSeven eight."


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build(), ["chunk", *map(str, arguments)])


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A BEIR folder of two documents, the second without text, and a judgement of each."""
    folder = tmp_path / "judged"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": "a", "title": "T", "text": TEXT, "group": "g"},
        {"_id": "b", "title": "only", "text": ""},
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "which?"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t1\n")
    return folder


def test_a_file_of_chunks_is_documents_again(judged: Path, tmp_path: Path) -> None:
    to = tmp_path / "chunks.jsonl"
    result = run(judged, "--to", to, "--by", "sentences", "--size", "6", "--overlap", "3")
    assert result.exit_code == 0, result.output
    assert "2 documents in 3 chunks" in result.output
    rows = [json.loads(line) for line in to.read_text().splitlines()]
    assert list(rows[0]) == ["id", "parent_id", "start", "end", "headings", "title", "text"]
    assert [row["id"] for row in rows] == ["a#0", "a#1", "b#0"]
    assert rows[1]["text"] == TEXT[rows[1]["start"] : rows[1]["end"]] == TEXT[15:]
    again = open_collection(to)
    assert list(again.document_ids) == ["a#0", "a#1", "b#0"]
    assert again.documents_only


def test_a_folder_of_chunks_has_queries_and_judgements(judged: Path, tmp_path: Path) -> None:
    to = tmp_path / "chunked"
    tiny_model(tmp_path / "model")
    result = run(judged, "--to", to, "--size", "4", "--model", tmp_path / "model", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    chunked = open_collection(to)
    assert facts == {"documents": 2, "chunks": len(chunked.documents), "written": str(to)}
    relevance = chunked.split("test").relevance["q"]
    assert set(relevance) == set(chunked.document_ids)
    assert {relevance[name] for name in relevance if name.startswith("a#")} == {2}
    assert relevance["b#0"] == 1
    assert chunked.documents["group"].to_pylist()[0] == "g"
    first = json.loads((to / "corpus.jsonl").read_text().splitlines()[0])
    assert (first["parent_id"], first["start"]) == ("a", 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "0"], "the size of chunks is 0"),
        (["--overlap", "200"], "wanted 0 to 199"),
        (["--by", "sentence"], "Did you mean 'sentences'?"),
        (["--model", "no-such-model"], "is neither a folder nor a model of the catalog"),
    ],
)
def test_bad_values_are_one_line_and_write_nothing(
    judged: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    to = tmp_path / "chunks.jsonl"
    result = run(judged, "--to", to, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not to.exists()


def test_nothing_is_replaced(judged: Path) -> None:
    before = (judged / "corpus.jsonl").read_bytes()
    for there in (judged, judged / "corpus.jsonl"):
        result = run(judged, "--to", there)
        assert result.exit_code == 2
        assert "is there already; give another place" in result.stderr
    assert (judged / "corpus.jsonl").read_bytes() == before
