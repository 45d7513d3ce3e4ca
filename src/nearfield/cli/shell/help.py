"""`nearfield help`: the help of a command, as `--help` behind it shows it."""

from __future__ import annotations

from typing import Annotated

import typer


def show_help(
    ctx: Annotated[typer.Context, "which knows the other commands"],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="As `models get`.")
    ] = None,
) -> None:
    """Show what a command does and takes.

    Examples:

        nearfield help evaluate
        nearfield help models get
    """
    words = [*(command or []), "--help"]
    # not standalone, it returns the exit code and does not leave with it
    status = ctx.find_root().command.main(words, prog_name="nearfield", standalone_mode=False)
    raise typer.Exit(status or 0)
