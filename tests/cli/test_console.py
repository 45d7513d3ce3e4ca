from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nearfield.cli.console import ProgressLines, clock_time, emit_json, progress_bar


@dataclass(frozen=True)
class Inner:
    values: tuple[float, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    path: Path


def test_json_of_dataclasses_arrays_and_numbers_that_are_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    value = {
        "outer": Outer(Inner((1.5, float("nan"), float("inf"))), Path("a/b")),
        "array": np.arange(3),
        "number": np.float32(0.5),
        7: {"é"},
    }
    emit_json(value)
    expected = {"outer": {"inner": {"values": [1.5, None, None]}, "path": "a/b"}, "array": [0, 1, 2], "number": 0.5, "7": ["é"]}
    assert json.loads(capsys.readouterr().out) == expected


def test_json_is_neither_wrapped_nor_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[red]" + "long words " * 100 + ":smile: [/red]"
    emit_json([text])
    assert json.loads(capsys.readouterr().out) == [text]


def test_short_work_says_nothing_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("encoding") as progress:
        progress(1, 2)
        progress(2, 2, "done")
    assert capsys.readouterr().err == ""


def test_long_work_says_how_far_how_fast_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = ProgressLines("training", every=10, clock=lambda: now[0])
    for second in range(1, 26):
        now[0] = float(second)
        lines(second * 100, 5000, f"loss {1 / second:.2f} [x]")
    lines.close()
    assert capsys.readouterr().err.splitlines() == [
        "training: 1,000/5,000 in 0:10, 100.0/s, 0:40 left  loss 0.10 [x]",
        "training: 2,000/5,000 in 0:20, 100.0/s, 0:30 left  loss 0.05 [x]",
        "training: 2,500/5,000 in 0:25, 100.0/s, 0:25 left  loss 0.04 [x]",
    ]


def test_the_bar_of_a_terminal_shows_title_count_and_note(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from nearfield.cli import console

    monkeypatch.setattr(console, "err", Console(stderr=True, force_terminal=True, width=120))
    with progress_bar("encoding") as progress:
        for done in range(1, 4):
            progress(done, 3, f"loss {done} [x]")
    shown = capsys.readouterr().err
    assert "encoding" in shown
    assert "3/3" in shown
    assert "loss 3 [x]" in shown


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (9.6, "0:10"), (61, "1:01"), (3600, "1:00:00"), (7325, "2:02:05")])
def test_clock_time(seconds: float, shown: str) -> None:
    assert clock_time(seconds) == shown


def test_the_last_line_is_not_written_twice(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = ProgressLines("training", every=10, clock=lambda: now[0])
    now[0] = 12.0
    lines(5, 5, "done")
    lines.close()
    assert capsys.readouterr().err.splitlines() == ["training: 5/5 in 0:12, 0.4/s  done"]
