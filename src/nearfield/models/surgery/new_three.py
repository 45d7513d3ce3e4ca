"""A sparse and a multi-vector head beside a dense model's own, in BGE-M3's layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.batch.special_ids import special_ids
from nearfield.batch.tokens import Tokeniser
from nearfield.errors import InputError
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.three import ThreeHeads
from nearfield.models.heads.three_start import even_weights, principal_directions
from nearfield.models.heads.token_vectors import TokenVectors
from nearfield.models.heads.token_weights import TokenWeights
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.new_head import HeadOptions
from nearfield.models.surgery.new_splade import usable_terms
from nearfield.types.contract import FUSION
from nearfield.types.progress import Progress

DIM = 128  # of a token's vector: ColBERT's
# looked at to begin with, in texts of so many, of which so many are run at once
_TOKENS, _COMPANY, _TOGETHER = 8192, 16, 64


def write_three(
    source: ModelFolder, stage: Path, name: str, options: HeadOptions, progress: Progress
) -> None:
    """Write the model of `source` into `stage` with the two other heads beside its own, which stays
    as it is.

    They begin as `models/heads/three_start.py` says, from the states of the vocabulary's tokens in
    texts of tokens drawn at random. Raises InputError for token vectors of more dimensions than the
    states have.
    """
    options.refuse("three", "inference_free", "max_terms")
    model = TextModel(source)
    dense, config = model.head, model.backbone.config
    assert isinstance(dense, DenseHead)
    hidden, vocabulary = int(config.hidden_size), int(config.vocab_size)
    dim = min(DIM, hidden) if options.dim is None else options.dim
    if not 0 < dim <= hidden:
        raise InputError(
            f"a token's vector of {dim} dimensions was asked for; wanted 1 to "
            f"{hidden}, those of the backbone's states"
        )
    states = states_in_company(model, vocabulary, progress)
    weights = TokenWeights(
        even_weights(hidden), vocabulary=vocabulary, left_out=special_ids(source.transformer)
    )
    vectors = TokenVectors(principal_directions(states, dim), normalise=model.contract.normalise)
    model.head = ThreeHeads(dense, weights, vectors, weights=FUSION)
    model.contract = replace(model.contract, kind="several")
    save_encoder(model, stage, name=name)


def states_in_company(model: TextModel, vocabulary: int, progress: Progress) -> Tensor:
    """The states (n, hidden) of some thousand of the vocabulary's tokens, each among others."""
    folder = model.folder
    tokeniser = Tokeniser.open(
        folder.transformer, max_tokens=model.contract.max_tokens, lower_case=folder.lower_case
    )
    (terms,) = np.nonzero(usable_terms(tokeniser, vocabulary))
    own = terms[
        np.unique(np.linspace(0, len(terms) - 1, min(_TOKENS, len(terms))).astype(np.int64))
    ]
    own = np.random.default_rng(0).permutation(own)
    before, after = tokeniser.around()
    states = []
    with torch.inference_mode():
        for batch, token in _texts_of(own, before, after, most=model.contract.max_tokens):
            states.append(model.states(batch)[torch.from_numpy(token)])
            progress(sum(map(len, states)), len(own))
    return torch.cat(states)


def _texts_of(
    own: npt.NDArray[np.int64], before: list[int], after: list[int], *, most: int
) -> Iterator[tuple[Packed, npt.NDArray[np.int64]]]:
    """Batches of texts of 16 of the tokens each, with what is put around a text, and where in a
    batch these tokens are.

    No text has more than `most` tokens, what is put around it included.
    """
    length = max(1, min(_COMPANY, len(own), most - len(before) - len(after)))
    rows = own[: len(own) // length * length].reshape(-1, length)
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        around = [np.tile(tokens, (len(part), 1)).astype(np.int64) for tokens in (before, after)]
        ids = np.concatenate([around[0], part, around[1]], axis=1).astype(np.int32)
        places = np.arange(ids.size).reshape(ids.shape)[:, len(before) : len(before) + length]
        yield (
            Packed(ids.ravel(), np.arange(len(part) + 1) * ids.shape[1], np.arange(len(part))),
            places.ravel(),
        )
