"""The heads that lie beside a dense model in BGE-M3's layout: `colbert_linear.pt` and
`sparse_linear.pt`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nearfield.batch.special_ids import special_ids
from nearfield.formats.model_folder import TOKEN_HEADS, ModelFolder
from nearfield.formats.token_heads import read_token_head
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.projection import Projection
from nearfield.models.heads.three import ThreeHeads
from nearfield.models.heads.token_vectors import TokenVectors
from nearfield.models.heads.token_weights import TokenWeights
from nearfield.types.contract import FUSION


def open_three_heads(folder: ModelFolder, *, hidden: int, vocabulary: int) -> ThreeHeads:
    """The dense head with the two that lie beside it, for a backbone of that many dimensions and
    terms.

    Terms are the backbone's token ids; those of special tokens weigh nothing. Raises ModelError
    where a file is damaged or its layer does not fit the backbone.
    """
    contract, dense = (
        folder.contract,
        DenseHead(folder.contract, [Projection.open(part) for part in folder.projections]),
    )
    vectors = _linear(folder.path / TOKEN_HEADS["multi-vector"], hidden)
    weights = _linear(folder.path / TOKEN_HEADS["sparse"], hidden, outputs=1)
    return ThreeHeads(
        dense,
        TokenWeights(weights, vocabulary=vocabulary, left_out=special_ids(folder.transformer)),
        TokenVectors(vectors, normalise=contract.normalise),
        weights=contract.fusion or FUSION,
    )


def save_token_heads(head: ThreeHeads, folder: Path) -> None:
    """Write the two heads' layers as FlagEmbedding reads them."""
    for kind, linear in (
        ("multi-vector", head.multi_vector.linear),
        ("sparse", head.sparse.linear),
    ):
        save_linear(folder / TOKEN_HEADS[kind], linear)


def save_linear(file: Path, linear: nn.Linear) -> None:
    """Write a layer's weights to `file`, as torch saves them."""
    torch.save(
        {name: weight.detach().cpu().clone() for name, weight in linear.state_dict().items()}, file
    )


def _linear(file: Path, hidden: int, *, outputs: int | None = None) -> nn.Linear:
    """The layer in `file`, from states of `hidden` dimensions. Raises ModelError as
    `read_token_head` does.
    """
    weight, bias = read_token_head(file, hidden, outputs=outputs)
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.load_state_dict(
        {"weight": torch.from_numpy(weight)}
        | ({} if bias is None else {"bias": torch.from_numpy(bias)})
    )
    return linear
