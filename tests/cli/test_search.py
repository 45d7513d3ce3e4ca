"""`nearfield search` by BM25, by the default model, and by both."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nearfield.cli.app import build
from nearfield.encoders.load import load
from tiny import tiny_model
from tiny_data import text_files

TEXTS = [
    "A cat sleeps on the mat.",
    "Tax law for small firms.",
    "Ships sail over the sea. " * 20,
    "How bread is baked.",
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return text_files(tmp_path / "texts", TEXTS)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build(), ["search", *map(str, arguments)])


def test_bm25_finds_what_has_the_word(texts: Path) -> None:
    result = run(texts, "a sleeping cat", "--model", "bm25", "--json")
    assert result.exit_code == 0, result.output
    (hit,) = json.loads(result.stdout)["results"]
    assert (hit["rank"], hit["text"].strip()) == (1, TEXTS[0])
    assert hit["score"] > 0
    shown = run(texts, "ship", "--model", "bm25").stdout
    assert "Ships sail" in shown
    assert "…" in shown
    assert "Nothing was found" in run(texts, "zebra", "--model", "bm25").stdout


def test_what_a_stop_list_leaves_out_is_said(texts: Path) -> None:
    left_out = "bm25 leaves out stop words: the, a"
    shown = run(texts, "the cat a cat", "--model", "bm25", "--explain").stdout
    assert left_out in shown
    assert left_out not in run(texts, "the cat a cat", "--model", "bm25").stdout
    nothing = run(texts, "The, a", "--model", "bm25", "--explain").stdout
    assert "Nothing was found" in nothing
    assert left_out in nothing
    assert json.loads(run(texts, "the cat", "--model", "bm25", "--explain", "--json").stdout)[
        "stop_words"
    ] == {"bm25": ["the"]}


def test_a_model_with_vectors_now_or_made_before(texts: Path, tmp_path: Path, minilm: Path) -> None:
    now = json.loads(run(texts, "kitten", "--model", minilm, "-k", 2, "--json").stdout)["results"]
    assert [hit["rank"] for hit in now] == [1, 2]
    assert now[0]["text"].strip() == TEXTS[0]
    encoder = load(minilm)
    order = [path.read_text() for path in sorted(texts.iterdir())]
    encoder.encode(order, "document").truncate(128).quantise("int8").save(tmp_path / "vectors")
    before = json.loads(
        run(texts, "kitten", "--model", minilm, "--vectors", tmp_path / "vectors", "--json").stdout
    )["results"]
    assert before[0]["id"] == now[0]["id"]
    encoder.encode(order[:2], "document").save(tmp_path / "fewer")
    wrong = run(texts, "kitten", "--model", minilm, "--vectors", tmp_path / "fewer")
    assert wrong.exit_code == 2
    assert "holds 2 vectors, texts has 4 documents" in wrong.stderr
    encoder.encode(order[::-1], "document").save(tmp_path / "turned", ids=["3", "2", "1", "0"])
    turned = run(texts, "kitten", "--model", minilm, "--vectors", tmp_path / "turned")
    assert turned.exit_code == 2
    assert "names other documents than texts has, or in another order" in turned.stderr


def test_fused_shows_both_ranks(texts: Path, minilm: Path) -> None:
    hits = json.loads(run(texts, "the cat", "--model", minilm, "--fuse", "--json").stdout)[
        "results"
    ]
    assert hits[0]["ranks"] == {str(minilm): 1, "bm25": 1}
    assert hits[1]["ranks"]["bm25"] is None
    shown = run(texts, "the cat", "--model", minilm, "--fuse").stdout
    assert "bm25" in shown


def test_bad_input(texts: Path) -> None:
    result = run("nowhere", "cat", "--model", "bm25")
    assert result.exit_code == 2
    assert "nowhere: does not exist" in result.stderr
    assert run(texts, "cat", "-k", 0).exit_code == 2


@pytest.fixture
def made(texts: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A tiny model, and the vectors of the texts by it as `encode` writes them."""
    model = tiny_model(tmp_path / "model")
    assert (
        CliRunner()
        .invoke(build(), ["encode", str(model), str(texts), "--to", str(tmp_path / "made")])
        .exit_code
        == 0
    )
    return model, tmp_path / "made"


def test_vectors_bring_their_model(texts: Path, made: tuple[Path, Path]) -> None:
    model, vectors = made
    found = json.loads(run(texts, "cat", "--vectors", vectors, "--json").stdout)
    assert found["model"] == str(model)
    assert (
        found["results"]
        == json.loads(run(texts, "cat", "--model", model, "--json").stdout)["results"]
    )


def test_vectors_of_another_model_role_or_collection_are_refused(
    texts: Path, made: tuple[Path, Path], tmp_path: Path
) -> None:
    model, vectors = made
    other = tiny_model(tmp_path / "other", seed=1)
    refused = run(texts, "cat", "--model", other, "--vectors", vectors)
    assert refused.exit_code == 2
    assert (
        f"its vectors were made by model ({model}), and {other} is another model" in refused.stderr
    )
    asked = tmp_path / "asked"
    assert (
        CliRunner()
        .invoke(build(), ["encode", str(model), str(texts), "--to", str(tmp_path / "wrong")])
        .exit_code
        == 0
    )
    record = tmp_path / "wrong" / "encoder.json"
    record.write_text(record.read_text().replace('"document"', '"query"'))
    assert (
        "its texts were encoded as query; wanted documents"
        in run(texts, "cat", "--vectors", tmp_path / "wrong").stderr
    )
    record.write_text("{}")
    assert (
        "encoder.json: is not of format 1"
        in run(texts, "cat", "--vectors", tmp_path / "wrong").stderr
    )
    asked.mkdir()
    for name in "wxyz":
        (asked / f"{name}.txt").write_text(f"text {name}")
    assert "names other documents than asked has" in run(asked, "cat", "--vectors", vectors).stderr


