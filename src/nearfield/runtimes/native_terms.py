"""A weight for each term of the vocabulary from token states, by this package's kernels (SPLADE
with max pooling).
"""

from __future__ import annotations

import ctypes

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.formats.architectures import ACTIVATIONS, ARCHITECTURES
from nearfield.formats.model_folder import ModelFolder
from nearfield.kernels.layout import MatrixLayout
from nearfield.models.heads.term_embeddings import term_embeddings
from nearfield.runtimes.native_heads import NativeHead
from nearfield.runtimes.packed_model import PackedModel
from nearfield.similarity.sparse import Sparse
from nearfield.store.fields import Fields
from nearfield.types.arrays import Floats, Integers

BLOCK = 256  # terms are taken in multiples of so many
LOGITS = 1 << 19  # at a time, 2 MB: of 2,048 tokens those of 256 terms; none is kept
CELLS = 1 << 24  # weights of texts and terms at a time: 64 MB


class NativeTerms:
    """The masked-language-model head of a packed model, and for each term log(1 + max(0, logit)) at
    its greatest over a text's tokens.

    As `heads.splade.Splade`, whose formulae it has. Raises ModelError where a weight is missing,
    misshapen or not finite.
    """

    def __init__(self, folder: ModelFolder, model: PackedModel, config: Fields) -> None:
        layout = model.layout
        read = model.read
        names = ARCHITECTURES[config["model_type"]].language
        assert names is not None
        self._model = model
        self._contract = folder.contract
        self._twice = folder.activation == "log1p_relu"
        self._epsilon = layout.epsilon
        self._activation = ACTIVATIONS[names.activation or model.names.fact(config, "hidden_act")]
        width = layout.embedded
        terms = folder.contract.dim
        self._transform = read.matrix([names.transform], width, layout.hidden)
        self._norm = read.norm(names.norm, width)
        # a file may leave out what the decoder shares with the word embeddings
        decoder = f"{names.decoder}.weight"
        if decoder not in read:
            decoder = "embeddings.word_embeddings.weight"
        bias = f"{names.decoder}.bias"
        if bias not in read:
            bias = names.bias
        weights = read.floats(decoder, terms, width)
        self._decoder = read.laid_out([weights], [read.floats(bias, terms)])

    def __call__(self, states: Floats, batch: Packed) -> Sparse:
        """The weights of the batch's sequences from their tokens' `states: (T, hidden)`; a sequence
        without tokens has none.
        """
        hidden = self._transformed(states)
        step = max(1, CELLS // self._decoder.rows)
        parts = []
        for first in range(0, max(1, len(batch)), step):
            parts.append(self._weighed(hidden, batch.offsets[first : first + step + 1]))
        return Sparse.join(parts)

    def _weighed(self, hidden: Floats, offsets: Integers) -> Sparse:
        """The weights of the sequences between `offsets`, places of `hidden`."""
        greatest = np.zeros((len(offsets) - 1, self._decoder.rows), np.float32)
        # reduceat has no greatest of nothing: a sequence without tokens keeps its zeros
        filled = np.flatnonzero(np.diff(offsets))
        if len(filled):
            own = hidden[offsets[0] : offsets[-1]]
            starts = offsets[filled] - offsets[0]
            # (tokens, terms of a step) is all that is there of the logits at a time
            step = max(1, LOGITS // len(own) // BLOCK) * BLOCK
            for first in range(0, self._decoder.rows, step):
                last = min(first + step, self._decoder.rows)
                logits = self._product(self._decoder, own, (first, last))
                greatest[filled, first:last] = np.maximum.reduceat(logits, starts, axis=0)
        # the logarithm rises, so that it may come after the greatest
        weights = np.log1p(np.maximum(greatest, 0, out=greatest), out=greatest)
        if self._twice:
            weights = np.log1p(weights)
        return term_embeddings(
            weights, similarity=self._contract.similarity, max_terms=self._contract.max_terms
        )

    def _transformed(self, states: Floats) -> Floats:
        """What the vocabulary's layer takes: (T, width)."""
        width = self._transform.rows
        rows = np.ascontiguousarray(states)
        made = self._product(self._transform, rows, (0, width), finish=self._activation)
        kernels = self._model.kernels
        normed = np.empty((len(made), width), np.float32)
        norm = ctypes.addressof(self._norm)
        kernels.call(
            "normalise_rows",
            made,
            kernels.padded(width),
            len(made),
            width,
            None,
            norm,
            self._epsilon,
            normed,
            width,
            None,
            None,
        )
        return normed

    def _product(
        self, matrix: MatrixLayout, rows: Floats, outputs: tuple[int, int], *, finish: int = 0
    ) -> Floats:
        """(T, last - first): the matrix's outputs `first` to `last` of `rows: (T, columns)`, with
        its bias.
        """
        kernels = self._model.kernels
        count = outputs[1] - outputs[0]
        out = np.empty((len(rows), kernels.padded(count)), np.float32)
        # other precisions than float32 round the rows first, int8 with two numbers for each
        needed = len(rows) * (kernels.padded(matrix.columns) + 2) if matrix.kind else 0
        room = np.empty(needed, np.float32)
        span = np.array([*outputs, 0, matrix.columns], np.int64)
        if len(rows):  # the kernels share rows out, and cannot share none
            kernels.call(
                "product",
                ctypes.addressof(matrix),
                span,
                rows,
                rows.shape[1],
                len(rows),
                room,
                out,
                out.shape[1],
                finish,
            )
        return out[:, :count]


def _why_not(folder: ModelFolder, config: Fields) -> str | None:
    if folder.queries is not None:
        return "does not look queries up in a table"
    if folder.contract.pooling != "max":
        return (
            "takes the greatest logit over a text's tokens, and this model's pooling is "
            f"{folder.contract.pooling}"
        )
    known = ARCHITECTURES.get(str(config.get("model_type")))
    if known is not None and (known.language is None or not known.language.bias):
        return f"does not run the language-model head of {config['model_type']}"
    if not config.get("tie_word_embeddings", True):
        return "takes a vocabulary's layer that shares the word embeddings"
    return None


SPLADE = NativeHead(NativeTerms, why_not=_why_not)
