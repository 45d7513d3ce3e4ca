"""The `nearfield` command: its table of commands, and how errors and warnings are shown."""

from __future__ import annotations

import contextlib
import errno
import inspect
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup, TyperOption
from typer.main import solve_typer_info_help
from typer.models import TyperInfo

from nearfield.cli.console import err, out, printable
from nearfield.cli.shell.checked import Checked
from nearfield.cli.shell.columns import takes_data
from nearfield.cli.shell.spend import may_spend
from nearfield.cli.shell.trust import may_run_code
from nearfield.errors import NearfieldError, NearfieldWarning
from nearfield.registry import Registry

COMMANDS: Registry[Any] = Registry(
    "command",
    {
        "demo": "nearfield.cli.demo:demo",
        "data": "nearfield.cli.data:data",
        "chunk": "nearfield.cli.prepare.chunk:chunk",
        "encode": "nearfield.cli.encode:encode",
        "search": "nearfield.cli.search:search",
        "evaluate": "nearfield.cli.evaluate:evaluate",
        "choose": "nearfield.cli.choose:choose",
        "plan": "nearfield.cli.prepare.plan:plan",
        "judge": "nearfield.cli.prepare.judge:judge",
        "prompts": "nearfield.cli.prompts:prompts",
        "pretrain": "nearfield.cli.prepare.pretrain:pretrain",
        "mine": "nearfield.cli.prepare.mine:mine",
        "synthesise": "nearfield.cli.prepare.synthesise:synthesise",
        "tune": "nearfield.cli.tune:tune",
        "reranker": "nearfield.cli.reranker:reranker",
        "adapt": "nearfield.cli.adapt:adapt",
        "bridge": "nearfield.cli.bridge:bridge",
        "distil": "nearfield.cli.distil:distil",
        "report": "nearfield.cli.report:report",
        "models": "nearfield.cli.models.group:models",
        "similarity": "nearfield.cli.similarity:similarity",
        "words": "nearfield.cli.words:words",
        "serve": "nearfield.cli.serving.serve:serve",
        "certify": "nearfield.cli.serving.certify:certify",
        "verify": "nearfield.cli.serving.certify:verify",
        "cache": "nearfield.cli.cache:cache",
        "ledger": "nearfield.cli.ledger:ledger",
        "help": "nearfield.cli.shell.help:show_help",
    },
)
"""Each is a typer function, or a `typer.Typer` with commands of its own."""

RUN_CODE = ("encode", "search", "evaluate", "choose", "prompts", "similarity", "serve")
"""The commands that open a model to use it as it is, and so may be told to run code of its
folder.
"""
_SPEND = """
    encode search evaluate choose judge mine synthesise tune reranker adapt bridge similarity
"""
SPEND = tuple(_SPEND.split())
"""The commands that may open a model behind an API."""
_TAKE_DATA = """
    chunk encode search evaluate choose plan judge prompts mine pretrain synthesise tune
    reranker adapt bridge distil
"""
TAKE_DATA = tuple(_TAKE_DATA.split())
"""The commands that open a table, and so may be told how it is read."""
USAGE_ERROR = 2
_MISUSE: Any = typer.BadParameter.__base__  # typer's error for arguments that it cannot take
# of a file, the library raises StorageError: what is left is stdout
UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Commands(TyperGroup):
    """The group of all commands: one line for each error and warning, and exit code 2 for what the
    user can fix.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of the table; typer would put groups first."""
        order = list(COMMANDS)
        if set(self.commands) <= set(order):
            return sorted(self.commands, key=order.index)
        return list(self.commands)

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's own options, flags without a type in the help."""
        params = super().get_params(ctx)
        _leave_out_types(params)
        return params

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, with its help and that of the commands in it as they are shown: flags
        without a type, flowing paragraphs.
        """
        command: Any = super().get_command(ctx, cmd_name)
        if command is None:  # which the group then says
            return None
        shown = [command]
        if isinstance(command, TyperGroup):
            shown += command.commands.values()
        for each in shown:
            _leave_out_types(each.get_params(ctx))
            each.help = flowing(each.help or "")
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments before the command's name; one line for those that cannot be."""
        try:
            return super().parse_args(ctx, args)
        except _MISUSE as error:
            if _asks_for_help(error):
                raise
            _refuse_misuse(error)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what the user can fix is one line and exit code 2."""
        with _warnings_in_one_line(), _log_in_one_line():
            try:
                return super().invoke(ctx)
            except _MISUSE as error:
                if _asks_for_help(error):
                    raise
                _refuse_misuse(error)
            except NearfieldError as error:
                message = str(error)
            except OSError as error:
                # of no file: typer ends a broken pipe, `main` a full stdout; the rest is a bug
                if error.filename is None:
                    raise
                message = f"{error.filename}: {error.strerror}"
        err.say(f"error: {message}", style="red")
        raise typer.Exit(USAGE_ERROR)


def _asks_for_help(error: Any) -> bool:
    """Whether a group was called without a command, for which typer shows its help."""
    return not error.message and not isinstance(error, typer.BadParameter)


def _refuse_misuse(error: Any) -> NoReturn:
    """Say in one line what the command line cannot take, what is near, and where the rest stands;
    exit with 2.
    """
    message = printable(" ".join(error.format_message().split())).rstrip(".")
    # of several options that are near, typer lists the nearest first
    options = re.fullmatch(r"(.*) \(Possible options: ([^,)]*).*\)", message)
    if options:
        message = f"{options[1]}. Did you mean {options[2]!r}?"
    elif not message.endswith("?"):
        message += "."
    path = error.ctx.command_path if error.ctx is not None else "nearfield"
    page = " ".join(("nearfield help", *path.split()[1:]))
    err.say(f"error: {message} See {page}.", style="red")
    raise typer.Exit(USAGE_ERROR)


def _leave_out_types(params: list[Any]) -> None:
    """Have the help show no `<bool>` at those of `params` that are flags, which take no value."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""


