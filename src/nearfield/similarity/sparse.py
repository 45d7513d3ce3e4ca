"""One weight a term an item, nearly all of them zero: learned sparse (SPLADE), TF-IDF, BM25."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError, nearest
from nearfield.similarity.embeddings import OFFSETS, Array, Embeddings, chosen
from nearfield.similarity.facts import items_of, read_facts, read_offsets, usage_of
from nearfield.similarity.offsets import joined_offsets, largest, segments
from nearfield.store.array import check_finite, map_array
from nearfield.store.atomic import write_json
from nearfield.types.usage import NOTHING_READ, Usage

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STORAGES = ("float32", "float16")
SIMILARITIES = ("dot", "cosine")
# of a vocabulary: an index takes twelve bytes for each, whether it occurs or not
MOST_TERMS = 1 << 25
_LOOKED_AT = 1 << 22  # terms at a time


@dataclass(frozen=True)
class Sparse(Embeddings):
    """n vectors over a vocabulary of `dim` terms, as compressed rows.

    Row i has the weights `weights[offsets[i]:offsets[i + 1]]` (float32 or float16) at the terms
    `terms[...]` (int32, rising within a row); `offsets`: (n + 1,) int64. Absent terms weigh zero.
    """

    kind: ClassVar[str] = "sparse"
    weights: Array
    terms: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    dim: int
    storage: str = "float32"
    similarity: str = "dot"
    usage: Usage = NOTHING_READ
    counts: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, matrix: Any, *, similarity: str = "dot", usage: Usage = NOTHING_READ) -> Sparse:
        """From a scipy matrix or an array (n, dim); entries of zero are dropped. Raises InputError
        for NaN or infinite weights.
        """
        from scipy.sparse import csr_array

        rows = csr_array(matrix, dtype=np.float32)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        rows.sort_indices()
        if not np.isfinite(rows.data).all():
            raise InputError(
                "some of these weights are NaN or infinite, and have no place in a score"
            )
        if similarity not in SIMILARITIES:
            known = ", ".join(SIMILARITIES)
            raise ContractError(
                f"sparse vectors have no similarity {similarity!r}; wanted one of "
                f"{known}.{nearest(similarity, SIMILARITIES)}"
            )
        return cls(
            rows.data,
            rows.indices.astype(np.int32),
            rows.indptr.astype(np.int64),
            rows.shape[1],
            similarity=similarity,
            usage=usage,
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, items: slice | Sequence[int] | Array) -> Sparse:
        places, offsets = segments(self.offsets, np.arange(len(self))[items])
        return replace(
            self,
            weights=self.weights[places],
            terms=self.terms[places],
            offsets=offsets,
            counts=chosen(self.counts, items),
        )

    @classmethod
    def join(cls, parts: Sequence[Sparse]) -> Sparse:
        """See Embeddings.join."""
        weights, terms = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("weights", "terms")
        )
        return replace(
            parts[0],
            weights=weights,
            terms=terms,
            offsets=joined_offsets([part.active for part in parts]),
            counts=None,
        )

    @property
    def bytes_per_item(self) -> float:
        """Mean bytes that one vector takes: its weights, its terms and its offset."""
        return float(self.weights.nbytes + self.terms.nbytes + self.offsets[1:].nbytes) / max(
            1, len(self)
        )

    @property
    def active(self) -> npt.NDArray[np.int64]:
        """(n,) int64, the number of terms with a weight in each row."""
        return np.diff(self.offsets)

    def matrix(self) -> csr_array:
        """The rows as a scipy csr_array (n, dim) float32."""
        from scipy.sparse import csr_array

        return csr_array(
            (self.weights.astype(np.float32), self.terms, self.offsets), shape=(len(self), self.dim)
        )

    def scores(self, documents: Sparse) -> npt.NDArray[np.float32]:
        """See Embeddings.scores: sum_t q_t d_t, over the lengths of both where the similarity is
        cosine (0 for an empty row).
        """
        self.check_space(documents)
        query, document = self.matrix(), documents.matrix()
        scored: npt.NDArray[np.float32] = (query @ document.T).toarray()
        if self.similarity == "cosine":
            scored /= np.maximum(_lengths(query)[:, None] * _lengths(document)[None, :], 1e-12)
        return scored

    def check_space(self, documents: Sparse) -> None:
        """Raise ContractError where the vocabularies differ in size."""
        if self.dim != documents.dim:
            raise ContractError(
                f"queries have {self.dim} terms and documents {documents.dim}; "
                "both sides need the same vocabulary"
            )

    def truncate(self, terms: int) -> Sparse:
        """Each row's `terms` largest weights by magnitude; equal ones go to the smaller term.
        Raises ContractError below 1.
        """
        if terms < 1:
            raise ContractError(f"{terms} terms a vector were asked for; wanted at least 1")
        if not (self.active > terms).any():
            return self
        row = np.repeat(np.arange(len(self)), self.active)
        order = np.lexsort((self.terms, -np.abs(self.weights.astype(np.float32)), row))
        rank = np.arange(len(order)) - self.offsets[row]  # rows keep their places under this order
        kept = np.sort(order[rank < terms])
        offsets = np.concatenate([[0], np.cumsum(np.minimum(self.active, terms))])
        return replace(self, weights=self.weights[kept], terms=self.terms[kept], offsets=offsets)

    def quantise(self, storage: str, *, like: Sparse | None = None) -> Sparse:
        """The same rows with weights of float32 or float16. Raises InputError for weights that
        float16 cannot hold.
        """
        if storage not in STORAGES:
            raise ContractError(
                f"sparse weights are not stored as {storage!r}; wanted "
                f"{' or '.join(STORAGES)}.{nearest(storage, STORAGES)}"
            )
        with np.errstate(over="ignore"):
            weights = self.weights.astype(storage)
        if not np.isfinite(weights).all():
            raise InputError(
                f"some weights are too large for {storage}, which holds values up to "
                f"{np.finfo(storage).max:g}; keep float32"
            )
        return replace(self, weights=weights, storage=storage)

    def explain(
        self, query: int, documents: Sparse, document: int
    ) -> list[tuple[int, float, float]]:
        """The terms that a query and a document share, as (term, query's weight, document's
        weight), largest product first.
        """
        self.check_space(documents)
        asked, given = self._row(query), documents._row(document)
        shared = [(term, weight, given[term]) for term, weight in asked.items() if term in given]
        return sorted(shared, key=lambda found: (-found[1] * found[2], found[0]))

    def unmet(self, query: int, documents: Sparse, document: int) -> list[int]:
        """The terms of a query that a document lacks, the heaviest first."""
        self.check_space(documents)
        asked, given = self._row(query), documents._row(document)
        return sorted(
            (term for term in asked if term not in given),
            key=lambda term: (-abs(asked[term]), term),
        )

    def _row(self, at: int) -> dict[int, float]:
        here = slice(self.offsets[at], self.offsets[at + 1])
        return dict(
            zip(
                self.terms[here].tolist(),
                self.weights[here].astype(np.float64).tolist(),
                strict=True,
            )
        )

    def arrays(self) -> dict[str, Array]:
        """See Embeddings.arrays: `weights.npy`, `terms.npy`, `offsets.npy`."""
        return {"weights.npy": self.weights, "terms.npy": self.terms, OFFSETS: self.offsets}

    def save_facts(self, folder: Path, rows: Mapping[str, int]) -> None:
        """See Embeddings.save_facts."""
        names = ("kind", "dim", "storage", "similarity", "usage")
        write_json(
            folder / "vectors.json",
            {"format": 1, "items": rows[OFFSETS] - 1}
            | {name: getattr(self, name) for name in names},
        )

    def records(self) -> list[bytes]:
        """See Embeddings.records: an item's weights, then its terms."""
        weights, bounds = (
            self.weights.astype(np.float32),
            zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True),
        )
        return [
            weights[start:end].tobytes() + self.terms[start:end].tobytes() for start, end in bounds
        ]

    def of_records(self, records: Sequence[bytes]) -> Sparse:
        """See Embeddings.of_records."""
        halves = [len(record) // 2 for record in records]
        weights = np.frombuffer(
            b"".join(record[:half] for record, half in zip(records, halves, strict=True)),
            np.float32,
        )
        terms = np.frombuffer(
            b"".join(record[half:] for record, half in zip(records, halves, strict=True)), np.int32
        )
        offsets = joined_offsets([np.array(halves, np.int64) // 4])
        return replace(
            self, weights=weights, terms=terms, offsets=offsets, storage="float32", counts=None
        )

    def peaks(self) -> npt.NDArray[np.float32]:
        """See Embeddings.peaks."""
        return largest(np.abs(self.weights.astype(np.float32)), self.offsets)

    @classmethod
    def open(cls, path: str | Path) -> Sparse:
        """See Embeddings.open."""
        path = Path(path)
        facts = read_facts(path)
        storage, metric = (
            facts.one_of("storage", STORAGES),
            facts.one_of("similarity", SIMILARITIES),
        )
        weights = map_array(path / "weights.npy", [storage], (None,))
        terms = map_array(path / "terms.npy", ["int32"], (len(weights),))
        offsets = read_offsets(path, items_of(facts), len(weights))
        opened = cls(
            weights,
            terms,
            offsets,
            facts.integer("dim", low=1, high=MOST_TERMS),
            storage,
            metric,
            usage_of(facts),
        )
        opened.check_terms(path / "terms.npy")
        check_finite(weights, path / "weights.npy")
        return opened

    def check_terms(self, path: Path | None = None) -> None:
        """Raise InputError unless the terms of each row, from the file at `path`, rise and lie
        within the vocabulary.
        """
        begins = np.zeros(_LOOKED_AT + 1, bool)
        for start in range(0, len(self.terms), _LOOKED_AT):
            block = self.terms[max(0, start - 1) : start + _LOOKED_AT]
            first = max(0, start - 1)
            if block.min() < 0 or block.max() >= self.dim:
                bad = int(block.min() if block.min() < 0 else block.max())
                raise InputError(
                    f"holds term {bad}; wanted terms from 0 to {self.dim - 1}", path=path
                )
            low, high = np.searchsorted(self.offsets, [first, first + len(block)])
            begins[:] = False
            begins[self.offsets[low:high] - first] = True
            falling = np.flatnonzero((np.diff(block) <= 0) & ~begins[1 : len(block)])
            if len(falling):
                raise InputError(
                    "holds terms that do not rise within a row, the first at "
                    f"{first + falling[0] + 1}",
                    path=path,
                )


def _lengths(rows: Any) -> npt.NDArray[np.float32]:
    lengths: npt.NDArray[np.float32] = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1))).ravel()
    return lengths
