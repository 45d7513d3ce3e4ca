"""`nearfield demo`: the main job on data that everybody has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import Json, err, progress_bar


def demo(
    to: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    json: Json = False,
) -> None:
    """Tune the default model on the Python standard library's own documentation and code, and prove
    what it gained.

    Queries are first sentences of docstrings, documents the code below them. Modules that are in
    the test split are in no other. The guard is Python's language reference: what the model knows
    of prose must not be lost. Downloads nothing but the model; takes about ten minutes on two
    cores, and goes on where it was when it is interrupted and started again.

    Examples:

        nearfield demo
        nearfield demo --to /tmp/demo --json
    """
    from nearfield.cli.tune import show_run
    from nearfield.data.open import open_collection
    from nearfield.train.runs.tune import tune as run
    from nearfield.train.setting import Setting

    err.print(
        "Tuning minilm on the standard library's own docstrings and code; pydoc-topics is "
        "the guard.",
        style="dim",
        highlight=False,
    )
    verdict = run(
        "minilm",
        open_collection("stdlib"),
        to=to,
        guards=["pydoc-topics"],
        setting=Setting(progress_bar, source="stdlib"),
    )
    show_run(to, verdict, json=json)
