from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nearfield.cli import console
from nearfield.cli.app import main
from nearfield.cli.console import (
    PlainConsole,
    ProgressLines,
    clock_time,
    emit_json,
    printable,
    progress_bar,
)
from nearfield.errors import NearfieldWarning

EVIL = "a\x1b[31mred\x1b]8;;http://x\x07 \x9b2Jb\u202ecba\u2066d\x7f\r[bold]e[/x] :smile:\ud800"
SHOWN = "a[31mred]8;;http://x 2Jbcbad[bold]e[/x] :smile:\ufffd"


@dataclass(frozen=True)
class Inner:
    values: tuple[float, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    path: Path


def test_json_of_dataclasses_arrays_and_numbers_that_are_not_finite(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {
        "outer": Outer(Inner((1.5, float("nan"), float("inf"))), Path("a/b")),
        "array": np.arange(3),
        "number": np.float32(0.5),
        7: {"é"},
    }
    emit_json(value)
    expected = {
        "outer": {"inner": {"values": [1.5, None, None]}, "path": "a/b"},
        "array": [0, 1, 2],
        "number": 0.5,
        "7": ["é"],
    }
    assert json.loads(capsys.readouterr().out) == expected


def test_json_is_neither_wrapped_nor_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[red]" + "long words " * 100 + ":smile: [/red]"
    emit_json([text])
    assert json.loads(capsys.readouterr().out) == [text]


def test_short_work_says_nothing_where_stderr_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
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


def test_the_bar_of_a_terminal_shows_title_count_and_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "err", PlainConsole(stderr=True, force_terminal=True, width=120))
    with progress_bar("encoding") as progress:
        for done in range(1, 4):
            progress(done, 3, f"loss {done} [x]")
    shown = capsys.readouterr().err
    assert "encoding" in shown
    assert "3/3" in shown
    assert "loss 3 [x]" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (9.6, "0:10"), (61, "1:01"), (3600, "1:00:00"), (7325, "2:02:05")],
)
def test_clock_time(seconds: float, shown: str) -> None:
    assert clock_time(seconds) == shown


def test_the_last_line_is_not_written_twice(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = ProgressLines("training", every=10, clock=lambda: now[0])
    now[0] = 12.0
    lines(5, 5, "done")
    lines.close()
    assert capsys.readouterr().err.splitlines() == ["training: 5/5 in 0:12, 25.0/min  done"]


def test_only_blanks_are_left_of_control_characters() -> None:
    assert printable("".join(map(chr, range(0xA0)))).encode() == b"\t\n" + bytes(range(0x20, 0x7F))
    assert printable("नमस्ते می\u200cخواهم 👩\u200d💻") == "नमस्ते می\u200cخواهم 👩\u200d💻"
    assert printable(EVIL) == SHOWN


@pytest.mark.parametrize("terminal", [True, False])
def test_no_text_reaches_the_terminal_as_an_order(
    terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    shown = PlainConsole(
        force_terminal=terminal, color_system=None, width=120, markup=False, emoji=False
    )
    table = Table(EVIL, box=None, title=Text(EVIL))
    table.add_row(EVIL, style="red")
    for renderable in (EVIL, Text(EVIL), table, Panel(Text(EVIL), title=Text(EVIL))):
        shown.print(renderable)
    written = capsys.readouterr().out
    assert written == printable(written)
    assert written.count(SHOWN) == 7


def test_progress_is_printable_on_a_terminal_and_in_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        console,
        "err",
        PlainConsole(stderr=True, force_terminal=True, width=300, markup=False, emoji=False),
    )
    with progress_bar(EVIL) as progress:
        progress(1, 1, EVIL)
    shown = capsys.readouterr().err
    assert SHOWN[:30] in shown
    assert not {"\x9b", "\u202e", "\x07"} & set(shown)  # what is left of escapes is rich's own
    monkeypatch.setattr(console, "err", PlainConsole(stderr=True, markup=False, emoji=False))
    now = [0.0]
    lines = ProgressLines(EVIL, every=1, clock=lambda: now[0])
    now[0] = 2.0
    lines(1, 2, EVIL)
    assert capsys.readouterr().err.count(SHOWN) == 2


@pytest.mark.parametrize(
    "arguments",
    [["data", "show", "no\x1b[31m\u202esuch"], ["data", "show", "a", "extra\x1b[31m\u202e"]],
)
def test_errors_that_quote_a_name_are_printable(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["nearfield", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    shown = capsys.readouterr().err
    assert shown == printable(shown)
    assert "[31m" in shown


def test_warnings_of_any_kind_are_printable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nearfield.cli.app import _warnings_in_one_line

    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *rest: shown.append(message))
    with _warnings_in_one_line():
        warnings.warn(EVIL, NearfieldWarning, stacklevel=1)
        warnings.showwarning(EVIL, UserWarning, "file.py", 1)
    assert [*shown, capsys.readouterr().err] == [SHOWN, f"warning: {SHOWN}\n"]


def test_json_keeps_the_text_and_escapes_it_for_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EVIL.removesuffix("\ud800")
    emit_json([text, EVIL])
    piped = capsys.readouterr().out
    assert json.loads(piped) == [text, EVIL]
    assert "\u202e" in piped
    monkeypatch.setattr(console, "out", PlainConsole(force_terminal=True))
    emit_json([text])
    shown = capsys.readouterr().out
    assert json.loads(shown) == [text]
    assert shown == printable(shown)
