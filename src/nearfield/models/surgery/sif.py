"""Static models whose mean counts rare tokens more than frequent ones, by how often given texts use
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nearfield.batch.tokens import Tokeniser
from nearfield.errors import InputError, ModelError
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.written import Made, check_target, write_made
from nearfield.models.surgery.frequency import CHUNK, inverse_frequency, token_counts
from nearfield.models.tokeniser import tokeniser_of
from nearfield.types.arrays import Floats
from nearfield.types.progress import Progress, silent

A = 1e-3  # Arora et al. take 1e-3 to 1e-4 and find little difference (their section 4.1.1)


def sif(
    model: str | Path,
    *,
    to: str | Path,
    texts: Sequence[str],
    a: float = A,
    components: int = 0,
    progress: Progress = silent,
) -> Made:
    """Write the static `model` with each token's vector times a / (a + p), p the token's share of
    all tokens of `texts`.

    "Smooth inverse frequency" (Arora et al. 2017, "A simple but tough-to-beat baseline for sentence
    embeddings", algorithm 1). `components` of the texts' vectors that are common to all, by their
    greatest singular values (1 in the paper), are taken out of every vector. As both are linear in
    the tokens' vectors they are done once, in the table: no reader of the folder needs to know of
    them. Raises InputError without texts or for an impossible number, ModelError for a model that
    is not static.
    """
    if not len(texts) or a <= 0 or components < 0:
        raise InputError(
            f"got {len(texts)} texts, a = {a:g} and {components} components; wanted "
            "texts, a above 0, 0 components or more"
        )
    check_target(to)
    opened = TextModel.open(model_path(model))
    name = opened.contract.name
    if not opened.folder.static:
        raise ModelError(
            f"{name}: is not a static model: its tokens' vectors depend on each other, "
            "and cannot be weighted one by one"
        )
    if components >= opened.contract.dim:
        raise InputError(
            f"{components} components are to be taken out of {opened.contract.dim} "
            "dimensions; wanted fewer"
        )
    tokeniser = tokeniser_of(opened.folder)
    table: Floats = opened.backbone.embeddings.detach().numpy()
    counts = token_counts(tokeniser, texts, len(table), progress=progress)
    weighted = inverse_frequency(counts, a)[:, None] * table
    if components:
        common = common_components(tokeniser, texts, weighted, components)  # (dim, components)
        weighted = weighted - (weighted @ common) @ common.T
    with torch.no_grad():
        opened.backbone.embeddings.copy_(torch.from_numpy(weighted))
    about = {"how": "sif", "models": [name], "texts": len(texts), "a": a, "components": components}
    return write_made(opened, to, name=f"{name}-sif", about=about)


def common_components(
    tokeniser: Tokeniser, texts: Sequence[str], table: Floats, count: int
) -> Floats:
    """(dim, count) the directions of unit length along which the texts' mean vectors have the
    greatest squares, not centred.
    """
    squares = np.zeros((table.shape[1], table.shape[1]))
    for start in range(0, len(texts), CHUNK):
        read = tokeniser.tokenise(texts[start : start + CHUNK])
        known = read.lengths > 0  # reduceat has no sum of nothing
        if known.any():
            sums = np.add.reduceat(table[read.ids], read.offsets[:-1][known], axis=0)
            means = (sums / read.lengths[known][:, None]).astype(np.float64)
            squares += means.T @ means
    _, rising = np.linalg.eigh(squares)
    return rising[:, ::-1][:, :count].astype(np.float32)
