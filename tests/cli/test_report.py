from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nearfield.cli.app import build

pytest.importorskip("plotly")
RUN = {
    "format": 1,
    "model": "minilm",
    "collection": "stdlib",
    "documents": 3820,
    "started": "2026-11-23T18:32:05+00:00",
}


def test_it_writes_the_page_and_prints_its_path(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    result = CliRunner().invoke(build(), ["report", str(tmp_path)])
    assert result.exit_code == 0
    assert result.stdout.strip() == str(tmp_path / "report.html")
    assert "No verdict yet" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_json(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    result = CliRunner().invoke(build(), ["report", str(tmp_path), "--json"])
    found = json.loads(result.stdout)
    assert found == {
        "report": str(tmp_path / "report.html"),
        "bytes": (tmp_path / "report.html").stat().st_size,
        "verdict": None,
    }


def test_what_is_no_run_is_one_clear_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(build(), ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "run.json" in result.stderr
    assert not (tmp_path / "report.html").exists()


def test_help_has_examples() -> None:
    text = CliRunner().invoke(build(), ["report", "--help"]).stdout
    assert "Examples" in text
    assert "nearfield report runs/minilm-stdlib --open" in text
