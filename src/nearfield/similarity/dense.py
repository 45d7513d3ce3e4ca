"""One vector per item, at any storage type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from nearfield.errors import ContractError, ModelError
from nearfield.similarity.embeddings import (
    RANGES,
    VECTORS,
    Counts,
    Embeddings,
    chosen,
)
from nearfield.similarity.explained import Match, Names
from nearfield.similarity.facts import items_of, read_facts, usage_of
from nearfield.similarity.functions import FUNCTIONS, similarity, unit
from nearfield.similarity.storages import STORAGES, finite
from nearfield.store.array import check_finite, map_array, read_array
from nearfield.types.arrays import Array, Floats
from nearfield.types.contract import Contract
from nearfield.types.usage import NOTHING_READ, Usage


@dataclass(frozen=True)
class Dense(Embeddings):
    """n vectors of one length.

    `vectors`: (n, dim) float32 or float16; (n, dim) uint8 codes for int8; (n, ceil(dim / 8)) uint8
    packed signs for binary. `dim` is the number of dimensions, whatever the storage. `ranges`: (2,
    dim) float32, for int8 the least value and the step of each dimension's codes. `layer_norm` is
    the contract's: apply a parameter-free layer_norm before a cut.
    """

    kind = "dense"
    storages = tuple(STORAGES)
    worth_measuring = ("float32", "int8", "binary")
    one_vector = True
    trains_dims = True
    vectors: Array
    dim: int
    storage: str = "float32"
    similarity: str = "cosine"
    layer_norm: bool = False
    normalise: bool = True
    ranges: Array | None = None
    usage: Usage = NOTHING_READ
    counts: Counts = None

    @classmethod
    def under(
        cls,
        contract: Contract,
        vectors: Array,
        *,
        usage: Usage = NOTHING_READ,
        counts: Counts = None,
    ) -> Dense:
        """Vectors (n, dim) float32 as a model made them, with what its contract says of
        their use.
        """
        return cls(
            vectors,
            contract.dim,
            similarity=contract.similarity,
            layer_norm=contract.layer_norm,
            normalise=contract.normalise,
            usage=usage,
            counts=counts,
        )

    def __len__(self) -> int:
        return len(self.vectors)

    @overload
    def __getitem__(self, items: slice | Sequence[int] | Array) -> Dense: ...

    @overload
    def __getitem__(self, items: int | tuple[Any, ...]) -> Any: ...

    def __getitem__(self, items: Any) -> Any:
        """The items at these positions; for one number or several axes, floats as an array has."""
        if isinstance(items, tuple):
            return self.floats()[items]
        if isinstance(items, int | np.integer):
            return self[np.array([items])].floats()[0]
        # a slice of a mapped file stays a view of it; positions copy their rows
        return replace(self, vectors=self.vectors[items], counts=chosen(self.counts, items))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        floats = self.floats() if dtype is None else self.floats().astype(dtype, copy=False)
        return floats.copy() if copy else floats

    def __matmul__(self, other: Any) -> Array:
        product: Array = self.floats() @ np.asarray(other)
        return product

    @property
    def shape(self) -> tuple[int, int]:
        """(n, dim)."""
        return len(self), self.dim

    @property
    def T(self) -> Floats:
        """(dim, n) float32."""
        return self.floats().T

    def as_dense(self, what: str) -> Dense:
        return self

    @classmethod
    def join(cls, parts: Sequence[Dense]) -> Dense:
        """The vectors of all parts. Raises ContractError for int8 codes of different ranges."""
        first = parts[0]
        ranges = [part.ranges for part in parts if part.ranges is not None]
        if any(not np.array_equal(own, ranges[0]) for own in ranges):
            raise ContractError(
                "int8 vectors with other ranges cannot be joined; join first, then quantise"
            )
        return replace(first, vectors=np.concatenate([part.vectors for part in parts]), counts=None)

    @classmethod
    def placed(cls, parts: Iterable[tuple[Array, Dense]], count: int) -> Dense:
        """The vectors of all parts in one array, which is allocated once."""
        whole: Dense | None = None
        for positions, part in parts:
            if whole is None:
                vectors = np.empty((count, *part.vectors.shape[1:]), part.vectors.dtype)
                whole = replace(part, vectors=vectors)
            whole.vectors[positions] = part.vectors
        assert whole is not None
        return whole

    def floats(self) -> Floats:
        """The vectors as (n, dim) float32: int8 codes decoded, binary as -1 and +1."""
        return STORAGES[self.storage].decode(self.vectors, self.dim, self.ranges)

    def numbers(self) -> Floats:
        return self.floats()

    def scores(self, documents: Dense) -> Floats:
        """Similarity of each of these n queries to each of m documents: (n, m) float32, higher is
        closer.

        Stored documents are decoded and the query is taken as it is, so queries are best left at
        float32.
        """
        self.check_space(documents)
        scored: Floats = similarity(self.similarity)(self.floats(), documents.floats())
        return scored

    def check_space(self, documents: Dense) -> None:
        """Raise ContractError where the dims differ."""
        if self.dim != documents.dim:
            raise ContractError(
                f"queries have {self.dim} dimensions and documents {documents.dim}; "
                "both sides need the same model and dim"
            )

    def explain(self, documents: Dense, names: Names) -> list[Match]:
        """Each token of the document, in order: a mean over tokens is a sum, and so is its product
        with the query. Nothing for any other vector, and for a distance.
        """
        found = None if self.similarity == "euclidean" else names.document_parts()
        if found is None or found[1].shape[1] != documents.dim:
            return []
        tokens, parts = found
        query = self.floats()[0]
        # the parts sum up to the document's direction: made as long as its vector is, which may be
        # of unit length or stored otherwise
        length = float(np.linalg.norm(documents.floats()[0]))
        scale = length / max(float(np.linalg.norm(parts.sum(0))), 1e-12)
        if self.similarity == "cosine":
            scale /= max(float(np.linalg.norm(query)) * length, 1e-12)
        values = (parts @ query * scale).tolist()
        return [Match(token, token, value) for token, value in zip(tokens, values, strict=True)]

    def truncate(self, dim: int) -> Dense:
        """Truncate the vectors to the first `dim` dimensions and renormalise them where the
        contract normalises (after layer_norm where it says so).

        The full dim leaves them unchanged. Matryoshka representation learning, Kusupati et al.
        2022. Raises ContractError for a dim that the vectors lack.
        """
        if not 0 < dim <= self.dim:
            raise ContractError(f"{dim} dimensions were asked for; these vectors have {self.dim}")
        if not STORAGES[self.storage].cuts:
            raise ContractError(
                f"vectors are stored as {self.storage}; truncate first, then quantise"
            )
        if dim == self.dim:
            return self
        whole = self.floats()
        if self.layer_norm:
            # 1e-5 as torch's layer_norm has it, which the model was trained with
            deviation = np.sqrt(whole.var(-1, keepdims=True) + 1e-5)
            whole = (whole - whole.mean(-1, keepdims=True)) / deviation
        # after layer_norm over all dimensions, which is how such a model was trained to be cut
        cut = whole[:, :dim]
        if self.normalise:
            cut = unit(cut)
        return replace(
            self,
            vectors=np.ascontiguousarray(cut.astype(self.vectors.dtype)),
            dim=dim,
            layer_norm=False,
        )

    def quantise(self, storage: str, *, like: Dense | None = None) -> Dense:
        """The same vectors at another storage type, one of `STORAGES`.

        One that is ranged takes the range of each dimension over these vectors, or over `like`'s
        where given. Raises ContractError for an unknown storage type, InputError for vectors with
        NaN or infinite values and for values that the storage type cannot hold.
        """
        self.check_storage(storage)
        kind = STORAGES[storage]
        floats = finite(self.floats(), "they have no place on a scale")
        ranges = None
        if kind.ranged:
            measured = floats if like is None else finite(like.floats(), "they give no range")
            ranges = kind.ranges(measured)
        vectors = kind.encode(floats, ranges)
        return replace(self, vectors=vectors, storage=storage, ranges=ranges)

    def own_arrays(self) -> dict[str, Array]:
        """`vectors.npy`, and `ranges.npy` for int8, which is the same for all items."""
        found = {VECTORS: self.vectors}
        if self.ranges is not None:
            found[RANGES] = self.ranges
        return found

    def facts(self) -> dict[str, Any]:
        names = ("dim", "storage", "similarity", "layer_norm", "normalise")
        return {name: getattr(self, name) for name in names}

    def records(self) -> list[bytes]:
        return [vector.tobytes() for vector in self.floats()]

    def of_records(self, records: Sequence[bytes]) -> Dense:
        # over a bytearray an array can be written to, over bytes it cannot
        vectors = np.frombuffer(bytearray().join(records), np.float32).reshape(-1, self.dim)
        return replace(self, vectors=vectors, storage="float32", ranges=None, counts=None)

    def peaks(self) -> Floats:
        floats = self.floats()
        # without a copy of magnitudes, which would be as large as the vectors
        highest = floats.max(1, initial=0.0)
        lowest = floats.min(1, initial=0.0)
        peaks: Floats = np.maximum(highest, -lowest)
        return peaks

    @classmethod
    def open(cls, path: str | Path) -> Dense:
        """A vector folder, memory-mapped. Raises InputError where it is not one, its parts do not
        fit, or values are not finite.
        """
        path = Path(path)
        facts = read_facts(path)
        dim = facts.integer("dim", low=1)
        storage = facts.one_of("storage", tuple(STORAGES))
        kind = STORAGES[storage]
        vectors = map_array(path / VECTORS, [kind.dtype], (items_of(facts), kind.width(dim)))
        check_finite(vectors, path / VECTORS)
        ranges = None
        if kind.ranged:
            ranges = read_array(path / RANGES, ["float32"], (2, dim))
            check_finite(ranges, path / RANGES)
        return cls(
            vectors,
            dim,
            storage,
            facts.one_of("similarity", tuple(FUNCTIONS)),
            layer_norm=facts.flag("layer_norm"),
            normalise=facts.flag("normalise"),
            ranges=ranges,
            usage=usage_of(facts),
        )


def checked_finite(vectors: Array, model: str) -> Array:
    """`vectors` unless one holds a NaN or an infinity, which raises ModelError: the model's weights
    or activations are broken.
    """
    if not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors)).any(-1).sum())
        raise ModelError(
            f"{model} gave NaN or infinite values for {bad} of {len(vectors)} texts; "
            "its weights or precision are not usable"
        )
    return vectors