def test_a_wrong_model_is_said_before_anything_is_opened_or_fetched(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, vectors = made
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    other = tiny_model(tmp_path / "other", seed=1)
    # of minilm the catalog has the files' hashes
    for name in (other, f"{other}@torch,task=find it", "minilm"):
        refused = run("nowhere", "cat", "--model", name, "--vectors", vectors)
        assert (refused.exit_code, f"and {name} is another model" in refused.stderr) == (2, True), (
            refused.stderr
        )
    record = vectors / "encoder.json"
    record.write_text(record.read_text().replace(str(model), "qwen3-embedding-0.6b"))
    refused = run("nowhere", "cat", "--model", "BAAI/bge-m3@torch", "--vectors", vectors)
    assert (
        "made by model (qwen3-embedding-0.6b), and BAAI/bge-m3@torch is another model"
        in refused.stderr
    )
    assert "not in the cache" not in refused.stderr
    assert not (tmp_path / "home").exists()


def test_vectors_that_do_not_say_what_made_them(texts: Path, made: tuple[Path, Path]) -> None:
    model, vectors = made
    (vectors / "encoder.json").unlink()
    assert (
        "does not say which model made its vectors; name it with --model"
        in run(texts, "cat", "--vectors", vectors).stderr
    )
    assert (
        "does not exist; wanted a folder that `nearfield encode` wrote"
        in run(texts, "cat", "--vectors", vectors / "x").stderr
    )
    assert "holds no vectors" in run(texts, "cat", "--vectors", model).stderr
    named = run(texts, "cat", "--vectors", vectors, "--model", model)
    assert named.exit_code == 0
    assert "warning: " in named.stderr


def test_what_cannot_be_searched_for(texts: Path, tmp_path: Path) -> None:
    assert "error: the query is empty" in run(texts, "  ", "--model", "bm25").stderr
    assert (
        "error: bm25 reads words and no vectors"
        in run(texts, "cat", "--model", "bm25", "--vectors", tmp_path).stderr
    )


@pytest.mark.parametrize("index", ["funnel", "binary"])
def test_an_index_finds_the_same_and_is_kept_beside_the_vectors(
    texts: Path, made: tuple[Path, Path], index: str
) -> None:
    _, vectors = made
    exact = json.loads(run(texts, "cat", "--vectors", vectors, "-k", 2, "--json").stdout)
    asked = run(texts, "cat", "--vectors", vectors, "-k", 2, "--index", index, "--json")
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout) == exact
    facts = json.loads((vectors / f"index-{index}" / "index.json").read_text())
    assert (facts["items"], facts["k"], facts["recall"]) == (4, 2, 0.98)
    assert (
        json.loads(
            run(texts, "cat", "--vectors", vectors, "-k", 2, "--index", index, "--json").stdout
        )
        == exact
    )


def test_a_recall_without_an_index_is_refused(texts: Path) -> None:
    shown = run(texts, "cats", "--recall", "0.9")
    assert (shown.exit_code, "--recall is what an index has to find" in shown.stderr) == (2, True)


def test_an_index_that_does_not_exist_is_said_before_anything_is_encoded(texts: Path) -> None:
    result = run(texts, "cat", "--model", "nowhere", "--index", "funel")
    assert result.exit_code == 2
    assert "there is no index 'funel'" in result.stderr
    assert "Did you mean 'funnel'?" in result.stderr


def test_many_queries_are_answered_as_each_alone(texts: Path, tmp_path: Path) -> None:
    alone = {
        query: json.loads(run(texts, query, "--model", "bm25", "--json").stdout)["results"]
        for query in ("ship", "a cat")
    }
    file = tmp_path / "questions.csv"
    file.write_text("id,question\nq1,ship\nq2,a cat\n")
    lines = run(texts, "--queries", file, "--model", "bm25", "--json").stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["id"] for answer in answers] == ["q1", "q2"]
    assert {answer["query"]: answer["results"] for answer in answers} == alone
    arguments = ["search", str(texts), "--model", "bm25", "--json"]
    piped = CliRunner().invoke(build(), arguments, input="ship\n\na cat\n")
    assert [json.loads(line) | {"id": ""} for line in piped.stdout.splitlines()] == [
        answer | {"id": ""} for answer in answers
    ]
    shown = CliRunner().invoke(build(), arguments[:-1], input="ship\nzebra\n").stdout
    assert shown.index("ship\n") < shown.index("Ships sail") < shown.index("zebra\n")
    for given in ([], ["--queries", file, "ship"], ["--queries", tmp_path / "none.csv"]):
        assert run(texts, "--model", "bm25", *given).exit_code == 2


def test_a_terminal_is_asked_line_by_line(texts: Path) -> None:
    pty = pytest.importorskip("pty")
    main, end = pty.openpty()
    arguments = ["search", str(texts), "--model", "bm25"]
    program = "from nearfield.cli.app import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=end, stdout=end, stderr=end
    ) as process:
        os.close(end)
        shown = b""
        for wanted, typed in ((b"query> ", b"ship\n"), (b"Ships sail", b""), (b"query> ", b"\x04")):
            while wanted not in shown:
                shown += os.read(main, 4096)
            shown = shown.partition(wanted)[2]
            os.write(main, typed)
        with contextlib.suppress(OSError):  # which tells that nothing is left
            while os.read(main, 4096):
                pass
        assert process.wait() == 0
    os.close(main)
