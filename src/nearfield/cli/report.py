"""`nearfield report`: one HTML page from a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import emit_json, out


def report(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run, as `nearfield tune` printed it.")
    ],
    open_page: Annotated[
        bool, typer.Option("--open", help="Show the page in the browser.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the path, its size and the verdict as JSON.")
    ] = False,
) -> None:
    """Write report.html into a run folder: the verdict, then every number behind it. The page needs
    no network.

    Examples:

        nearfield report runs/minilm-stdlib            write the page, print its path
        nearfield report runs/minilm-stdlib --open     and show it
    """
    from nearfield.report.facts import read_run
    from nearfield.report.page import write_report

    path = write_report(run)
    if as_json:
        emit_json({"report": path, "bytes": path.stat().st_size, "verdict": read_run(run).verdict})
    else:
        out.say(str(path))
    if open_page:
        typer.launch(path.resolve().as_uri())
