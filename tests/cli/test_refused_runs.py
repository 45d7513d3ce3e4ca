"""A run that is refused leaves no folder behind; every command takes the splits that were cut before."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import Result

import nearfield as nf
from nearfield.data.kept_split import KeptSplit
from nearfield.data.open import open_collection
from tiny import tiny_model
from tiny_data import tiny_collection

Cli = Callable[..., Result]

RUNS = {
    "tune": ("tune", "MODEL", "--on", "DATA", "--guard", "none"),
    "reranker": ("reranker", "MODEL", "--on", "DATA", "--guard", "none"),
    "adapt": ("adapt", "MODEL", "--on", "DATA", "--guard", "none"),
    "bridge": ("bridge", "MODEL", "OTHER", "--on", "DATA", "--guard", "none"),
    "distil": ("distil", "MODEL", "--on", "DATA", "--guard", "none", "--dim", "16"),
}


def write(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model, another, and data that is refused: by the doctor, as it has no queries, as a column
    is not known.
    """
    folder = tmp_path_factory.mktemp("refused")
    made = tiny_collection()
    rows = list(zip(made.query_texts, made.document_texts, strict=True))
    some = [(query, text if at % 9 else "") for at, (query, text) in enumerate(rows)]
    write(folder / "good.csv", [("query", "positive"), *rows])
    write(folder / "empty.csv", [("query", "positive"), *some])
    write(folder / "texts.csv", [("text",), *((text,) for _, text in rows)])
    write(folder / "unknown.csv", [("alpha", "beta"), *rows])
    (folder / "wrong.toml").write_text("[schedule]\nepoch = 1\n")
    tiny_model(folder / "model")
    tiny_model(folder / "other", seed=1)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize("data", ["empty.csv", "texts.csv", "unknown.csv"])
@pytest.mark.parametrize("command", RUNS)
def test_a_refused_run_leaves_nothing(
    command: str, data: str, places: dict[str, Path], cli: Cli, tmp_path: Path
) -> None:
    named = {"MODEL": places["model"], "OTHER": places["other"], "DATA": places[data]}
    arguments = [named.get(part, part) for part in RUNS[command]]
    if command in ("bridge", "distil") and data == "texts.csv":
        pytest.skip("documents alone are enough")
    told = cli(*arguments, "--to", tmp_path / "runs" / "first")
    assert told.exit_code == 2, (told.stdout, told.stderr)
    assert "error: " in told.stderr
    assert not (tmp_path / "runs").exists(), sorted((tmp_path / "runs").rglob("*"))


@pytest.mark.parametrize("command", ["tune", "reranker"])
def test_a_wrong_recipe_leaves_nothing(
    command: str, places: dict[str, Path], cli: Cli, tmp_path: Path
) -> None:
    recipe = ("--recipe", places["wrong.toml"], "--to", tmp_path / "run")
    told = cli(command, places["model"], "--on", places["empty.csv"], *recipe)
    assert "Did you mean 'epochs'?" in told.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", RUNS)
def test_every_run_takes_the_splits_that_were_cut_before(
    command: str, places: dict[str, Path], cli: Cli, tmp_path: Path
) -> None:
    """A folder that was there stays with what a refused run wrote, its splits among it."""
    data = places["empty.csv"]
    assert cli("data", "split", data, tmp_path / "cut", "--seed", "7").exit_code == 0
    cut = KeptSplit.of(open_collection(data), open_collection(tmp_path / "cut"), "").places
    named = {"MODEL": places["model"], "OTHER": places["other"], "DATA": data}
    (tmp_path / "run").mkdir()
    told = cli(*[named.get(part, part) for part in RUNS[command]], "--to", tmp_path / "run")
    assert told.exit_code == 2, (told.stdout, told.stderr)
    taken = KeptSplit.read(tmp_path / "run" / "split.json").places
    tested = {key for key, split in cut.items() if split == "test"}
    assert tested
    assert {key for key, split in taken.items() if split == "test"} == tested


def test_what_measures_and_writes_takes_the_splits_that_were_cut_before(
    places: dict[str, Path], cli: Cli, tmp_path: Path
) -> None:
    data = places["good.csv"]
    assert cli("data", "split", data, tmp_path / "cut", "--seed", "7").exit_code == 0
    cut = open_collection(tmp_path / "cut")
    by_split = {name: set(cut.split(name).query_texts) for name in cut.splits}
    assert set(open_collection(data).split("test").query_texts) == by_split["test"]
    assert len(nf.compare(["bm25"], data).query_ids) == len(by_split["test"])
    shown = json.loads(cli("evaluate", "bm25", "--on", data, "--json").stdout)
    assert (shown["split"], len(shown["query_ids"])) == ("test", len(by_split["test"]))
    models = f"bm25,{places['model']}"
    chosen = ("choose", "--models", models, "--on", data, "--json")
    assert len(json.loads(cli(*chosen).stdout)["comparison"]["query_ids"]) == len(by_split["test"])
    for command in ("import", "export"):
        assert cli("data", command, data, tmp_path / command).exit_code == 0
        written = open_collection(tmp_path / command)
        assert set(written.split("test").query_texts) == by_split["test"]
