"""The layers of `colbert_linear.pt` and `sparse_linear.pt`, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import ModelError
from nearfield.formats.torch_file import read_torch_file
from nearfield.types.contract import Contract

Array = npt.NDArray[np.float32]
TOKEN_HEADS = {"multi-vector": "colbert_linear.pt", "sparse": "sparse_linear.pt"}
"""The files beside a dense model that make three heads of it, named as BGE-M3's: a linear layer
each, as torch saves its weights.
"""


def read_token_head(
    file: Path, hidden: int, *, outputs: int | None = None
) -> tuple[Array, Array | None]:
    """Weight (out, hidden) and bias (out,) of the layer in `file`; no bias where it has none.

    Raises ModelError where the file is damaged or its layer does not take states of `hidden`
    dimensions, or gives another number of `outputs` than is asked for.
    """
    weights = read_torch_file(file)
    weight, bias = weights.get("weight"), weights.get("bias")
    if (
        set(weights) - {"weight", "bias"}
        or weight is None
        or weight.ndim != 2
        or (bias is not None and bias.shape != weight.shape[:1])
    ):
        shapes = {name: value.shape for name, value in weights.items()}
        raise ModelError(
            f"{file}: is no linear layer: it holds {shapes}; wanted a weight of two "
            "dimensions and a bias of one"
        )
    if weight.shape[1] != hidden:
        raise ModelError(
            f"{file}: takes states of {weight.shape[1]} dimensions; the backbone's have {hidden}"
        )
    if outputs is not None and len(weight) != outputs:
        raise ModelError(
            f"{file}: gives {len(weight)} numbers a token; wanted {outputs}, its weight"
        )
    if not np.isfinite(weight).all() or (bias is not None and not np.isfinite(bias).all()):
        raise ModelError(
            f"{file}: holds NaN or infinite values; the file is damaged or its training failed"
        )
    return weight, bias


def has_token_heads(path: Path, stated: Mapping[str, Any]) -> bool:
    """Whether a dense model has the two other heads beside it; nearfield.json may ask for the dense
    one of them alone.
    """
    found = [file for file in TOKEN_HEADS.values() if (path / file).exists()]
    if len(found) == 1:
        raise ModelError(
            f"{path}: holds {found[0]} and not the other of "
            f"{' and '.join(TOKEN_HEADS.values())}; wanted both or neither"
        )
    return bool(found) and stated.get("kind") != Contract.kind
