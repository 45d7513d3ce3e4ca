"""A model of images and text, made of a model of texts and one of images."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from nearfield.data.trained_on import keep_trained_on
from nearfield.errors import ModelError
from nearfield.formats.images.image_folder import read_image_model
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.towers.joined import FILE, FORMAT, IMAGES, LAYOUT, PROJECTION, TEXT
from nearfield.models.find import image_model_path, model_path
from nearfield.models.heads.layer import Layer
from nearfield.similarity import EMBEDDINGS
from nearfield.store.atomic import check_replaceable, staged_folder, write_json
from nearfield.store.regular import copy_regular
from nearfield.types.contract import Contract

_HIDDEN = shutil.ignore_patterns(".*")


def join(
    text: str | Path, image: str | Path, *, to: str | Path, seed: int = 0, aligned: bool = False
) -> Contract:
    """Write the dense model `text` and the image encoder `image` as one model to the folder `to`,
    and return its contract.

    Texts keep their vectors. Images get theirs by a projection of random directions, which is to
    be trained: `nearfield tune`. Where the image encoder was trained into the texts' space, it is
    `aligned`, and images keep their vectors, too. Whole or not at all. Raises ModelError for a
    model of another kind or dim, InputError where something else is at `to`, StorageError when
    writing fails.
    """
    source = read_model_folder(model_path(text))
    seen = read_image_model(image_model_path(image))
    source.refuse_adapters("an image has no role among theirs")
    kept = source.contract
    if not EMBEDDINGS[kept.kind].one_vector or not kept.normalise or kept.similarity != "cosine":
        raise ModelError(
            f"{source.path}: an image is compared with a text by the cosine of one vector each; "
            f"this model's are {kept.kind}, compared by {kept.similarity}"
        )
    check_replaceable(to, marker=FILE, what="a model of images and text")
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(kept.dim, seen.width, generator=draw) / seen.width**0.5
    if aligned:
        if kept.dim != seen.width:
            raise ModelError(
                f"{seen.path}: an image has {seen.width} numbers and a text {kept.dim}, so that "
                "they are not aligned"
            )
        weight = torch.eye(kept.dim)
    layer = Layer.of(weight.numpy(), torch.zeros(kept.dim).numpy())
    with staged_folder(to) as stage:
        shutil.copytree(source.path, stage / TEXT, ignore=_HIDDEN, copy_function=copy_regular)
        shutil.copytree(seen.path, stage / IMAGES, ignore=_HIDDEN, copy_function=copy_regular)
        layer.save(stage / PROJECTION)
        keep_trained_on([source.path], stage)
        write_json(stage / FILE, {"format": FORMAT})
    contract: Contract = LAYOUT.read(Path(to)).contract
    return contract
