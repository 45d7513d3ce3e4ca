"""`nearfield models head`: another head on a dense model's backbone, to train it from."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.opened import To
from nearfield.errors import InputError


def head(
    model: Annotated[
        str,
        typer.Argument(
            help="The dense model whose backbone gets the head: of the catalog, or a model folder."
        ),
    ],
    head: Annotated[
        str,
        typer.Argument(
            help="late-interaction: one vector per token; splade: a weight for each term of the "
            "vocabulary; three: a weight and a vector per token, beside the model's own head."
        ),
    ],
    to: To,
    dim: Annotated[
        int | None, typer.Option(min=1, help="Dimensions of a token's vector; 128 by default.")
    ] = None,
    inference_free: Annotated[
        bool,
        typer.Option(
            "--inference-free",
            help="splade: queries are looked up in a table of weights, not run through the model.",
        ),
    ] = False,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Texts among which a term's rarity is what a looked-up "
            f"query begins with: {FORMATS}.",
        ),
    ] = None,
    max_terms: Annotated[
        int | None, typer.Option(min=1, help="splade: how many terms a vector keeps at most.")
    ] = None,
    json: Json = False,
) -> None:
    """Put a new head on a dense model's backbone. `nearfield tune` then trains the result like any
    other model.

    Examples:

        nearfield models head minilm splade --to models/minilm-splade
        nearfield models head minilm three --to models/minilm-three
        nearfield models head models/e5-small late-interaction --dim 96 --to models/e5-small-tokens
            --json
        nearfield models head minilm splade --to models/minilm-doc --inference-free --on my-data
    """
    from nearfield.data.open import open_collection
    from nearfield.models.surgery.new_head import HeadOptions, new_head

    if on is not None and not inference_free:
        raise InputError(
            "--on is what looked-up queries begin with; give --inference-free, too, or leave it out"
        )
    texts = () if on is None else open_collection(on).document_texts
    options = HeadOptions(dim=dim, inference_free=inference_free, texts=texts, max_terms=max_terms)
    with progress_bar(f"a {head} head for {model}") as progress:
        made = new_head(model, head, to=to, options=options, progress=progress)
    contract = made.contract
    if json:
        emit_json({"folder": to, "name": contract.name, "kind": contract.kind, "dim": contract.dim})
        return
    out.say(f"{to}: {contract.name}, {contract.kind}, {contract.dim:,} dimensions")
