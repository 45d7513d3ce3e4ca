"""`nearfield models join`: a model of texts and one of images as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import Json, emit_json, out
from nearfield.cli.opened import Model, To


def join(
    model: Model,
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="The folder of an encoder of images: ViT, DeiT, DINOv2, ConvNeXt, ResNet or Swin "
            "as transformers writes them, EfficientNet-Lite or nomic-embed-vision.",
        ),
    ],
    to: To,
    aligned: Annotated[
        bool,
        typer.Option("--aligned", help="The encoder of images was trained into the texts' space."),
    ] = False,
    json: Json = False,
) -> None:
    """Join a dense model of texts and an encoder of images into one model of both.

    Texts keep their vectors. An image's are projected into the same space, at random until
    `nearfield tune` trains the projection; with --aligned they are in it, and stay as they are.

    Examples:

        nearfield models join minilm models/dinov2-small --to models/pictures
        nearfield models join nomic-embed-text-v1.5 nomic-embed-vision-v1.5 --aligned --to nomic
    """
    from nearfield.models.surgery.join import join as joined

    contract = joined(model, images, to=to, aligned=aligned)
    if json:
        emit_json({"folder": to, "name": contract.name, "dim": contract.dim})
        return
    out.say(f"{to}: {contract.name}, images and texts, {contract.dim:,} dimensions")
