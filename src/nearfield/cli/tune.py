"""`nearfield tune`: a model tuned on your data, and the verdict on whether that made it better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import Json, err, out, progress_bar
from nearfield.cli.opened import Device, LogTo, Model, On
from nearfield.cli.shell.trained import AllowErrors, Guards, guards_of, show_trained

if TYPE_CHECKING:
    from nearfield.types.finding import Finding
    from nearfield.types.verdict import Verdict


def tune(
    model: Model,
    on: On,
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Learn from these pairs, of any size, and measure on --on: "
            "a JSONL, CSV, TSV or Parquet file."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="The run folder; runs/MODEL-COLLECTION when not given.")
    ] = None,
    guard: Guards = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file with what should differ from the default recipe of the model's kind."
        ),
    ] = None,
    allow: AllowErrors = None,
    processes: Annotated[
        int,
        typer.Option(help="Processes that share the training, on a GPU each where there are GPUs."),
    ] = 1,
    trials: Annotated[
        int,
        typer.Option(
            help="Try so many settings first, on dev alone, and tune with the best.", min=1
        ),
    ] = 1,
    log_to: LogTo = "",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Tune MODEL on a collection: check the data, freeze the baseline, mine negatives, train,
    merge, and test once.

    Ends with the verdict on queries that nothing before has seen: better, no difference shown, or
    worse. A run that was interrupted goes on where it was when the same command is given again.

    Examples:

        nearfield tune minilm --on stdlib --guard pydoc-topics
        nearfield tune minilm --on my-data --pairs clicks.parquet --to runs/first
        nearfield tune ./my-model --on pairs.jsonl --recipe recipe.toml
        nearfield tune minilm --on my-data --trials 20 --log-to tensorboard
        nearfield tune models/pictures --on photos
    """
    from nearfield.data.open import open_collection
    from nearfield.scale.launch import processes as together
    from nearfield.train.logs import logged
    from nearfield.train.runs.tune import tune as run
    from nearfield.train.runs.tune import tuning_recipe
    from nearfield.train.setting import Setting

    collection = open_collection(on)
    folder = to or Path("runs") / f"{Path(model).name}-{collection.name}"
    chosen = tuning_recipe(model, recipe)
    also: Mapping[str, Any] = {"to": folder, "allow": allow or (), "pairs": pairs or ""}
    with together(processes) as group, logged(log_to, folder) as rows:
        setting = Setting(progress_bar, group, source=on, device=device, rows=rows)
        if trials > 1:
            from nearfield.train.runs.trials import best_recipe

            chosen = best_recipe(model, collection, chosen, trials=trials, setting=setting, **also)
        verdict = run(
            model, collection, recipe=chosen, guards=guards_of(guard), setting=setting, **also
        )
    show_run(folder, verdict, json=json)


def show_run(folder: Path, verdict: Verdict, *, json: bool) -> None:
    """Write the finished run's model card and report, and print its verdict and where everything
    lies.
    """
    from nearfield.report.card import model_card
    from nearfield.report.facts import read_run
    from nearfield.store.atomic import write_text

    run = read_run(folder)
    write_text(folder / "model" / "README.md", model_card(run))
    report = _report(folder)
    found = _in_words(run.findings)
    show_trained(folder, verdict, json=json, facts={"report": report}, said=found)
    if report is not None and not json:
        out.say(f"report  {report}")


def _in_words(findings: Sequence[Finding] | None) -> str:
    """What the doctor found, the worst first; nothing for nothing."""
    from nearfield.types.numbers import plural

    if not findings:
        return ""
    counts = Counter(finding.severity for finding in findings)
    found = ", ".join(
        plural(counts[each], each) for each in ("error", "warning", "note") if counts[each]
    )
    names = ", ".join(finding.check for finding in findings)
    return f"The doctor found {found}: {names}. The report says more."


def _report(folder: Path) -> Path | None:
    """The report's path; None, with the line that brings what it needs, where that is not
    installed: the run itself is done.
    """
    from nearfield.errors import MissingExtra
    from nearfield.report.page import write_report

    try:
        return write_report(folder)
    except MissingExtra as error:
        err.say(f"warning: no report was written: {error}", style="yellow")
        return None
