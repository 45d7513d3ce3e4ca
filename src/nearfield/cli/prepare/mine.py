"""`nearfield mine`: hard negatives of your pairs, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.opened import model_names, open_model

Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        help="Where candidates come from: bm25, model or random; may be repeated. The first two.",
    ),
]
Margin = Annotated[
    float,
    typer.Option(
        help="The share of the positive's score above which a candidate is left out.", min=0, max=1
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="A cross-encoder or a stronger model whose scores the margins are of.",
        autocompletion=model_names,
    ),
]


def mine(
    source: Annotated[str, typer.Argument(help=f"{FORMATS}.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="The JSON lines file to write.")],
    model: Annotated[
        str,
        typer.Option(
            help="A model of the catalog or a model folder, which finds candidates and says how "
            "near they are.",
            autocompletion=model_names,
        ),
    ] = "minilm",
    sources: Sources = None,
    per_query: Annotated[int, typer.Option(help="Negatives of each pair.", min=1)] = 5,
    depth: Annotated[int, typer.Option(help="The last rank that is looked at.", min=1)] = 50,
    skip: Annotated[int, typer.Option(help="First ranks that are passed over.", min=0)] = 0,
    margin: Margin = 0.95,
    gap: Annotated[
        float,
        typer.Option(help="How far below the positive's score a candidate must be.", min=0),
    ] = 0.0,
    judge: Judge = None,
    json: Json = False,
) -> None:
    """Find hard negatives for the pairs that may be trained on: documents that look relevant and
    are not.

    The file has columns query, positive, negative_1 and on: `nearfield tune --pairs` learns from
    it, and sentence-transformers. A candidate is left out when it is judged relevant, nearly equal
    to a positive, too near by --margin or --gap, or when dev or test judges it.

    Examples:

        nearfield mine my-data --to negatives.jsonl
        nearfield mine my-data --from model --skip 10 --depth 100 --judge ./cross-encoder --to
            negatives.jsonl
    """
    from nearfield.data.open import open_collection
    from nearfield.errors import InputError
    from nearfield.store.atomic import check_new
    from nearfield.train.data.mined import mine_to
    from nearfield.train.data.teacher import open_teacher
    from nearfield.train.recipe import Negatives

    if skip >= depth:
        raise InputError(f"--skip {skip} leaves no rank up to --depth {depth}; look deeper")
    check_new(to)
    negatives = Negatives(
        per_query=per_query,
        sources=tuple(dict.fromkeys(sources or ("bm25", "model"))),
        depth=depth,
        skip=skip,
        margin=margin,
    )
    collection = open_collection(source)
    scorer = None if judge is None else open_teacher(judge)
    encoder = open_model(model)
    with progress_bar(f"encoding with {model}") as progress:
        made = mine_to(to, encoder, collection, negatives, gap=gap, judge=scorer, progress=progress)
    if json:
        emit_json(made)
        return
    for note in made.notes:
        out.say(note)
    out.say(f"{made.path}: {made.rows:,} pairs with {per_query} negatives each")
    if made.left_out:
        out.say(f"{made.left_out:,} pairs with fewer were left out")
