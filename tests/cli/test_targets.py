"""What a command writes replaces nothing but what the same command has written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiny import tiny_model
from tiny_data import tiny_collection

Run = Callable[..., Any]


@pytest.mark.parametrize(
    "command",
    [
        ("models", "head", "MODEL", "splade"),
        ("models", "lexical", "DATA"),
        ("models", "merge", "MODEL", "MODEL"),
    ],
    ids=lambda command: "-".join(command[:2]).lower(),
)
def test_only_what_was_made_so_is_replaced(
    command: tuple[str, ...], cli: Run, tmp_path: Path
) -> None:
    model, other = tiny_model(tmp_path / "model"), tiny_model(tmp_path / "other", seed=1)
    tiny_collection().save(tmp_path / "data")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "mine"}\n')
    arguments = [{"MODEL": model, "DATA": tmp_path / "data"}.get(part, part) for part in command]
    before = {file: file.read_bytes() for file in other.rglob("*") if file.is_file()}
    for taken in (rows, other):
        refused = cli(*arguments, "--to", taken)
        assert refused.exit_code == 2, refused.stdout
        assert f"error: {taken}: is there already" in refused.stderr
    assert rows.read_text() == '{"text": "mine"}\n'
    assert {file: file.read_bytes() for file in other.rglob("*") if file.is_file()} == before
    for _ in range(2):
        told = cli(*arguments, "--to", tmp_path / "made")
        assert told.exit_code == 0, told.stderr


def test_data_that_cannot_be_measured_on_is_said_before_a_model_is_made(
    cli: Run, tmp_path: Path
) -> None:
    model, rows = tiny_model(tmp_path / "model"), tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a cat"}\n')
    for arguments in (
        ("quantise", model),
        ("merge", model, model),
        ("drop-layers", model, "--keep", 0),
        ("trim", model, "--texts", rows),
    ):
        told = cli("models", *arguments, "--to", tmp_path / "made", "--on", rows)
        assert (told.exit_code, "has no judgements at all" in told.stderr) == (2, True), told.stderr
        assert not (tmp_path / "made").exists()
    assert (
        "as 0,2,5"
        in cli("models", "drop-layers", model, "--keep", "a", "--to", tmp_path / "made").stderr
    )