def flowing(text: str) -> str:
    """A command's help with each paragraph on one line, for the terminal to break.

    A paragraph with indented lines, as examples are, keeps them; a line that is indented further
    continues the example before it.
    """
    whole = re.sub(r"\n {8,}(?=\S)", " ", inspect.cleandoc(text))
    lines = []
    for paragraph in filter(None, whole.split("\n\n")):
        has_examples = re.search(r"^\s", paragraph, re.MULTILINE)
        lines.append(paragraph if has_examples else paragraph.replace("\n", " "))
    # without the empty one, typer takes the indentation from examples that come second
    return "\n\n".join((*lines[:1], "", *lines[1:]))


def main() -> None:
    """Run the command line; exits with 0, with 2 after an error that the user can fix, with 130
    when interrupted.
    """
    words = sys.argv[1:]
    asked = words[:1]
    # that of one command takes a third of the time; help shows any of them
    alone = asked and asked[0] in COMMANDS.table and asked != ["help"]
    completes = "_NEARFIELD_COMPLETE" in os.environ  # what a shell's words are, typer knows
    listed = not completes and not any(word in COMMANDS for word in words)
    try:
        app = build(asked if alone else COMMANDS, listed=listed)
        app(prog_name="nearfield")
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITTEN:
            raise
        err.say(f"error: standard output could not be written: {error.strerror}", style="red")
        # what is still to be written would fail once more at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SystemExit(USAGE_ERROR) from None


def build(names: Iterable[str] = COMMANDS, *, listed: bool = False) -> typer.Typer:
    """The application with the commands called so, by default all; `listed`: without their options,
    which take long to make, to say which commands there are. Imports the commands' own files and
    nothing heavy.
    """
    app = typer.Typer(
        cls=Commands,
        callback=_root,
        help=flowing(_root.__doc__ or ""),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        command = COMMANDS[name]
        if listed:
            app.command(name, help=_help_of(command))(_nothing)
        elif isinstance(command, typer.Typer):
            for each in command.registered_commands:
                each.cls = Checked
            app.add_typer(command, name=name)
        else:
            if name in TAKE_DATA:
                command = takes_data(command)
            if name in SPEND:
                command = may_spend(command)
            if name in RUN_CODE:
                command = may_run_code(command)
            app.command(name, cls=Checked)(command)
    return app


def _help_of(command: Any) -> str | None:
    """The help of a function or of a group of commands, as typer has it."""
    if isinstance(command, typer.Typer):
        return solve_typer_info_help(TyperInfo(command))
    return inspect.getdoc(command)


def _nothing() -> None:
    """In place of a command that is listed and not run."""


def _version(wanted: bool) -> None:
    if wanted:
        from nearfield import __version__

        out.print(f"nearfield {__version__}", highlight=False)
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
) -> None:
    """Choose, tune and prove embedding models on your own data, and search with them.

    Examples:

        nearfield demo                                 tune, prove and report
        nearfield data check my-data                   what is wrong with data
        nearfield evaluate minilm bm25 --on my-data    compare with intervals
        nearfield tune minilm --on my-data             a tune, with a verdict
    """


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show each NearfieldWarning once, as a yellow line on stderr; leave all other warnings as they
    are.
    """
    seen: set[str] = set()
    with warnings.catch_warnings():
        plain = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, NearfieldWarning):
                plain(printable(str(message)), category, filename, lineno, file, line)
            elif str(message) not in seen:
                seen.add(str(message))
                err.say(f"warning: {message}", style="yellow")

        # by itself, Python goes by the line of code that warns; `seen` goes by the words
        warnings.simplefilter("always", NearfieldWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _log_in_one_line() -> Iterator[None]:
    """Show what the library logs (a model that has to be fetched first) as it comes, on stderr."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            err.say(record.getMessage(), style="dim")

    logger = logging.getLogger("nearfield")
    lines = Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        # the process may be that of a program or a test that calls several commands
        logger.removeHandler(lines)
        logger.setLevel(level)


if __name__ == "__main__":
    main()
