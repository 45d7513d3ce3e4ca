"""`nearfield models centre`: a model of images and texts without the gap between them."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.opened import Model, To


def centre(
    model: Model,
    on: Annotated[
        str, typer.Argument(metavar="DATA", help=f"Texts and images in one collection: {FORMATS}.")
    ],
    to: To,
    json: Json = False,
) -> None:
    """Take the gap between texts and images out of a model's documents, so that a query finds both.

    A query of texts is closer to most texts than to most images. The mean of the texts of DATA is
    taken from each text, and that of its images from each image; lengths make the similarities to
    both vary alike. Later documents are treated the same. The folder holds these figures alone and
    opens the model with them.

    Examples:

        nearfield models centre models/pictures my-mixed-data --to models/centred
        nearfield evaluate models/pictures models/centred --on my-mixed-data
    """
    from nearfield.data.open import open_collection
    from nearfield.encoders.image.centred import Centred
    from nearfield.encoders.load import load
    from nearfield.encoders.spec import ModelSpec

    source = ModelSpec.parse(model).lasting
    texts = open_collection(on).document_texts
    with progress_bar(f"encoding with {model}") as progress:
        found = Centred.fitted(load(model), texts, progress=progress)
    found.save(to, source)
    if json:
        emit_json({"folder": to, "documents": len(texts), "gap": found.gap})
        return
    out.say(
        f"{to}: a gap of {found.gap:.3f} between the texts and images of {len(texts):,} documents"
    )
