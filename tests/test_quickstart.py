"""The quickstart in small: its data, its commands and its notebook, with tiny models."""

from __future__ import annotations

import csv
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import quickstart
from nbclient import NotebookClient

from static_models import model2vec_folder
from tiny import tiny_model

ROWS = 90


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder with two models and questions of one package's sources."""
    sys.path.insert(0, str(repository / "examples"))
    import python_questions

    folder = tmp_path_factory.mktemp("quickstart")
    tiny_model(folder / "model")
    model2vec_folder(folder / "static")
    shutil.copy(repository / "examples" / "python_questions.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(python_questions, "PACKAGES", ("networkx",))
        assert python_questions.write(str(folder / "questions.csv"), ROWS) == ROWS
    return folder


def test_the_questions_have_answers_of_some_100_words(place: Path) -> None:
    with (place / "questions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["question"] for row in rows}) == len(rows) == ROWS
    assert all(70 <= len(row["answer"].split()) <= 140 for row in rows)
    assert all(row["question"].endswith((".", "!", "?")) for row in rows)


def test_no_command_is_refused_and_the_page_shows_them(
    repository: Path, place: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repository / "docs" / "quickstart.md").read_text(encoding="utf-8")
    shown = [f"nearfield {command}\n" in page for command in quickstart.commands(quickstart.MODELS)]
    assert all(shown), shown
    monkeypatch.chdir(place)
    done = [cli(*shlex.split(line)) for line in quickstart.commands(("./model", "./static"))]
    assert [each.exit_code for each in done] == [0] * 4, [each.stderr for each in done]
    table, compared, verdict, found = (each.stdout for each in done)
    assert f"{ROWS} judged queries" in table
    assert "Best: " in compared
    assert "runs/first/model" in verdict
    assert len(found.splitlines()) > 3


def test_the_notebook_runs(repository: Path, place: Path) -> None:
    notebook: Any = nbformat.read(repository / "examples" / "quickstart.ipynb", as_version=4)
    for cell in notebook.cells:
        for name, own in {"minilm": "model", "potion-base-8m": "static"}.items():
            cell.source = cell.source.replace(f'"{name}"', f'"./{own}"')
    client = NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(place)}})
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    kinds = {kind for output in shown for kind in output.get("data", ())}
    assert {"text/html", "image/png"} <= kinds
