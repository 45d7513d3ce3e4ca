"""`nearfield adapt`: a small map of query vectors, so that the stored documents stay as
they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import Json, progress_bar
from nearfield.cli.opened import Device, On
from nearfield.cli.shell.trained import AllowErrors, Guards, RunTo, guards_of, show_trained


def adapt(
    on: On,
    to: RunTo,
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model of the catalog or a model folder; none where both vectors are given."
        ),
    ] = None,
    documents: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Stored document vectors, used as they are."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Query vectors of a model that only an API has."),
    ] = None,
    kind: Annotated[str, typer.Option(help="linear, low-rank or mlp.")] = "linear",
    width: Annotated[
        int, typer.Option(help="The rank of low-rank, the hidden width of mlp.", min=1)
    ] = 64,
    epochs: Annotated[int, typer.Option(help="Passes over the training pairs.", min=1)] = 30,
    guard: Guards = None,
    allow: AllowErrors = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train a map of query vectors against document vectors that stay as they are, and say what it
    gains on the test split.

    No model is needed, only vectors: a folder by `nearfield encode`, or `vectors.npy` with
    `ids.jsonl` from anywhere. An adapter of a model then goes by its folder, `adapter` in the run
    folder, in place of a model's name: in `search`, also over the documents' vectors as they are,
    and in `evaluate`.

    Examples:

        nearfield adapt minilm --on stdlib --to runs/stdlib
        nearfield adapt minilm --on my-data --documents vectors/documents --to runs/mine
        nearfield adapt --on my-data --documents api/documents --queries api/queries --kind mlp --to
            runs/api
    """
    from nearfield.store.fields import read_json
    from nearfield.train.fits.adapter import AdapterRecipe
    from nearfield.train.runs.adapt import ADAPTER, StoredVectors
    from nearfield.train.runs.adapt import adapt as run
    from nearfield.train.setting import Setting

    verdict = run(
        model,
        on,
        to=to,
        stored=StoredVectors(documents, queries),
        recipe=AdapterRecipe(kind=kind, width=width, epochs=epochs),
        guards=guards_of(guard),
        allow=allow or (),
        setting=Setting(progress_bar, device=device),
    )
    share = read_json(to / ADAPTER / "adapter.json")["share"]
    said = "" if share else "dev was best without a map: the adapter is the identity."
    show_trained(to, verdict, facts={"share": share}, said=said, json=json, made=ADAPTER)
