from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.store.home import home, models_folder


def test_the_first_of_three_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "mine"))
    assert home() == tmp_path / "mine"
    assert models_folder() == tmp_path / "mine" / "models"
    monkeypatch.setenv("NEARFIELD_HOME", "~/mine")
    assert home() == tmp_path / "mine"
    monkeypatch.setenv("NEARFIELD_HOME", "")
    assert home() == tmp_path / "cache" / "nearfield"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == tmp_path / ".cache" / "nearfield"
    assert not home().exists()
