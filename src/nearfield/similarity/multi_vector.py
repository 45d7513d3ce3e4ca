"""One vector per token (ColBERT): an item is as close as its best-matching tokens are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ContractError
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import OFFSETS, Counts, Embeddings, chosen
from nearfield.similarity.explained import Match, Names
from nearfield.similarity.facts import items_of, part_of, read_facts, read_offsets, usage_of
from nearfield.similarity.offsets import item_blocks, joined_offsets, largest, segments, slices
from nearfield.types.arrays import Array, Floats, Integers
from nearfield.types.usage import NOTHING_READ, Usage

TOKENS = "tokens"
_BLOCK, _ASKED = 8192, 256  # document and query tokens compared at a time: 8 MB of similarities


@dataclass(frozen=True)
class MultiVector(Embeddings):
    """n items of some vectors each: item i has the rows `offsets[i]:offsets[i + 1]` of `tokens`.

    `tokens` holds (T, dim) vectors at any of Dense's storage types, whose similarity compares two
    of them; `offsets`: (n + 1,) int64. With `average` a score is the mean over the query's tokens
    (BGE-M3), else their sum (ColBERT).
    """

    kind = "multi-vector"
    storages = Dense.storages
    worth_measuring = Dense.worth_measuring
    merges_tokens = True
    sums = True
    own_similarity = "MaxSim"
    tokens: Dense
    offsets: Integers
    average: bool = False
    usage: Usage = NOTHING_READ
    counts: Counts = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, items: slice | Sequence[int] | Array) -> MultiVector:
        places, offsets = segments(self.offsets, items)
        return replace(
            self, tokens=self.tokens[places], offsets=offsets, counts=chosen(self.counts, items)
        )

    @classmethod
    def join(cls, parts: Sequence[MultiVector]) -> MultiVector:
        offsets = joined_offsets([part.lengths for part in parts])
        tokens = Dense.join([part.tokens for part in parts])
        return replace(parts[0], tokens=tokens, offsets=offsets, counts=None)

    @property
    def similarity(self) -> str:  # type: ignore[override]
        """How two tokens are compared."""
        return self.tokens.similarity

    @property
    def dim(self) -> int:
        """Dimensions of a token's vector."""
        return self.tokens.dim

    @property
    def storage(self) -> str:  # type: ignore[override]
        """How the tokens' vectors are stored."""
        return self.tokens.storage

    @property
    def lengths(self) -> Integers:
        """(n,) int64, vectors per item."""
        return np.diff(self.offsets)

    @property
    def size_note(self) -> str:
        """The mean number of vectors per item."""
        return f"{self.lengths.mean():,.1f} vectors per document, of {self.dim} dimensions"

    def numbers(self) -> Floats:
        most = self.lengths.max(initial=0)
        found = np.zeros((len(self), most, self.dim), np.float32)
        real = np.arange(most) < self.lengths[:, None]  # (n, most)
        found[real] = self.tokens.floats()
        return found

    def scores(self, documents: MultiVector) -> Floats:
        """MaxSim: over the query's tokens, the sum (or mean) of each one's similarity to the
        closest of the document's tokens.

        (n, m) float32; a query without tokens scores 0, and a document without tokens -inf for any
        other. Khattab and Zaharia 2020 (arXiv 2004.12832), equation 3.
        """
        scored = np.full((len(self), len(documents)), -np.inf, np.float32)
        for start, end in item_blocks(documents.offsets, _BLOCK):
            block, filled, first = documents._segments(start, end)
            if not len(filled):
                continue
            for low, high in item_blocks(self.offsets, _ASKED):
                tokens, asked, begins = self._segments(low, high)
                if len(asked):
                    # (query tokens, document tokens), and then (query tokens, documents)
                    near = tokens.scores(block)
                    closest = np.maximum.reduceat(near, first, axis=1)
                    sums = np.add.reduceat(closest, begins, axis=0)
                    scored[np.ix_(low + asked, start + filled)] = sums
        # a sum over no token
        scored[self.lengths == 0] = 0.0
        if self.average:
            scored /= np.maximum(self.lengths, 1)[:, None]
        return scored

    def _segments(self, start: int, end: int) -> tuple[Dense, Integers, Integers]:
        """The tokens of the items from `start` to `end`, which of these items have any, and where
        the tokens of each of those begin: `reduceat` takes no empty segment for one.
        """
        offsets = self.offsets[start : end + 1]
        filled = np.flatnonzero(np.diff(offsets))
        return self.tokens[offsets[0] : offsets[-1]], filled, offsets[filled] - offsets[0]

    def explain(self, documents: MultiVector, names: Names) -> list[Match]:
        """For each token of the one query, in order, the closest of the document's tokens (the
        first of equals) and what that adds. Nothing where either has no token.
        """
        asked = self.tokens
        given = documents.tokens
        if not len(asked) or not len(given):
            return []
        near = asked.scores(given).astype(np.float64)
        if self.average:
            near /= len(asked)
        ours = names.query_tokens(len(asked))
        theirs = names.document_tokens(len(given))
        return [
            Match(ours[token], theirs[best], float(near[token, best]))
            for token, best in enumerate(near.argmax(1).tolist())
        ]

    def truncate(self, dim: int) -> MultiVector:
        """The first `dim` dimensions of every token's vector, as Dense.truncate cuts them."""
        return replace(self, tokens=self.tokens.truncate(dim))

    def quantise(self, storage: str, *, like: MultiVector | None = None) -> MultiVector:
        """The same items with tokens at another of Dense's storage types."""
        self.check_storage(storage)
        source = None if like is None else like.tokens
        return replace(self, tokens=self.tokens.quantise(storage, like=source))

    def pool(self, factor: int, *, keep: int = 1) -> MultiVector:
        """Merge clusters of similar tokens into their mean; the first `keep` tokens stay.

        n others become floor(n / factor), one at least, by Ward clustering over 1 - cosine, as
        PyLate and sentence-transformers do it; means have unit length where the tokens have. Clavié
        et al. 2024 (arXiv 2409.14683). For documents; queries keep their tokens. Raises
        ContractError for a factor below 1 and for stored codes.
        """
        if factor < 1 or self.storage in ("int8", "binary"):
            what = f"a factor of {factor}" if factor < 1 else f"tokens stored as {self.storage}"
            raise ContractError(
                f"tokens cannot be pooled by {what}; wanted a factor of at least 1 and float "
                "tokens (pool first, then quantise)"
            )
        each = [_fewer(self.tokens[item], factor, keep) for item in slices(self.offsets)]
        stacked = np.concatenate([np.empty((0, self.dim), np.float32), *each])
        tokens = replace(self.tokens, vectors=stacked.astype(self.tokens.vectors.dtype))
        lengths = np.array([len(vectors) for vectors in each], np.int64)
        return replace(self, tokens=tokens, offsets=joined_offsets([lengths]))

    @property
    def folders(self) -> Mapping[str, Embeddings]:
        """The tokens, as dense vectors."""
        return {TOKENS: self.tokens}

    def own_arrays(self) -> dict[str, Array]:
        return {OFFSETS: self.offsets}

    def facts(self) -> dict[str, Any]:
        return {"average": self.average}

    def records(self) -> list[bytes]:
        """The vectors of each item, one after the other."""
        vectors = self.tokens.floats()
        return [vectors[item].tobytes() for item in slices(self.offsets)]

    def of_records(self, records: Sequence[bytes]) -> MultiVector:
        lengths = np.array([len(record) for record in records], np.int64) // (4 * self.dim)
        tokens = self.tokens.of_records(records)
        return replace(self, tokens=tokens, offsets=joined_offsets([lengths]), counts=None)

    def peaks(self) -> Floats:
        return largest(self.tokens.peaks(), self.offsets)

    @classmethod
    def open(cls, path: str | Path) -> MultiVector:
        path = Path(path)
        facts = read_facts(path)
        tokens = Dense.open(part_of(path, TOKENS))
        offsets = read_offsets(path, items_of(facts), len(tokens))
        return cls(tokens, offsets, facts.flag("average"), usage_of(facts))


def _fewer(tokens: Dense, factor: int, keep: int) -> Floats:
    from scipy.cluster.hierarchy import fcluster, linkage

    vectors = tokens.floats()
    kept = vectors[:keep]
    rest = vectors[keep:]
    clusters = max(1, len(rest) // factor)
    if clusters >= len(rest):
        return vectors
    units = rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-12)
    # scipy takes the distance of each pair once; rounding may leave the range of a cosine
    apart = (1 - units @ units.T).clip(0, 2)[np.triu_indices(len(rest), 1)]
    labels = fcluster(linkage(apart, method="ward"), t=clusters, criterion="maxclust")
    means = np.stack([rest[labels == label].mean(0) for label in np.unique(labels)])
    if tokens.normalise:
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return np.concatenate([kept, means])
