"""The table of a static model: a vector for each token, from what a model makes of the token alone,
and how a text's vector comes from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from nearfield.batch.tokens import Tokeniser, unknown_id
from nearfield.encoders.encoder import Encoder
from nearfield.formats.static_folder import UNLIMITED
from nearfield.models.surgery.frequency import inverse_frequency, token_counts
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Floats, Mask
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role

SIF = 1e-4  # a of a / (a + p(token)): model2vec's sif_coefficient


class TableEncoder(Encoder[Dense]):
    """A static model that no file holds: the mean of the vectors of a text's tokens in `table:
    (tokens, dim)`, of unit length.
    """

    def __init__(self, contract: Contract, tokenizer: Tokenizer, table: Floats) -> None:
        self.contract = contract
        self.tokenizer = tokenizer
        self.table = table

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Dense:
        vectors = unit(token_means(self.tokenizer, items, len(self.table)) @ self.table)
        return Dense.under(self.contract, vectors.astype(np.float32, copy=False))


def components(vectors: Floats, dim: int) -> Floats:
    """(hidden, dim) the directions of unit length along which `vectors: (n, hidden)` have the
    greatest squares, greatest first.

    Each points to where its greatest coordinate is positive, so that the result depends on the
    vectors alone.
    """
    # not a singular value decomposition of all vectors: (hidden, hidden) is small
    _, directions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    top = directions[:, ::-1][:, :dim]
    signs = np.sign(top[np.abs(top).argmax(0), np.arange(dim)])
    basis: Floats = (top * signs).astype(np.float32)
    return basis


def starting_table(vectors: Floats, real: Mask, basis: Floats, weights: Floats) -> Floats:
    """(tokens, dim) the vectors of the `real` tokens, centred, in `basis`, times their `weights:
    (tokens,)`; others zeros.
    """
    table = np.zeros((len(vectors), basis.shape[1]), np.float32)
    table[real] = (vectors[real] - vectors[real].mean(0)) @ basis * weights[real, None]
    return table


def zipf_weights(real: Mask) -> Floats:
    """(tokens,) a / (a + p) of the `real` tokens, p falling as 1 / rank, their order in the
    vocabulary; others zeros.
    """
    chance = 1 / np.arange(2, int(real.sum()) + 2)  # from 1 / 2 on, as model2vec counts
    weights = np.zeros(len(real), np.float32)
    weights[real] = SIF / (SIF + chance / chance.sum())
    return weights


def counted_weights(tokenizer: Tokenizer, texts: Sequence[str], size: int) -> Floats:
    """(tokens,) a / (a + p), p a token's share of the texts' tokens."""
    return inverse_frequency(token_counts(_reader(tokenizer), texts, size), SIF)


def _reader(tokenizer: Tokenizer) -> Tokeniser:
    return Tokeniser(
        tokenizer, max_tokens=UNLIMITED, specials=False, left_out=unknown_id(tokenizer)
    )


def token_means(tokenizer: Tokenizer, texts: Sequence[str], tokens: int) -> csr_array:
    """(texts, tokens) how much of each text each token is; rows sum to 1, or 0 where nothing is
    known.
    """
    read = _reader(tokenizer).tokenise(texts)
    share = np.repeat(1 / np.maximum(read.lengths, 1).astype(np.float32), read.lengths)
    means = csr_array((share, read.ids, read.offsets), shape=(len(texts), tokens))
    means.sum_duplicates()  # a token that a text has twice counts twice
    return means
