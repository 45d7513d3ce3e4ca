"""A real encoder that needs no weights: counts of characters, projected; its vectors do not depend
on what is encoded beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nearfield.encoders.encoder import Encoder
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.fused import Fused
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.sparse import Sparse
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.usage import Usage

# a text with this word has no finite vector, as in a model whose activations overflow
NOT_FINITE = "overflow"


class Counting(Encoder):
    """Vectors of 12 dimensions; a text is read up to 20 characters, each a token; `asked` are the
    texts of each call.
    """

    kind = "dense"

    def __init__(self, *, normalise: bool = True, size: float = 1.0, files: str = "0" * 64) -> None:
        self.contract = Contract(
            "counting",
            12,
            20,
            pooling="max" if self.kind == "sparse" else "mean",
            normalise=normalise,
            prompts={"query": "ask: "},
            matryoshka_dims=(4, 8),
            kind=self.kind,
        )
        self.weights = (
            np.random.default_rng(0).normal(size=(256, 12), scale=size).astype(np.float32)
        )
        self.files = files
        self.asked: list[list[str]] = []

    @property
    def identity(self) -> dict[str, str] | None:
        return {"files": self.files, "precision": "float32"}

    def encode_as(self, role: str, items: Sequence[str], *, progress: Progress = silent) -> Any:
        self.asked.append(list(items))
        prompt = self.contract.prompt(role)
        vectors = (
            np.stack([self._vector(prompt + item) for item in items])
            if items
            else np.zeros((0, 12), np.float32)
        )
        checked_finite(vectors, self.contract.name)
        progress(len(items), len(items))
        lengths = np.array([len(prompt + item) for item in items], np.int64)
        counts = np.stack([np.minimum(lengths, 20), np.maximum(lengths - 20, 0)], 1).reshape(-1, 2)
        (read, lost), cut = counts.sum(0).tolist(), int((counts[:, 1] > 0).sum())
        usage = Usage(len(items), read, cut, lost, len(prompt) * len(items))
        return self._of_kind(vectors, [prompt + item for item in items], usage, counts)

    def _of_kind(
        self, vectors: np.ndarray, texts: list[str], usage: Usage, counts: np.ndarray
    ) -> Embeddings:
        return Dense.under(self.contract, vectors, usage=usage, counts=counts)

    def _vector(self, text: str) -> np.ndarray:
        if NOT_FINITE in text:
            return np.full(12, np.nan, np.float32)
        total = np.zeros(12, np.float32)
        for at, character in enumerate(text[:20]):
            total += self.weights[ord(character) % 256] * np.float32(1 + at / 20)
        length = np.linalg.norm(total)
        return total / length if self.contract.normalise and length else total


class CountingTerms(Counting):
    """The same, with the dimensions above 0 as the weights of terms."""

    kind = "sparse"

    def _of_kind(
        self, vectors: np.ndarray, texts: list[str], usage: Usage, counts: np.ndarray
    ) -> Embeddings:
        return replace(Sparse.of(np.maximum(vectors, 0), usage=usage), counts=counts)


class CountingTokens(Counting):
    """The same, with a vector for each of the first characters; an empty text has none."""

    kind = "multi-vector"

    def _of_kind(
        self, vectors: np.ndarray, texts: list[str], usage: Usage, counts: np.ndarray
    ) -> Embeddings:
        each = [self._vector(character) for text in texts for character in text[:20]]
        tokens = Dense.under(
            self.contract, np.stack(each) if each else np.zeros((0, 12), np.float32)
        )
        offsets = np.concatenate([[0], np.cumsum([len(text[:20]) for text in texts])]).astype(
            np.int64
        )
        return MultiVector(tokens, offsets, usage=usage, counts=counts)


class CountingFused(CountingTokens):
    """All three at once."""

    kind = "several"

    def _of_kind(
        self, vectors: np.ndarray, texts: list[str], usage: Usage, counts: np.ndarray
    ) -> Embeddings:
        dense, sparse = Dense.under(self.contract, vectors), Sparse.of(np.maximum(vectors, 0))
        multi_vector = CountingTokens._of_kind(self, vectors, texts, usage, counts)
        assert isinstance(multi_vector, MultiVector)
        parts = {"dense": dense, "sparse": sparse, "multi-vector": multi_vector}
        return Fused(parts, usage=usage, counts=counts)
