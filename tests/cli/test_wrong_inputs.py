"""Wrong inputs as people type them: each is one line that says what to do, exit code 2, and leaves
nothing behind. Nothing here loads a model.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import nearfield as nf
from nearfield.cli.app import build
from nearfield.errors import NearfieldError
from nearfield.evaluate.decide import decide
from nearfield.types.evaluation.decision import Limits

WRONG: dict[str, tuple[str, str]] = {
    "command": ("evalute minilm --on good.csv", "Did you mean 'evaluate'? See nearfield help."),
    "command of a group": ("models gett minilm", "Did you mean 'get'? See nearfield help models."),
    "flag": ("evaluate minilm --on good.csv --dimz 64", "Did you mean '--dims'?"),
    "flag before the command": ("--versoin", "Did you mean '--version'?"),
    "flag without its value": ("evaluate minilm --on", "Option '--on' requires an argument."),
    "missing option": ("evaluate minilm", "Missing option '--on'. See nearfield help evaluate."),
    "missing argument": ("tune --on good.csv", "Missing argument"),
    "one argument too many": ("data check good.csv other.csv", "unexpected extra argument"),
    "no number": (
        "search good.csv cat -k many",
        "Invalid value for '-k': Input should be a valid integer",
    ),
    "number below the range": ("search good.csv cat -k 0", "greater than or equal to 1"),
    "model": ("evaluate minilmm --on good.csv --split all", "Did you mean 'minilm'?"),
    "model to tune": ("tune minilmm --on good.csv", "Did you mean 'minilm'?"),
    "model to search with": ("search good.csv cat --model minilmm", "Did you mean 'minilm'?"),
    "model to get": ("models get minilmm", "Did you mean 'minilm'?"),
    "model's folder": ("evaluate ./tunned --on good.csv --split all", "tunned: "),
    "precision in a spec": ("evaluate minilm@in8 --on good.csv", "Did you mean 'int8'?"),
    "bm25 to tune": ("tune bm25 --on good.csv", "bm25 has no weights to train"),
    "model behind an API": (
        "evaluate voyage-3 --on good.csv --split all",
        "set VOYAGE_API_KEY in the environment",
    ),
    "file": ("evaluate minilm --on god.csv", "god.csv: does not exist; wanted a path"),
    "file to tune on": ("tune minilm --on god.csv", "Did you mean 'good.csv'?"),
    "embedded collection": ("tune minilm --on stdlb", "Did you mean 'stdlib'?"),
    "column": ("data check colums.csv", "colums.csv"),
    "column of a field": ("encode minilm good.csv --field txt --to out", "txt"),
    "empty file": ("evaluate bm25 --on empty.csv", "empty.csv"),
    "header only": ("evaluate bm25 --on header.csv", "header.csv"),
    "cut Parquet": ("evaluate bm25 --on cut.parquet", "cut.parquet"),
    "cut JSON lines": ("evaluate bm25 --on cut.jsonl", "cut.jsonl:2: "),
    "numbers for texts": ("evaluate bm25 --on numbers.jsonl", "numbers.jsonl:1: "),
    "picture": ("data check picture.png", "picture.png: is a file of an unknown kind (.png)"),
    "no UTF-8": ("data check latin.jsonl", "latin.jsonl"),
    "data without queries": ("tune minilm --on texts", "has no queries"),
    "data without queries, evaluated": ("evaluate bm25 --on texts", "has no"),
    "split": ("evaluate bm25 --on good.csv --split tset", "tset"),
    "measure": ("evaluate bm25 --on good.csv --split all --measure bleu", "no measure 'bleu'"),
    "storage type": ("evaluate bm25 --on good.csv --dims a", "--dims has 'a'"),
    "limit": ("evaluate bm25 --on good.csv --split all --max-bytes -1", "max_bytes is -1"),
    "recipe's key": ("tune minilm --on good.csv --recipe wrong.toml", "Did you mean 'epochs'?"),
    "run": ("report texts", "holds no run.json"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    rows = [(f"how is thing {at} made", f"thing {at} is made of part {at}") for at in range(40)]
    good = "question,answer\n" + "".join(f"{a},{b}\n" for a, b in rows)
    (folder / "good.csv").write_text(good)
    (folder / "other.csv").write_text(good)
    (folder / "colums.csv").write_text("alpha,beta\n1,2\n3,4\n")
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("question,answer\n")
    pq.write_table(pa.table({"query": ["a"] * 50, "positive": ["b"] * 50}), folder / "cut.parquet")
    whole = (folder / "cut.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    line = json.dumps({"query": "a cat", "positive": "cats sleep"})
    (folder / "cut.jsonl").write_text(f"{line}\n{line[:20]}")
    (folder / "numbers.jsonl").write_text('{"query": {"a": 7}, "positive": "b"}\n')
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (folder / "latin.jsonl").write_bytes(
        '{"query": "caf\xe9", "positive": "x"}\n'.encode("latin-1")
    )
    (folder / "texts").mkdir()
    for at in range(12):
        (folder / "texts" / f"{at}.txt").write_text(f"Text {at} says what {at} is.")
    (folder / "wrong.toml").write_text("[schedule]\nepoch = 1\n")
    return folder


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", WRONG)
def test_it_is_one_line_that_helps(name: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    monkeypatch.delenv("VOYAGE_API_KEY", raising=False)
    arguments, said = WRONG[name]
    before = everything(files)
    shown = CliRunner().invoke(build(), arguments.split())
    assert shown.exit_code == 2, (shown.stdout, shown.stderr, shown.exception)
    assert shown.stderr.startswith("error: "), shown.stderr
    assert shown.stderr.count("\n") == 1, shown.stderr
    assert said in shown.stderr
    assert everything(files) == before


CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "load": (lambda: nf.load("minilmm"), "Did you mean 'minilm'"),
    "compare nothing": (lambda: nf.compare([], "stdlib-short", options=no_bm25()), "compare"),
    "compare a number": (lambda: nf.compare(["bm25"], 7), "int: is not data for any task"),
    "compare a list of numbers": (
        lambda: nf.compare(["bm25"], [1, 2]),
        "list: is not data for any task",
    ),
    "limit of a decision": (lambda: decide(None, Limits(ms=-1)), "max_ms is -1"),  # type: ignore[arg-type]
}


def no_bm25() -> Any:
    from nearfield.evaluate.task import Options

    return Options(bm25=False)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_with_a_wrong_value_is_an_error_of_one_line(name: str) -> None:
    call, said = CALLS[name]
    with pytest.raises(NearfieldError) as caught:
        call()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_time_that_a_wrong_model_takes(files: Path, record_property: Any) -> None:
    """Shown, not asserted: less than 2 s on a quiet machine; that torch is not loaded is."""
    code = (
        "import sys; from nearfield.cli.app import main\ntry: main()\n"
        "except SystemExit as e: print(e.code, 'torch' in sys.modules)"
    )
    started = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", code, "tune", "minilmm", "--on", "good.csv"],
        cwd=files,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    record_property("seconds", seconds)
    print(f"a wrong model is refused after {seconds:.2f} s")  # noqa: T201
    assert ran.stdout.split() == ["2", "False"]
