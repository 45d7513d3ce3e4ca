"""What every command promises: help with an example, exit code 2 for what it does not know, JSON
that can be read where it is offered, and a line in the one table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from nearfield.cli.app import COMMANDS, build
from nearfield.cli.models.group import MODELS
from nearfield.errors import InputError
from tiny import tiny_model
from tiny_data import text_files

Run = Callable[..., Any]


def leaves() -> list[tuple[str, ...]]:
    """Every command of the table, and for a group each of its commands."""
    found: list[tuple[str, ...]] = []
    for name, command in typer.main.get_group(build()).commands.items():
        inner = getattr(command, "commands", None)
        found += [(name, sub) for sub in inner] if inner else [(name,)]
    return found


def test_the_tables_are_what_is_run() -> None:
    commands = typer.main.get_group(build()).commands
    assert set(commands) == set(COMMANDS)
    assert set(commands["models"].commands) == set(MODELS)  # type: ignore[attr-defined]


def test_an_unknown_command_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no command 'evalute'.*Did you mean 'evaluate'"):
        COMMANDS["evalute"]


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_the_help_has_an_example_that_names_the_command(path: tuple[str, ...], cli: Run) -> None:
    shown = cli(*path, "--help")
    assert shown.exit_code == 0
    examples = shown.stdout.partition("Examples")[2]
    assert f"nearfield {' '.join(path)}" in examples
    assert "--json" in shown.stdout or path == ("help",)
    assert "<bool>" not in shown.stdout


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_every_option_has_a_help(path: tuple[str, ...]) -> None:
    command: Any = typer.main.get_group(build())
    for name in path:
        command = command.commands[name]
    silent = [item.name for item in command.params if not (getattr(item, "help", "") or "").strip()]
    assert silent == []


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_an_unknown_option_is_one_error_and_exit_code_2(path: tuple[str, ...], cli: Run) -> None:
    refused = cli(*path, "--no-such-option")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "No such option" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Path]:
    """A model, texts, pairs, judged rows and word vectors, each small."""
    rows = [("a cat sleeps", "the cat"), ("read a file", "files"), ("the sun", "a star")]
    (tmp_path / "rows.csv").write_text(
        "question,answer,split\n" + "".join(f"{a},{b},test\n" for a, b in rows)
    )
    (tmp_path / "pairs.csv").write_text(
        "sentence1,sentence2,score\n" + "".join(f"{a},{b},{at}\n" for at, (a, b) in enumerate(rows))
    )
    (tmp_path / "words.txt").write_text("cat 1 0\ndog 1 0.1\nsun 0 1\nmoon 0.1 1\n")
    (tmp_path / "alike.tsv").write_text("cat\tdog\t9\ncat\tsun\t1\nsun\tmoon\t8\n")
    (tmp_path / "analogies.txt").write_text(": all\ncat dog sun moon\n")
    text_files(tmp_path / "texts", [text for row in rows for text in row])
    tiny_model(tmp_path / "model")
    return {path.stem: path for path in tmp_path.iterdir()}


JSON = (
    "evaluate {model} --on {rows}",
    "evaluate {model} --on {pairs}",
    "evaluate {model} --on {pairs} --task bitext",
    "evaluate {words} --on {analogies} --task word-analogies",
    "evaluate {words} --on {alike} --task word-similarity",
    "similarity cat dog --model {model}",
    "search {texts} cat --model {model}",
    "words nearest {words} cat",
    "words analogies {words} --on {analogies}",
    "words similarity {words} --on {alike}",
    "models",
    "models list --kind sparse",
    "models show minilm",
    "models show {model}",
    "models suggest --languages en",
    "data check {rows}",
    "cache show",
    "encode {model} {texts} --to {texts}-vectors",
    "models quantise {model} --to {model}-half --dtype float16",
    "models lexical {texts} --to {texts}-bm25",
)


@pytest.mark.parametrize("line", JSON)
def test_json_is_json_and_all_that_is_on_stdout(
    line: str, made: dict[str, Path], cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    arguments = [
        re.sub(r"\{(\w+)\}", lambda found: str(made[found[1]]), part) for part in line.split()
    ]
    shown = cli(*arguments, "--json")
    assert shown.exit_code == 0, shown.stderr
    assert isinstance(json.loads(shown.stdout), dict | list)
