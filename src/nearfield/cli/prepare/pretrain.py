"""`nearfield pretrain`: a model that has read your documents, before it is tuned."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield.cli.console import Json, emit_json, out, progress_bar
from nearfield.cli.opened import Device, LogTo, Model, On
from nearfield.cli.shell.trained import Guards, RecipeFile, RunTo, guards_of


def pretrain(
    model: Model,
    on: On,
    to: RunTo,
    objective: Annotated[
        str,
        typer.Option(help="simcse, cropping, inverse-cloze, mlm, retromae or tsdae."),
    ] = "simcse",
    recipe: RecipeFile = None,
    guard: Guards = None,
    log_to: LogTo = "",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train MODEL on documents alone: no query and no judgement is looked at.

    A run that was interrupted goes on where it was when the same command is given again. Measure
    what it was worth before you use it: it may make a good model worse.

    Examples:

        nearfield pretrain minilm --on my-data --objective tsdae --to runs/read
        nearfield evaluate minilm runs/read/model --on my-data
        nearfield tune runs/read/model --on my-data
    """
    from nearfield.formats.model_folder import read_model_folder
    from nearfield.models.find import model_path
    from nearfield.store.fields import read_json
    from nearfield.train.logs import logged
    from nearfield.train.recipe import Recipe
    from nearfield.train.runs.pretrain import GUARDS
    from nearfield.train.runs.pretrain import pretrain as run
    from nearfield.train.setting import Setting

    chosen = None
    if recipe:
        chosen = Recipe.open(recipe, kind=read_model_folder(model_path(model)).contract.kind)
    with logged(log_to, to) as rows:
        setting = Setting(progress_bar, source=on, device=device, rows=rows)
        made = run(
            model,
            on,
            objective=objective,
            to=to,
            recipe=chosen,
            guards=guards_of(guard),
            setting=setting,
        )
    lost = read_json(to / GUARDS)
    if json:
        emit_json({"run": to, "model": made, "guards": lost})
        return
    for each in lost:
        out.say("{guard}: {measure} from {before:.3f} to {after:.3f}".format(**each))
    out.say(f"written: {made}")
