"""`nearfield demo`: the main job on data that everybody has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import Json, err, out, progress_bar
from nearfield.types.progress import Progress

STAGES = {
    "doctor": "Look for mistakes in the data",
    "encode documents": "Encode the documents with the base model",
    "baseline": "Freeze what the base model reaches on dev and on the guard",
    "mine negatives": "Find documents that look relevant and are not",
    "train": "Train on 512 questions of modules that the test does not have",
    "merge": "Average tuned and base weights; dev and the guard choose the share",
    "test": "Test once, on modules that nothing before has seen",
}


def demo(
    to: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    json: Json = False,
) -> None:
    """Tune the default model on the Python standard library's own documentation and code, and prove
    what it gained.

    Queries are first sentences of docstrings, documents the code below them. Modules that are in
    the test split are in no other. The guard is Python's language reference: what the model knows
    of prose must not be lost. Downloads nothing but the model; takes a few minutes on two cores,
    and goes on where it was when it is interrupted and started again.

    Examples:

        nearfield demo
        nearfield demo --to /tmp/demo --json
    """
    from nearfield.cli.tune import show_run
    from nearfield.data.open import open_collection
    from nearfield.train.runs.tune import tune as run
    from nearfield.train.setting import Setting

    verdict = run(
        "minilm",
        open_collection("stdlib-short"),
        to=to,
        guards=["pydoc-topics"],
        setting=Setting(_under_headings, source="stdlib-short"),
    )
    show_run(to, verdict, json=json)
    report = to / "report.html"
    if not json and report.exists():
        out.say(f"Open the report: python3 -m webbrowser {report.resolve().as_uri()}")


@contextmanager
def _under_headings(title: str) -> Iterator[Progress]:
    """The progress of the whole run, with a line where a stage begins."""
    with progress_bar(title) as progress:
        said = ""

        def show(done: int, total: int, note: str = "") -> None:
            nonlocal said
            # a run's note begins with the title of its stage (`Outlook`)
            stage = next((name for name in STAGES if note.startswith(name)), said)
            if stage != said:
                said = stage
                err.say(
                    f"{list(STAGES).index(stage) + 1}/{len(STAGES)} {STAGES[stage]}", style="bold"
                )
            progress(done, total, note)

        yield show
