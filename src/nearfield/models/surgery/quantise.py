"""A model whose weights take less room on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from nearfield.errors import ModelError, nearest
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.written import Made, check_target, write_made
from nearfield.store.tensors import write_tensors

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "int8": torch.int8}


def quantise(model: str | Path, *, to: str | Path, dtype: str) -> Made:
    """Write `model` with its weights stored as `dtype`; whatever opens the folder computes in
    float32, as before.

    float16 and bfloat16 are rounded to nearest. int8 is for static models: each token's vector is
    rounded to 255 steps with a scale of its own, which model2vec and sentence-transformers read
    too. A transformer runs in int8 by a runtime that converts it, `MODEL@openvino,int8`. Raises
    ModelError for a dtype that the model cannot have, and where a weight is too large for it.
    """
    if dtype not in DTYPES:
        raise ModelError(
            f"weights are not stored as {dtype!r}; wanted one of "
            f"{', '.join(DTYPES)}.{nearest(dtype, DTYPES)}"
        )
    check_target(to)
    opened = TextModel.open(model_path(model))
    name = opened.contract.name
    static = opened.folder.static
    if dtype == "int8" and not static:
        raise ModelError(
            f"{name}: only static models are stored as int8; this one runs in int8 "
            f"as `{model}@openvino,int8`"
        )
    if dtype == "bfloat16" and static:
        raise ModelError(
            f"{name}: a static model is stored as float16 or int8; model2vec reads no bfloat16"
        )
    if dtype == "int8" and not opened.folder.drops_unknown:
        raise ModelError(
            f"{name}: sentence-transformers' own form of a static model has no place "
            "for a scale per token; use float16"
        )
    about = {"how": "quantise", "models": [name], "dtype": dtype}
    return write_made(
        opened,
        to,
        name=f"{name}-{dtype}",
        about=about,
        amend=lambda folder: _round_files(folder, dtype),
    )


def _round_files(folder: Path, dtype: str) -> None:
    """Every safetensors file in a folder and its folders, rounded; the config goes on to say
    float32, which is what is computed in.
    """
    for file in sorted(folder.rglob("*.safetensors")):
        tensors = load_file(file)
        if dtype == "int8":  # of a static model, which has this file alone
            write_tensors(file, _in_steps(tensors["embeddings"]))
            continue
        for name, weight in tensors.items():
            if weight.is_floating_point():
                tensors[name] = weight.to(DTYPES[dtype])
                if not torch.isfinite(tensors[name]).all():
                    raise ModelError(
                        f"weight {name} has values beyond what {dtype} holds; use bfloat16"
                    )
        write_tensors(file, tensors)


def _in_steps(table: torch.Tensor) -> dict[str, torch.Tensor]:
    """`embeddings` int8 and `weights`, what each row is multiplied by, as model2vec names them."""
    # (tokens,) a step for each row: -127 to 127, the same on both sides of 0
    scale = table.abs().amax(1) / 127
    divisor = torch.where(scale > 0, scale, 1)  # a row of zeros stays one
    steps = torch.round(table / divisor[:, None]).to(torch.int8)
    return {"embeddings": steps, "weights": scale}
