"""`nearfield reranker`: a cross-encoder trained on your data, and the verdict on what it orders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import Json, progress_bar
from nearfield.cli.opened import Device, On
from nearfield.cli.shell.trained import AllowErrors, Guards, RecipeFile, guards_of, show_trained


def reranker(
    model: Annotated[
        str,
        typer.Argument(
            help="A cross-encoder's folder, or the encoder on whose backbone a new one is trained."
        ),
    ],
    on: On,
    first: Annotated[
        str,
        typer.Option(
            help="The encoder whose results are ordered, and whose near misses it "
            "learns from; MODEL when that is one."
        ),
    ] = "",
    to: Annotated[
        Path | None,
        typer.Option(help="The run folder; runs/MODEL-COLLECTION-reranker when not given."),
    ] = None,
    recipe: RecipeFile = None,
    guard: Guards = None,
    allow: AllowErrors = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train a cross-encoder on a collection and say whether it orders better what a first model
    finds.

    It learns to tell each query's positive from its hard negatives; dev says which weights are
    kept, and the test split is measured once. A run that was interrupted goes on where it was when
    the same command is given again.

    Examples:

        nearfield reranker minilm --on my-data
        nearfield reranker ./cross-encoder --on my-data --first minilm --recipe recipe.toml
    """
    from nearfield.data.open import open_collection
    from nearfield.train.recipe import Recipe
    from nearfield.train.runs.reranker import tune_reranker
    from nearfield.train.setting import Setting

    collection = open_collection(on)
    folder = to or Path("runs") / f"{Path(model).name}-{collection.name}-reranker"
    chosen = Recipe.open(recipe) if recipe else Recipe()
    verdict = tune_reranker(
        model,
        collection,
        to=folder,
        first=first,
        recipe=chosen,
        guards=guards_of(guard),
        allow=allow or (),
        setting=Setting(progress_bar, source=on, device=device),
    )
    show_trained(folder, verdict, json=json)
