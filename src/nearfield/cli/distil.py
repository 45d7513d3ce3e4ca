"""`nearfield distil`: a static model that takes after a large one."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield.cli.console import FORMATS, Json, progress_bar
from nearfield.cli.opened import Device
from nearfield.cli.shell.trained import AllowErrors, Guards, RunTo, guards_of, show_trained


def distil(
    model: Annotated[
        str, typer.Argument(help="The model to take after: of the catalog, or a model folder.")
    ],
    to: RunTo,
    dim: Annotated[int, typer.Option(help="Dimensions of the static model.")] = 256,
    on: Annotated[
        str | None,
        typer.Option(metavar="DATA", help=f"Data to whose documents it is fitted: {FORMATS}."),
    ] = None,
    texts: Annotated[
        int, typer.Option(help="How many of the documents to fit to, spread evenly.", min=1)
    ] = 20_000,
    words: Annotated[
        int,
        typer.Option(help="How many frequent words of the texts get a vector of their own.", min=0),
    ] = 0,
    counted: Annotated[
        bool,
        typer.Option(
            "--counted", help="Weight tokens by how often the texts have them, not by their rank."
        ),
    ] = False,
    guard: Guards = None,
    allow: AllowErrors = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Make a static model: a vector for each token, so that a text's vector is a mean and takes
    microseconds.

    With data, the vectors are fitted to what the model makes of its documents. No query is learned
    from, nor a document that a test or dev query is judged with; the verdict says what the fit
    gained on the test queries, where there are any. `nearfield tune` then tunes the result like any
    other model.

    Examples:

        nearfield distil minilm --to runs/minilm-static
        nearfield distil minilm --to runs/minilm-static --on my-data --words 5000
    """
    from nearfield.store.fields import read_json
    from nearfield.train.runs.static import FACTS, DistilRecipe
    from nearfield.train.runs.static import distil as run
    from nearfield.train.setting import Setting

    verdict = run(
        model,
        on,
        to=to,
        recipe=DistilRecipe(dim, texts, words, counted),
        guards=guards_of(guard),
        allow=allow or (),
        setting=Setting(progress_bar, device=device),
    )
    facts = read_json(to / FACTS)
    said = f"{facts['tokens']:,} tokens of {dim} dimensions"
    if facts["words"]:
        said += f", {facts['words']:,} of them whole words of the texts"
    if facts["texts"]:
        said += (
            f"; fitted to {facts['texts']:,} texts\ncosine with {model} on held-out ones: "
            f"{facts['before']:.3f} before the fit and {facts['after']:.3f} after it"
        )
    show_trained(to, verdict, facts=facts, said=said, json=json)
