"""The heads that lie beside a dense model in BGE-M3's layout: `colbert_linear.pt` and `sparse_linear.pt`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nearfield.errors import ModelError
from nearfield.heads.dense import DenseHead
from nearfield.heads.projection import Projection
from nearfield.heads.three import ThreeHeads
from nearfield.heads.token_vectors import TokenVectors
from nearfield.heads.token_weights import TokenWeights
from nearfield.store.model_folder import TOKEN_HEADS, ModelFolder
from nearfield.types.contract import FUSION

_UNWEIGHED = ("cls_token", "sep_token", "eos_token", "pad_token", "unk_token")


def open_three_heads(folder: ModelFolder, *, hidden: int, vocabulary: int) -> ThreeHeads:
    """The dense head with the two that lie beside it, for a backbone of that many dimensions and terms.

    Terms are the backbone's token ids; those of special tokens weigh nothing. Raises ModelError where a file is damaged or its layer
    does not fit the backbone.
    """
    contract, dense = folder.contract, DenseHead(folder.contract, [Projection.open(part) for part in folder.projections])
    vectors, weights = (_linear(folder.path / TOKEN_HEADS[kind], hidden) for kind in ("multi-vector", "sparse"))
    if weights.out_features != 1:
        raise ModelError(f"{folder.path / TOKEN_HEADS['sparse']}: gives {weights.out_features} numbers a token; wanted 1, its weight")
    return ThreeHeads(
        dense,
        TokenWeights(weights, vocabulary=vocabulary, left_out=special_ids(folder.transformer)),
        TokenVectors(vectors, normalise=contract.normalise),
        fusion=contract.fusion or FUSION,
    )


def save_token_heads(head: ThreeHeads, folder: Path) -> None:
    """Write the two heads' layers as FlagEmbedding reads them."""
    for kind, linear in (("multi-vector", head.multi_vector.linear), ("sparse", head.sparse.linear)):
        save_linear(folder / TOKEN_HEADS[kind], linear)


def save_linear(file: Path, linear: nn.Linear) -> None:
    """Write a layer's weights to `file`, as torch saves them."""
    torch.save({name: weight.detach().cpu().clone() for name, weight in linear.state_dict().items()}, file)


def special_ids(transformer: Path) -> tuple[int, ...]:
    """The ids of the tokens that stand for no text, ascending: at a text's start and end, in padded places and for what is unknown.

    FlagEmbedding leaves out these but for the one between texts, which ends a text where there is none of its own for that (BERT).
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(transformer, local_files_only=True)
    ids = (getattr(tokenizer, f"{name}_id") for name in _UNWEIGHED)
    return tuple(sorted({int(id_) for id_ in ids if id_ is not None}))


def _linear(file: Path, hidden: int) -> nn.Linear:
    """The layer in `file`, from states of `hidden` dimensions."""
    try:
        weights: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
        weight = weights["weight"]
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in weights)
        linear.load_state_dict({name: value.float() for name, value in weights.items()})
    except Exception as error:  # torch, pickle and zip each raise their own for a damaged file
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{file}: is no linear layer saved by torch: {line}") from error
    if linear.in_features != hidden:
        raise ModelError(f"{file}: takes states of {linear.in_features} dimensions; the backbone's have {hidden}")
    if not all(torch.isfinite(weight).all() for weight in linear.parameters()):
        raise ModelError(f"{file}: holds NaN or infinite values; the file is damaged or its training failed")
    return linear
