"""A dense model whose vectors may be cut: turned, so that their first dimensions hold the most."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from nearfield.errors import InputError, ModelError
from nearfield.formats.modules import add_dense
from nearfield.models.find import model_path
from nearfield.models.heads.layer import Layer
from nearfield.models.model import TextModel
from nearfield.models.saving.written import Made, check_target, write_made
from nearfield.similarity import EMBEDDINGS
from nearfield.types.arrays import Floats

_ROWS = 65_536  # vectors that are squared at a time


def rotate(model: str | Path, *, to: str | Path, vectors: Floats) -> Made:
    """Write the dense `model` with its vectors turned to the principal directions of `vectors: (n,
    dim)`, what it makes of texts like those that it is used on.

    A rotation changes no similarity of whole vectors, and of all rotations this one keeps most of
    these vectors in any number of first dimensions (Eckart and Young 1936). It lies in the last
    linear layer, in a static model's table, or in a Dense module of its own, so that
    sentence-transformers opens the folder with the same vectors. Raises InputError for vectors of
    another dim or none, ModelError for a model that is not dense or whose vectors are cut after a
    layer norm.
    """
    check_target(to)
    opened = TextModel.open(model_path(model))
    kept = opened.contract
    if not EMBEDDINGS[kept.kind].one_vector or kept.layer_norm:
        what = "are cut after a layer norm" if kept.layer_norm else f"are {kept.kind}"
        raise ModelError(f"{kept.name}: its vectors {what}; only plain dense ones can be turned")
    if not len(vectors) or vectors.shape[1] != kept.dim:
        raise InputError(
            f"vectors of shape {vectors.shape} were given; wanted some of the {kept.dim} "
            f"dimensions of {kept.name}"
        )
    directions = torch.from_numpy(principal_directions(vectors))
    layers = list(opened.head.layers.values())
    amend = None
    with torch.no_grad():
        if layers and layers[-1].linear:
            for weight in layers[-1].weights.values():  # (dim, in), and (dim,) of a bias
                # R (W x + b) = (R W) x + R b
                weight.copy_(directions @ weight)
        elif opened.folder.static:
            table = opened.backbone.embeddings
            # a mean of turned vectors is the turned mean
            table.copy_(table @ directions.T)
        else:
            amend = partial(_add, Layer.of(directions.numpy(), None))
    about = {"how": "rotate", "models": [kept.name], "vectors": len(vectors)}
    return write_made(opened, to, name=kept.name, about=about, amend=amend)


def principal_directions(vectors: Floats) -> Floats:
    """(dim, dim) orthogonal, float32: each row a direction, the one with the greatest sum of
    squares of `vectors: (n, dim)` first. Not centred: what is compared is dot products.
    """
    squares = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS].astype(np.float64)
        squares += block.T @ block
    _, rising = np.linalg.eigh(squares)  # by their eigenvalues
    return np.ascontiguousarray(rising[:, ::-1].T, np.float32)


def _add(layer: Layer, stage: Path) -> None:
    layer.save(add_dense(stage))
