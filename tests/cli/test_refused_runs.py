"""A run that is refused leaves no folder behind, and what lay in its place as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tiny import tiny_model
from tiny_data import tiny_collection

Cli = Callable[..., Result]

RUNS = {
    "tune": ("tune", "MODEL", "--on", "DATA", "--guard", "none"),
    "reranker": ("reranker", "MODEL", "--on", "DATA", "--guard", "none"),
    "adapt": ("adapt", "MODEL", "--on", "DATA", "--guard", "none"),
    "bridge": ("bridge", "MODEL", "OTHER", "--on", "DATA", "--guard", "none"),
    "distil": ("distil", "MODEL", "--on", "DATA", "--guard", "none"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model, another, and data that is refused: by the doctor, as it has no queries, as a column
    is not known.
    """
    folder = tmp_path_factory.mktemp("refused")
    made = tiny_collection()
    rows = list(zip(made.query_texts, made.document_texts, strict=True))
    lines = [
        "query,positive",
        *(f"{query},{'' if at % 9 else text}" for at, (query, text) in enumerate(rows)),
    ]
    (folder / "empty.csv").write_text("\n".join(lines) + "\n")
    (folder / "texts.csv").write_text("text\n" + "".join(f"{text}\n" for _, text in rows))
    (folder / "unknown.csv").write_text("alpha,beta\n" + "\n".join(lines[1:]) + "\n")
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
    if command == "distil" and data == "texts.csv":
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
