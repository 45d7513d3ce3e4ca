"""`nearfield distil`: a static model that takes after a large one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.opened import To

if TYPE_CHECKING:
    from nearfield.data.texts import Texts


def distil(
    model: Annotated[
        str, typer.Argument(help="The model to take after: of the catalog, or a model folder.")
    ],
    to: To,
    dim: Annotated[int, typer.Option(help="Dimensions of the static model.")] = 256,
    on: Annotated[
        str | None,
        typer.Option(metavar="DATA", help=f"Texts to fit to, without judgements: {FORMATS}."),
    ] = None,
    texts: Annotated[
        int, typer.Option(help="How many of the documents to fit to, spread evenly.")
    ] = 20_000,
    words: Annotated[
        int, typer.Option(help="How many frequent words of the texts get a vector of their own.")
    ] = 0,
    counted: Annotated[
        bool,
        typer.Option(
            "--counted", help="Weight tokens by how often the texts have them, not by their rank."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make a static model: a vector for each token, so that a text's vector is a mean and takes
    microseconds.

    With data, the vectors are fitted to what the model makes of its documents; no query and no
    judgement is looked at. `nearfield tune` then tunes the result like any other model.

    Examples:

        nearfield distil minilm --to models/minilm-static
        nearfield distil minilm --to models/minilm-static --on my-data --words 5000
    """
    from nearfield.train.runs.static import distil as distilled

    chosen = () if on is None else _spread(on, texts)
    with progress_bar(f"distilling {model}") as progress:
        made = distilled(
            model, to=to, dim=dim, texts=chosen, words=words, counted=counted, progress=progress
        )
    if json:
        emit_json(made)
        return
    extra = f", {made.words:,} of them whole words of the texts" if made.words else ""
    out.say(f"{made.folder}: {made.tokens:,} tokens of {made.dim} dimensions{extra}")
    if made.texts:
        gain = f"{made.before:.3f} before the fit and {made.after:.3f} after it"
        out.say(f"cosine with {model} on held-out texts: {gain} ({made.texts:,} texts)")


def _spread(source: str, count: int) -> Texts:
    import numpy as np

    from nearfield.data.open import open_collection

    documents = open_collection(source).document_texts
    return documents[
        np.unique(np.linspace(0, len(documents) - 1, min(count, len(documents))).astype(np.int64))
    ]
