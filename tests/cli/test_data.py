from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nearfield.cli.app import build
from nearfield.data.open import open_data

ROWS = [
    {
        "query": f"what is the number {n} of all of them?",
        "positive": f"a long enough answer, of which {n} is the point",
    }
    for n in range(40)
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build(), ["data", *map(str, arguments)])


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "faq.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_show(rows: Path) -> None:
    result = run("show", rows)
    assert result.exit_code == 0
    assert "40 judged queries, 40 judgements" in result.stdout
    facts = json.loads(run("show", rows, "--json").stdout)
    assert (facts["kind"], facts["documents"], facts["splits"]["all"]["queries"]) == (
        "collection",
        40,
        40,
    )


def test_the_next_step_reads_the_data_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "f a q.csv"
    lines = [f"frage nummer {n}|die antwort {n} darauf|test\n" for n in range(20)]
    path.write_text("".join(["x1|x2|x3\n", *lines]))
    stated = ["--document", "x2", "--query", "x1", "--separator", "|", "--split-column", "x3"]
    read = "--query x1 --document x2 --split-column x3 --separator '|'"
    shown = run("show", path, *stated)
    assert shown.stderr == f"Next: nearfield data check '{path}' {read}\n"
    shown = run("import", path, tmp_path / "native", *stated)
    assert shown.stderr.endswith(f"Next: nearfield data check {tmp_path / 'native'}\n")
    command = ["search", str(path), "antwort 3", "--model", "bm25", *stated]
    shown = CliRunner().invoke(build(), command)
    assert shown.stderr.endswith(f"Next: nearfield evaluate bm25 --on '{path}' {read}\n")
    shown = CliRunner().invoke(build(), shlex.split(shown.stderr.splitlines()[-1])[2:])
    assert shown.exit_code == 0, shown.stderr
    assert shown.stderr.endswith(f"evaluate bm25 --on '{path}' {read} --details\n")


def test_import_split_export(rows: Path, tmp_path: Path) -> None:
    assert run("import", rows, tmp_path / "native").exit_code == 0
    assert run("import", rows, tmp_path / "native").exit_code == 0  # its own folder is replaced
    result = run(
        "split",
        tmp_path / "native",
        tmp_path / "split",
        "--fractions",
        "train=0.5,test=0.5",
        "--json",
    )
    assert json.loads(result.stdout)["splits"]["test"]["queries"] == 20
    assert run("split", tmp_path / "split", tmp_path / "dev", "--dev", "0.2").exit_code == 0
    assert open_data(tmp_path / "dev").splits == ("train", "dev", "test")
    assert run("export", tmp_path / "dev", tmp_path / "beir").exit_code == 0
    written, wanted = (open_data(tmp_path / name) for name in ("beir", "dev"))
    assert all(
        written.split(name).relevance == wanted.split(name).relevance for name in wanted.splits
    )
    assert run("import", rows, tmp_path / "pairs", "--pairs").exit_code == 0
    assert run("export", tmp_path / "pairs", tmp_path / "pairs.jsonl").exit_code == 0
    assert len((tmp_path / "pairs.jsonl").read_text().splitlines()) == 40


def test_a_place_that_is_taken_is_not_replaced(rows: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "precious.txt").write_text("x")
    for command in ("import", "split", "export"):
        result = run(command, rows, taken)
        assert result.exit_code == 2
        assert "is there already" in result.stderr
    assert [file.name for file in taken.iterdir()] == ["precious.txt"]


def test_check_finds_and_allows(rows: Path, tmp_path: Path) -> None:
    clean = run("check", rows, "--json")
    assert clean.exit_code == 0, clean.stderr
    for name in ("train", "test"):
        (tmp_path / "leaked").mkdir(exist_ok=True)
        (tmp_path / "leaked" / f"{name}.jsonl").write_text(rows.read_text())
    refused = run("check", tmp_path / "leaked", "--json")
    assert refused.exit_code == 2
    errors = [
        finding["check"]
        for finding in json.loads(refused.stdout)["findings"]
        if finding["severity"] == "error"
    ]
    assert "leaked-queries" in errors
    assert "--allow leaked-queries" in refused.stderr
    allowing = [part for name in errors for part in ("--allow", name)]
    assert run("check", tmp_path / "leaked", *allowing).exit_code == 0


