"""What a folder is that was named in place of a model's, told by its files."""

from __future__ import annotations

import os
from pathlib import Path

from nearfield.errors import ModelError
from nearfield.formats.reranker_folder import is_reranker
from nearfield.formats.towers.find import image_layout

LEXICAL = "lexical.json"
LEXICAL_FORMAT = 1
CENTRED = "centred.safetensors"
# Each by the file that tells it.
_OTHERS = {
    "vectors.json": "holds vectors by `nearfield encode` and no model; name the model that made "
    "them, and this folder with --vectors",
    LEXICAL: "is a bag of words, without the tokens and the weights that are needed here; "
    "name another model",
    "adapter.json": "is an adapter of query vectors, without the weights that are needed here; "
    "name the model that it belongs to",
    CENTRED: "takes the gap out of a model of images and texts, without the weights that are "
    "needed here; name the model that it was made for",
    "bridge.json": "is a bridge from one model's vectors to another's; name one of the two models",
}


def refuse_other_folder(path: Path) -> None:
    """Raise ModelError, saying what the folder at `path` is, where it is known and holds no
    encoder.
    """
    for file, what in _OTHERS.items():
        if (path / file).is_file():
            raise ModelError(f"{path}: {what}")
    # a model folder may hold the recipe that it was trained by
    if (path / "recipe.json").is_file() and not (path / "config.json").exists():
        trained = path / "model"
        where = "it is not finished and has no model yet; give the same command again"
        if trained.is_dir():
            where = f"its model is {trained}"
        raise ModelError(f"{path}: is the folder of a run; {where}")
    if image_layout(path) is not None:
        raise ModelError(
            f"{path}: is a model of images, which encodes, searches and is evaluated; "
            "here a model of texts alone is wanted"
        )
    if is_reranker(path):
        raise ModelError(
            f"{path}: is a cross-encoder, which makes no embeddings; have it order "
            "results with --rerank"
        )


def is_centred(path: str | Path) -> bool:
    """Whether the folder at `path` holds the means of a model's texts and images."""
    return os.path.isfile(os.path.join(path, CENTRED))


def is_lexical(path: str | Path) -> bool:
    """Whether the folder at `path` holds a bag of words."""
    return os.path.isfile(os.path.join(path, LEXICAL))
