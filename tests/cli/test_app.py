from __future__ import annotations

import errno
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import nearfield
from nearfield.catalog.card import names
from nearfield.cli.app import COMMANDS, Commands, build
from nearfield.errors import InputError, TruncationWarning

MAIN = [sys.executable, "-c", "from nearfield.cli.app import main; main()"]


def run_failing(body: Callable[[], None]) -> Any:
    """What the command line shows when a command's body is `body`."""
    app = typer.Typer(cls=Commands, callback=lambda: None, pretty_exceptions_enable=False)
    app.command("go")(body)
    return CliRunner().invoke(app, ["go"])


def test_help_lists_every_command_in_order() -> None:
    shown = CliRunner().invoke(build(), ["--help"])
    assert shown.exit_code == 0
    assert "Examples" in shown.stdout
    assert "<bool>" not in shown.stdout
    places = [shown.stdout.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_a_command_alone_is_built_as_among_all() -> None:
    whole = typer.main.get_group(build()).commands
    for name in ("search", "models"):
        alone = typer.main.get_group(build([name])).commands
        assert list(alone) == [name]
        options = [param.opts for param in alone[name].params]
        assert options == [param.opts for param in whole[name].params]


def test_the_list_of_commands_needs_no_options() -> None:
    listed = build(listed=True)
    whole = CliRunner().invoke(build(), ["--help"]).stdout
    assert CliRunner().invoke(listed, ["--help"]).stdout == whole
    assert "Did you mean 'tune'?" in CliRunner().invoke(listed, ["tunne"]).stderr


def leaves() -> list[tuple[str, ...]]:
    """Every command of the table, and for a group each of its commands."""
    found: list[tuple[str, ...]] = []
    for name, command in typer.main.get_group(build()).commands.items():
        inner = getattr(command, "commands", None)
        found += [(name, sub) for sub in inner] if inner else [(name,)]
    return found


@pytest.mark.parametrize("path", [("models",), *leaves()], ids=" ".join)
def test_paragraphs_of_the_help_flow_and_examples_keep_their_lines(
    path: tuple[str, ...], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    shown = cli(*path, "--help").stdout.partition("╭")[0]
    paragraphs = [
        [line for line in part.splitlines() if line.strip()]
        for part in re.split(r"\n\s*\n", shown.split("Usage:")[1])
    ]
    examples = [part for part in paragraphs if part and part[0].startswith("     ")]
    assert [part for part in paragraphs if part not in examples and len(part) > 1] == []
    assert examples
    assert all("nearfield " in line for part in examples for line in part), examples


def test_version(cli: Callable[..., Any]) -> None:
    assert cli("--version").stdout == f"nearfield {nearfield.__version__}\n"


def test_an_error_is_one_line_on_stderr_and_exit_code_2() -> None:
    def body() -> None:
        raise InputError(
            "got [bold]three[/bold] fields :smile: " + "long " * 60 + "end",
            path="qrels.tsv",
            line=7,
        )

    shown = run_failing(body)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert shown.stderr.startswith("error: qrels.tsv:7: got [bold]three[/bold] fields :smile: long")
    assert shown.stderr.endswith("end\n")
    assert shown.stderr.count("\n") == 1


def test_a_files_own_error_is_one_line_too() -> None:
    def body() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "secret.csv")

    shown = run_failing(body)
    assert (shown.exit_code, shown.stderr) == (2, "error: secret.csv: Permission denied\n")


def test_a_bug_is_not_dressed_up_as_the_users_mistake() -> None:
    def body() -> None:
        raise KeyError("a bug")

    assert isinstance(run_failing(body).exception, KeyError)


def test_each_warning_is_shown_once_in_one_line() -> None:
    def body() -> None:
        for _ in range(3):
            warnings.warn("3 of 9 texts were longer", TruncationWarning, stacklevel=1)

    shown = run_failing(body)
    assert (shown.exit_code, shown.stderr) == (0, "warning: 3 of 9 texts were longer\n")


def test_other_warnings_are_left_as_they_are() -> None:
    def body() -> None:
        warnings.warn("someone else's", DeprecationWarning, stacklevel=1)

    # the tests' filter makes it an error, here too
    assert isinstance(run_failing(body).exception, DeprecationWarning)


def test_the_librarys_log_is_shown_and_the_logger_left_as_it_was() -> None:
    def body() -> None:
        logging.getLogger("nearfield.catalog.fetch").info("minilm is not in the cache")

    logger = logging.getLogger("nearfield")
    before = (logger.level, list(logger.handlers))
    assert run_failing(body).stderr == "minilm is not in the cache\n"
    assert (logger.level, logger.handlers) == before


def test_an_interrupt_exits_with_130() -> None:
    def body() -> None:
        raise KeyboardInterrupt

    assert run_failing(body).exit_code == 130


def test_an_unknown_command_and_an_unknown_option_exit_with_2() -> None:
    for arguments in (["evalute"], ["models", "--jsn"]):
        ran = subprocess.run([*MAIN, *arguments], capture_output=True, text=True, check=False)
        assert ran.returncode == 2
        assert "No such" in ran.stderr
        assert "Traceback" not in ran.stderr


def test_the_exit_code_and_the_line_of_a_real_process() -> None:
    ran = subprocess.run(
        [*MAIN, "models", "show", "minilmm"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"error: minilmm: is not a model of the catalog, which has {len(names())}. "
        "Did you mean 'minilm'?\n"
    )


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [*MAIN, "models", "show", "minilm", "--json"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert "Traceback" not in ran.stderr
    assert ran.returncode in (0, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
@pytest.mark.parametrize(
    "arguments", [["models"], ["models", "show", "minilm", "--json"], ["--help"]]
)
def test_a_full_stdout_is_one_line_and_exit_code_2(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [*MAIN, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ran.returncode == 2
    assert ran.stderr == "error: standard output could not be written: No space left on device\n"
