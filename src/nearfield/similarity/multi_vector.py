"""One vector a token (ColBERT): an item is as close as its best-matching tokens are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import OFFSETS, VECTORS, Array, Embeddings, chosen
from nearfield.similarity.facts import items_of, part_of, read_facts, read_offsets, usage_of
from nearfield.similarity.offsets import item_blocks, joined_offsets, largest, segments
from nearfield.store.atomic import write_json
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

    kind: ClassVar[str] = "multi-vector"
    tokens: Dense
    offsets: npt.NDArray[np.int64]
    average: bool = False
    usage: Usage = NOTHING_READ
    counts: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, items: slice | Sequence[int] | Array) -> MultiVector:
        places, offsets = segments(self.offsets, np.arange(len(self))[items])
        return replace(
            self, tokens=self.tokens[places], offsets=offsets, counts=chosen(self.counts, items)
        )

    @classmethod
    def join(cls, parts: Sequence[MultiVector]) -> MultiVector:
        """See Embeddings.join."""
        tokens = Dense.join([part.tokens for part in parts])
        return replace(
            parts[0],
            tokens=tokens,
            offsets=joined_offsets([part.lengths for part in parts]),
            counts=None,
        )

    @property
    def similarity(self) -> str:  # type: ignore[override]
        """How two tokens are compared."""
        return self.tokens.similarity

    @property
    def dim(self) -> int:
        """Dimensions of a token's vector."""
        return self.tokens.dim

    @property
    def storage(self) -> str:
        """How the tokens' vectors are stored."""
        return self.tokens.storage

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n,) int64, vectors an item."""
        return np.diff(self.offsets)

    @property
    def bytes_per_item(self) -> float:
        """Mean bytes that one item takes: its tokens' vectors and its offset."""
        return (len(self.tokens) * self.tokens.bytes_per_item + 8 * len(self)) / max(1, len(self))

    def scores(self, documents: MultiVector) -> npt.NDArray[np.float32]:
        """MaxSim: over the query's tokens, the sum (or mean) of each one's similarity to the
        closest of the document's tokens.

        (n, m) float32; a query without tokens scores 0, and a document without tokens -inf for any
        other. Khattab and Zaharia 2020 (arXiv 2004.12832), equation 3.
        """
        scored = np.full((len(self), len(documents)), -np.inf, np.float32)
        for start, end in item_blocks(documents.offsets, _BLOCK):
            block = documents.tokens[documents.offsets[start] : documents.offsets[end]]
            filled = np.flatnonzero(documents.lengths[start:end])
            first = documents.offsets[start:end][filled] - documents.offsets[start]
            for low, high in item_blocks(self.offsets, _ASKED) if len(filled) else []:
                asked = np.flatnonzero(self.lengths[low:high])
                if len(asked):
                    near = self.tokens[self.offsets[low] : self.offsets[high]].scores(block)
                    closest = np.maximum.reduceat(near, first, axis=1)
                    sums = np.add.reduceat(
                        closest, self.offsets[low:high][asked] - self.offsets[low], axis=0
                    )
                    scored[np.ix_(low + asked, start + filled)] = sums
        scored[self.lengths == 0] = 0.0
        if self.average:
            scored /= np.maximum(self.lengths, 1)[:, None]
        return scored

    def explain(
        self, query: int, documents: MultiVector, document: int
    ) -> list[tuple[int, int, float]]:
        """What the score of a query and a document is the sum of: for each of the query's tokens,
        in order, the closest of the document's (the first of equals) and what that adds. Nothing
        where either has no token.
        """
        asked, given = self[[query]].tokens, documents[[document]].tokens
        if not len(asked) or not len(given):
            return []
        near = asked.scores(given).astype(np.float64) / (len(asked) if self.average else 1)
        return [
            (token, int(best), float(near[token, best]))
            for token, best in enumerate(near.argmax(1))
        ]

    def truncate(self, dim: int) -> MultiVector:
        """The first `dim` dimensions of every token's vector, as Dense.truncate cuts them."""
        return replace(self, tokens=self.tokens.truncate(dim))

    def quantise(self, storage: str, *, like: MultiVector | None = None) -> MultiVector:
        """The same items with tokens at another of Dense's storage types."""
        return replace(
            self, tokens=self.tokens.quantise(storage, like=None if like is None else like.tokens)
        )

    def pool(self, factor: int, *, keep: int = 1) -> MultiVector:
        """Fewer vectors an item: clusters of alike tokens become their mean; the first `keep`
        tokens stay.

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
        each = [
            _fewer(self.tokens[start:end], factor, keep)
            for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]
        offsets = np.concatenate([[0], np.cumsum([len(vectors) for vectors in each])]).astype(
            np.int64
        )
        stacked = np.concatenate([np.empty((0, self.dim), np.float32), *each]).astype(
            self.tokens.vectors.dtype
        )
        return replace(self, tokens=replace(self.tokens, vectors=stacked), offsets=offsets)

    def arrays(self) -> dict[str, Array]:
        """See Embeddings.arrays: those of the tokens, as a vector folder `tokens`, and
        `offsets.npy`.
        """
        return {f"{TOKENS}/{name}": array for name, array in self.tokens.arrays().items()} | {
            OFFSETS: self.offsets
        }

    def save_facts(self, folder: Path, rows: Mapping[str, int]) -> None:
        """See Embeddings.save_facts."""
        self.tokens.save_facts(folder / TOKENS, {VECTORS: rows[f"{TOKENS}/{VECTORS}"]})
        facts = {
            "kind": self.kind,
            "items": rows[OFFSETS] - 1,
            "average": self.average,
            "usage": self.usage,
        }
        write_json(folder / "vectors.json", {"format": 1} | facts)

    def records(self) -> list[bytes]:
        """See Embeddings.records: an item's vectors, one after the other."""
        vectors, bounds = (
            self.tokens.floats(),
            zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True),
        )
        return [vectors[start:end].tobytes() for start, end in bounds]

    def of_records(self, records: Sequence[bytes]) -> MultiVector:
        """See Embeddings.of_records."""
        lengths = np.array([len(record) for record in records], np.int64) // (4 * self.dim)
        return replace(
            self,
            tokens=self.tokens.of_records(records),
            offsets=joined_offsets([lengths]),
            counts=None,
        )

    def peaks(self) -> npt.NDArray[np.float32]:
        """See Embeddings.peaks."""
        return largest(self.tokens.peaks(), self.offsets)

    @classmethod
    def open(cls, path: str | Path) -> MultiVector:
        """See Embeddings.open."""
        path = Path(path)
        facts = read_facts(path)
        tokens = Dense.open(part_of(path, TOKENS))
        offsets = read_offsets(path, items_of(facts), len(tokens))
        return cls(tokens, offsets, facts.flag("average"), usage_of(facts))


def pooled(documents: Embeddings, factor: int) -> Embeddings:
    """`documents` with one vector for `factor` tokens (see `MultiVector.pool`). Raises
    ContractError for another kind than multi-vector.
    """
    if not isinstance(documents, MultiVector):
        raise ContractError(
            f"{documents.kind} embeddings have no tokens to pool, as one vector "
            f"for {factor}; leave that out"
        )
    return documents.pool(factor)


def _fewer(tokens: Dense, factor: int, keep: int) -> npt.NDArray[np.float32]:
    from scipy.cluster.hierarchy import fcluster, linkage

    vectors = tokens.floats()
    kept, rest = vectors[:keep], vectors[keep:]
    clusters = max(1, len(rest) // factor)
    if clusters >= len(rest):
        return vectors
    units = rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-12)
    apart = (1 - units @ units.T).clip(0, 2)[np.triu_indices(len(rest), 1)]
    labels = fcluster(linkage(apart, method="ward"), t=clusters, criterion="maxclust")
    means = np.stack([rest[labels == label].mean(0) for label in np.unique(labels)])
    if tokens.normalise:
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return np.concatenate([kept, means])
