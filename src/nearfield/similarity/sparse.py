"""One weight per term, nearly all of them zero: learned sparse (SPLADE), TF-IDF, BM25."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nearfield.batch.sequences import offsets_of
from nearfield.errors import ContractError, InputError, nearest
from nearfield.similarity.embeddings import OFFSETS, Counts, Embeddings, chosen
from nearfield.similarity.explained import Match, Names
from nearfield.similarity.facts import items_of, read_facts, read_offsets, usage_of
from nearfield.similarity.offsets import joined_offsets, largest, segments, slices
from nearfield.store.array import check_finite, map_array
from nearfield.types.arrays import Array, Floats, Integers
from nearfield.types.usage import NOTHING_READ, Usage

if TYPE_CHECKING:
    from scipy.sparse import csr_array

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

    kind = "sparse"
    has_terms = True
    sums = True
    weights: Array
    terms: npt.NDArray[np.int32]
    offsets: Integers
    dim: int
    storage: str = "float32"
    similarity: str = "dot"
    usage: Usage = NOTHING_READ
    counts: Counts = None

    @classmethod
    def of(cls, matrix: Any, *, similarity: str = "dot", usage: Usage = NOTHING_READ) -> Sparse:
        """From a scipy matrix or an array (n, dim); entries of zero are dropped. Raises InputError
        for NaN or infinite weights.
        """
        from scipy.sparse import csr_array

        rows = csr_array(matrix, dtype=np.float32)
        # what the kernels and `check_terms` want of a row: each term once, rising, none of weight 0
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
        places, offsets = segments(self.offsets, items)
        return replace(
            self,
            weights=self.weights[places],
            terms=self.terms[places],
            offsets=offsets,
            counts=chosen(self.counts, items),
        )

    @classmethod
    def join(cls, parts: Sequence[Sparse]) -> Sparse:
        return replace(
            parts[0],
            weights=np.concatenate([part.weights for part in parts]),
            terms=np.concatenate([part.terms for part in parts]),
            offsets=joined_offsets([part.active for part in parts]),
            counts=None,
        )

    @property
    def size_note(self) -> str:
        """The mean number of terms per item."""
        return f"{self.active.mean():,.1f} active terms per document, of {self.dim:,}"

    @property
    def inverts(self) -> bool:
        """Whether weights are compared by their dot product and none is negative."""
        # An inverted index visits documents that share a term. All others score 0, which is the
        # least there is only where no product is negative.
        return self.similarity == "dot" and not (self.weights < 0).any()

    @property
    def active(self) -> Integers:
        """(n,) int64, the number of terms with a weight in each row."""
        return np.diff(self.offsets)

    @property
    def found_in(self) -> Integers:
        """(dim,) int64, the number of rows that have a weight for each term."""
        counts = np.zeros(self.dim, np.int64)
        for start in range(0, len(self.terms), _LOOKED_AT):
            counts += np.bincount(self.terms[start : start + _LOOKED_AT], minlength=self.dim)
        return counts

    def matrix(self) -> csr_array:
        """The rows as a scipy csr_array (n, dim) float32."""
        from scipy.sparse import csr_array

        rows = (self.weights.astype(np.float32), self.terms, self.offsets)
        return csr_array(rows, shape=(len(self), self.dim))

    @property
    def norms(self) -> Floats:
        """(n,) float32, the euclidean length of each row."""
        rows = self.matrix()
        squares = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
        norms: Floats = np.sqrt(squares)
        return norms

    def numbers(self) -> Floats:
        """The weight of every term of the vocabulary."""
        whole: Floats = self.matrix().toarray()
        return whole

    def scores(self, documents: Sparse) -> Floats:
        """sum_t q_t d_t, divided by the lengths of both where the similarity is cosine (0 for an
        empty row): (n, m) float32.
        """
        self.check_space(documents)
        scored: Floats = (self.matrix() @ documents.matrix().T).toarray()
        if self.similarity == "cosine":
            scored /= np.maximum(self.norms[:, None] * documents.norms[None, :], 1e-12)
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
            raise ContractError(f"{terms} terms per vector were asked for; wanted at least 1")
        if not (self.active > terms).any():
            return self
        row = np.repeat(np.arange(len(self)), self.active)
        # row by row, the heaviest first; the last key counts first
        order = np.lexsort((self.terms, -np.abs(self.weights.astype(np.float32)), row))
        rank = np.arange(len(order)) - self.offsets[row]  # rows keep their places under this order
        kept = np.sort(order[rank < terms])  # terms rise within a row
        offsets = offsets_of(np.minimum(self.active, terms))
        return replace(self, weights=self.weights[kept], terms=self.terms[kept], offsets=offsets)

    def quantise(self, storage: str, *, like: Sparse | None = None) -> Sparse:
        """The same rows with weights of float32 or float16. Raises InputError for weights that
        float16 cannot hold.
        """
        self.check_storage(storage)
        with np.errstate(over="ignore"):
            weights = self.weights.astype(storage)
        if not np.isfinite(weights).all():
            raise InputError(
                f"some weights are too large for {storage}, which holds values up to "
                f"{np.finfo(storage).max:g}; keep float32"
            )
        return replace(self, weights=weights, storage=storage)

    def explain(self, documents: Sparse, names: Names) -> list[Match]:
        """The terms that the one query and the one document share, largest product first."""
        self.check_space(documents)
        asked = self._row()
        given = documents._row()
        products = {term: asked[term] * given[term] for term in asked if term in given}
        terms = sorted(products, key=lambda term: (-products[term], term))
        lengths = 1.0
        if self.similarity == "cosine":
            length = np.linalg.norm([*asked.values()]) * np.linalg.norm([*given.values()])
            lengths = max(float(length), 1e-12)
        called = zip(names.terms(terms), terms, strict=True)
        return [Match(name, name, products[term] / lengths) for name, term in called]

    def unmet(self, documents: Sparse) -> list[int]:
        """The terms of the one query that the one document lacks, the heaviest first."""
        self.check_space(documents)
        asked = self._row()
        given = documents._row()
        lacking = [term for term in asked if term not in given]
        return sorted(lacking, key=lambda term: (-abs(asked[term]), term))

    def _row(self) -> dict[int, float]:
        """The terms of the one item, with their weights."""
        weights = self.weights.astype(np.float64).tolist()
        return dict(zip(self.terms.tolist(), weights, strict=True))

    def own_arrays(self) -> dict[str, Array]:
        return {"weights.npy": self.weights, "terms.npy": self.terms, OFFSETS: self.offsets}

    def facts(self) -> dict[str, Any]:
        return {"dim": self.dim, "storage": self.storage, "similarity": self.similarity}

    def records(self) -> list[bytes]:
        """The weights of each item, then its terms."""
        weights = self.weights.astype(np.float32)
        items = slices(self.offsets)
        return [weights[item].tobytes() + self.terms[item].tobytes() for item in items]

    def of_records(self, records: Sequence[bytes]) -> Sparse:
        # a weight and a term take four bytes each
        halves = [len(record) // 2 for record in records]
        weights = []
        terms = []
        for record, half in zip(records, halves, strict=True):
            weights.append(record[:half])
            terms.append(record[half:])
        return replace(
            self,
            weights=np.frombuffer(bytearray().join(weights), np.float32),
            terms=np.frombuffer(bytearray().join(terms), np.int32),
            offsets=joined_offsets([np.array(halves, np.int64) // 4]),
            storage="float32",
            counts=None,
        )

    def peaks(self) -> Floats:
        return largest(np.abs(self.weights.astype(np.float32)), self.offsets)

    @classmethod
    def open(cls, path: str | Path) -> Sparse:
        path = Path(path)
        facts = read_facts(path)
        storage = facts.one_of("storage", cls.storages)
        weights = map_array(path / "weights.npy", [storage], (None,))
        terms = map_array(path / "terms.npy", ["int32"], (len(weights),))
        offsets = read_offsets(path, items_of(facts), len(weights))
        opened = cls(
            weights,
            terms,
            offsets,
            facts.integer("dim", low=1, high=MOST_TERMS),
            storage,
            facts.one_of("similarity", SIMILARITIES),
            usage_of(facts),
        )
        # before anything is searched: the kernels take these numbers for places in their arrays
        opened.check_terms(path / "terms.npy")
        check_finite(weights, path / "weights.npy")
        return opened

    def check_terms(self, path: Path | None = None) -> None:
        """Raise InputError unless the terms of each row, from the file at `path`, rise and lie
        within the vocabulary.
        """
        begins = np.zeros(_LOOKED_AT + 1, bool)
        for start in range(0, len(self.terms), _LOOKED_AT):
            # with the last term of the block before, which the first is compared with
            first = max(0, start - 1)
            block = self.terms[first : start + _LOOKED_AT]
            for bad in (int(block.min()), int(block.max())):
                if not 0 <= bad < self.dim:
                    raise InputError(
                        f"holds term {bad}; wanted terms from 0 to {self.dim - 1}", path=path
                    )
            # a term may be smaller than the one before it where a row begins
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
