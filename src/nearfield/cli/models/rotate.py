"""`nearfield models rotate`: a dense model with its vectors turned, to be cut."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.opened import Model, To


def rotate(
    model: Model,
    to: To,
    texts: Annotated[
        str,
        typer.Option(metavar="DATA", help=f"Documents like those that are searched: {FORMATS}."),
    ],
    json: Json = False,
) -> None:
    """Turn a dense model's vectors to the principal directions of documents, so that the first
    dimensions keep more when the others are cut off.

    No similarity of whole vectors changes. A Matryoshka recipe with `objective.rotate` does the
    same before it tunes.

    Examples:

        nearfield models rotate minilm --texts my-data --to models/minilm-turned
        nearfield evaluate minilm models/minilm-turned --on my-data --dims 384,128,64
    """
    from nearfield.data.open import open_collection
    from nearfield.encoders.encoded import encoded
    from nearfield.encoders.load import load
    from nearfield.models.find import model_path
    from nearfield.models.saving.written import check_target
    from nearfield.models.surgery.rotate import rotate as rotated
    from nearfield.types.role import DOCUMENT

    # before anything is encoded: a model behind an API has no folder, and is paid
    model_path(model)
    check_target(to)
    documents = open_collection(texts).document_texts
    with progress_bar(f"encoding {len(documents):,} documents") as progress:
        made = encoded(load(model), documents, DOCUMENT, progress=progress)
    written = rotated(model, to=to, vectors=made.as_dense("a rotation").floats())
    if json:
        emit_json({"folder": written.folder, "name": written.name, "vectors": len(made)})
        return
    out.say(f"model {written.folder}: turned to the directions of {len(made):,} documents")
