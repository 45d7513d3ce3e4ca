"""`nearfield models head`: another head on a dense model's backbone, to train it from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import emit_json, out, progress_bar


def head(
    model: Annotated[str, typer.Argument(help="The dense model whose backbone it is put on: of the catalog, or a model folder.")],
    head: Annotated[
        str,
        typer.Argument(
            help="late-interaction: a vector a token; splade: a weight for each term of the vocabulary; three: a weight and a vector a "
            "token, beside its own head."
        ),
    ],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="The model folder to write.")],
    dim: Annotated[int | None, typer.Option(min=1, help="Dimensions of a token's vector; 128 by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Put a new head on a dense model's backbone. `nearfield tune` then trains the result like any other model.

    Examples:

        nearfield models head minilm splade --to models/minilm-splade
        nearfield models head minilm three --to models/minilm-three
        nearfield models head models/e5-small late-interaction --dim 96 --to models/e5-small-tokens --json
    """
    from nearfield.encoders.new_head import HeadOptions, new_head

    with progress_bar(f"a {head} head for {model}") as progress:
        made = new_head(model, head, to=to, options=HeadOptions(dim=dim), progress=progress)
    contract = made.contract
    if json:
        emit_json({"folder": to, "name": contract.name, "kind": contract.kind, "dim": contract.dim})
        return
    out.print(f"{to}: {contract.name}, {contract.kind}, {contract.dim:,} dimensions", highlight=False, markup=False, soft_wrap=True)