def test_check_lists_the_columns_that_are_not_used(tmp_path: Path) -> None:
    wide = [row | {"answer": "no", "context": f"context of {row['query']}"} for row in ROWS]
    (tmp_path / "pairs").mkdir()
    for name, rows in (("train", wide), ("test", ROWS)):
        (tmp_path / "pairs" / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        )
    scored = tmp_path / "scored.jsonl"
    scored.write_text(
        "".join(json.dumps(row | {"score": at % 5}) + "\n" for at, row in enumerate(wide))
    )
    for data, file, total in ((tmp_path / "pairs", "train.jsonl", 4), (scored, "scored.jsonl", 5)):
        for _ in range(2):  # read, and from the cache
            found = {
                finding["check"]: finding
                for finding in json.loads(run("check", data, "--json").stdout)["findings"]
            }["unused-columns"]
            assert (found["severity"], found["count"], found["total"]) == ("note", 2, total)
            assert found["example"] == (
                f"{file}: 'query' is the query and 'positive' the "
                "positive; not used: context, answer"
            )
    assert "unused-columns" in run("check", tmp_path / "pairs").stdout
    assert run("split", tmp_path / "pairs" / "train.jsonl", tmp_path / "split").exit_code == 0
    # a folder of Arrow files holds no other columns
    assert "unused-columns" not in run("check", tmp_path / "split").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nowhere"), "nowhere: does not exist"),
        (("check", "stdlib", "--allow", "nothing"), "no such check"),
        (("split", "stdlib", "x", "--fractions", "train"), "--fractions has 'train'"),
        (("split", "stdlib", "x", "--fractions", "train=2"), "wanted positive ones that sum to 1"),
        (("split", "stdlib", "x", "--dev", "0.1"), "only where there is no dev yet"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_what_was_written_is_said_once(rows: Path, tmp_path: Path) -> None:
    for result in (
        run("import", rows, tmp_path / "one"),
        run("split", rows, tmp_path / "two"),
        run("export", rows, tmp_path / "three"),
    ):
        assert result.exit_code == 0
        assert [
            line.split(" ")[0] for line in result.output.splitlines() if line.startswith("written")
        ] == ["written:"]


def test_a_long_example_is_cut_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "long.jsonl").write_text(
        json.dumps({"query": "short", "positive": "word " * 900}) + "\n"
    )
    assert "short" in run("show", tmp_path / "long.jsonl").stdout
    assert run("show", tmp_path / "long.jsonl").stdout.count("…") == 1
    assert json.loads(run("show", tmp_path / "long.jsonl", "--json").stdout)["example"][
        "document"
    ].endswith("…")


def test_options_that_exclude_each_other(rows: Path, tmp_path: Path) -> None:
    result = run(
        "split",
        rows,
        tmp_path / "split",
        "--dev",
        "0.1",
        "--fractions",
        "train=0.8,dev=0.1,test=0.1",
    )
    assert (result.exit_code, "give one of them" in result.stderr) == (2, True)
    assert (
        "make train, dev and test first: nearfield data split"
        in run("split", rows, tmp_path / "split", "--dev", "0.1").stderr
    )


def test_pairs_are_exported_to_jsonl_only(rows: Path, tmp_path: Path) -> None:
    result = run("export", rows, tmp_path / "pairs.csv", "--pairs")
    assert (result.exit_code, "give a name that ends in .jsonl" in result.stderr) == (2, True)
    assert not (tmp_path / "pairs.csv").exists()
