"""One vector an item, at any storage type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError, ModelError, nearest
from nearfield.similarity.embeddings import VECTORS, Array, Embeddings, chosen
from nearfield.similarity.facts import items_of, read_facts, usage_of
from nearfield.similarity.functions import FUNCTIONS, similarity, unit
from nearfield.store.array import check_finite, map_array, read_array
from nearfield.store.atomic import write_json
from nearfield.types.contract import Contract
from nearfield.types.usage import NOTHING_READ
from nearfield.types.usage import Usage as Usage

STORAGES = ("float32", "float16", "int8", "binary")
DTYPES = {"float32": "float32", "float16": "float16", "int8": "uint8", "binary": "uint8"}
"""Of the numbers that each storage type holds."""
RANGES = "ranges.npy"


@dataclass(frozen=True)
class Dense(Embeddings):
    """n vectors of one length.

    `vectors`: (n, dim) float32 or float16; (n, dim) uint8 codes for int8; (n, ceil(dim / 8)) uint8
    packed signs for binary. `dim` is the number of dimensions, whatever the storage. `ranges`: (2,
    dim) float32, for int8 the least value and the step of each dimension's codes. `layer_norm` is
    the contract's: apply a parameter-free layer_norm before a cut.
    """

    kind: ClassVar[str] = "dense"
    vectors: Array
    dim: int
    storage: str = "float32"
    similarity: str = "cosine"
    layer_norm: bool = False
    normalise: bool = True
    ranges: Array | None = None
    usage: Usage = NOTHING_READ
    counts: npt.NDArray[np.int64] | None = None

    @classmethod
    def under(
        cls,
        contract: Contract,
        vectors: Array,
        *,
        usage: Usage = NOTHING_READ,
        counts: npt.NDArray[np.int64] | None = None,
    ) -> Dense:
        """Vectors (n, dim) float32 as a model made them, with what its contract says of
        their use.
        """
        kept = contract
        return cls(
            vectors,
            kept.dim,
            "float32",
            kept.similarity,
            kept.layer_norm,
            kept.normalise,
            usage=usage,
            counts=counts,
        )

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, items: slice | Sequence[int] | Array) -> Dense:
        return replace(self, vectors=self.vectors[items], counts=chosen(self.counts, items))

    @classmethod
    def join(cls, parts: Sequence[Dense]) -> Dense:
        """See Embeddings.join; int8 codes are only joined where their ranges are the same."""
        first = parts[0]
        ranges = [part.ranges for part in parts if part.ranges is not None]
        if any(not np.array_equal(own, ranges[0]) for own in ranges):
            raise ContractError(
                "int8 vectors with other ranges cannot be joined; join first, then quantise"
            )
        return replace(first, vectors=np.concatenate([part.vectors for part in parts]), counts=None)

    @property
    def bytes_per_item(self) -> float:
        """Bytes that one vector takes in memory and on disk."""
        return float(self.vectors.itemsize * self.vectors.shape[1])

    def floats(self) -> npt.NDArray[np.float32]:
        """The vectors as (n, dim) float32: int8 codes decoded, binary as -1 and +1."""
        if self.storage == "int8":
            assert self.ranges is not None
            decoded: npt.NDArray[np.float32] = (
                self.vectors.astype(np.float32) * self.ranges[1] + self.ranges[0]
            )
            return decoded
        if self.storage == "binary":
            return np.unpackbits(self.vectors, axis=1, count=self.dim).astype(np.float32) * 2 - 1
        return self.vectors.astype(np.float32, copy=False)

    def scores(self, documents: Dense) -> npt.NDArray[np.float32]:
        """Similarity of each of these n queries to each of m documents: (n, m) float32, higher is
        closer.

        Stored documents are decoded and the query is taken as it is, so queries are best left at
        float32.
        """
        if self.dim != documents.dim:
            raise ContractError(
                f"queries have {self.dim} dimensions and documents "
                f"{documents.dim}; both sides need the same model and dim"
            )
        scored: npt.NDArray[np.float32] = similarity(self.similarity)(
            self.floats(), documents.floats()
        )
        return scored

    def truncate(self, dim: int) -> Dense:
        """The first `dim` dimensions, renormalised where the contract normalises (after layer_norm
        where it says so).

        All dimensions are the model's own vectors, unchanged. Matryoshka representation learning,
        Kusupati et al. 2022. Raises ContractError for a dim that the vectors lack.
        """
        if not 0 < dim <= self.dim:
            raise ContractError(f"{dim} dimensions were asked for; these vectors have {self.dim}")
        if self.storage in ("int8", "binary"):
            raise ContractError(
                f"vectors are stored as {self.storage}; truncate first, then quantise"
            )
        if dim == self.dim:
            return self
        whole = self.floats()
        if self.layer_norm:
            whole = (whole - whole.mean(-1, keepdims=True)) / np.sqrt(
                whole.var(-1, keepdims=True) + 1e-5
            )
        cut = whole[:, :dim]
        cut = unit(cut) if self.normalise else cut
        return replace(
            self,
            vectors=np.ascontiguousarray(cut.astype(self.vectors.dtype)),
            dim=dim,
            layer_norm=False,
        )

    def quantise(self, storage: str, *, like: Dense | None = None) -> Dense:
        """The same vectors stored as float32, float16, int8 or binary.

        int8 cuts each dimension's range, over these vectors or over `like`'s where given, into 255
        equal steps, and clips what lies outside; binary keeps the sign of each dimension. Raises
        ContractError for an unknown storage type, InputError for vectors with NaN or infinite
        values and for values that float16 cannot hold.
        """
        if storage not in STORAGES:
            raise ContractError(
                f"there is no storage type {storage!r}; wanted one of "
                f"{', '.join(STORAGES)}.{nearest(storage, STORAGES)}"
            )
        floats = _finite(self.floats(), "they have no place on a scale")
        if storage == "int8":
            source = floats if like is None else _finite(like.floats(), "they give no range")
            low = source.min(0) if len(source) else np.zeros(self.dim, np.float32)
            step = (
                np.maximum((source.max(0) - low) / 255, 1e-12)
                if len(source)
                else np.ones(self.dim, np.float32)
            )
            codes = np.clip(np.rint((floats - low) / step), 0, 255).astype(np.uint8)
            return replace(
                self,
                vectors=codes,
                storage=storage,
                ranges=np.stack([low, step]).astype(np.float32),
            )
        if storage == "binary":
            return replace(
                self, vectors=np.packbits(floats > 0, axis=1), storage=storage, ranges=None
            )
        with np.errstate(over="ignore"):
            vectors = _finite(
                floats.astype(storage),
                f"{storage} holds values up to {np.finfo(storage).max:g}; keep float32",
            )
        return replace(self, vectors=vectors, storage=storage, ranges=None)

    def arrays(self) -> dict[str, Array]:
        """See Embeddings.arrays: `vectors.npy`, and `ranges.npy` for int8, which is the same for
        all items.
        """
        return {VECTORS: self.vectors} | ({} if self.ranges is None else {RANGES: self.ranges})

    def save_facts(self, folder: Path, rows: Mapping[str, int]) -> None:
        """See Embeddings.save_facts."""
        names = ("kind", "dim", "storage", "similarity", "layer_norm", "normalise", "usage")
        write_json(
            folder / "vectors.json",
            {"format": 1, "items": rows[VECTORS]} | {name: getattr(self, name) for name in names},
        )

    def records(self) -> list[bytes]:
        """See Embeddings.records."""
        return [vector.tobytes() for vector in self.floats()]

    def of_records(self, records: Sequence[bytes]) -> Dense:
        """See Embeddings.of_records."""
        vectors = np.frombuffer(b"".join(records), np.float32).reshape(-1, self.dim)
        return replace(self, vectors=vectors, storage="float32", ranges=None, counts=None)

    def peaks(self) -> npt.NDArray[np.float32]:
        """See Embeddings.peaks."""
        peaks: npt.NDArray[np.float32] = np.abs(self.floats()).max(1, initial=0.0)
        return peaks

    @classmethod
    def open(cls, path: str | Path) -> Dense:
        """A vector folder, memory-mapped. Raises InputError where the folder is none, its parts do
        not fit, or values are not finite.
        """
        path = Path(path)
        facts = read_facts(path)
        items, dim = items_of(facts), facts.integer("dim", low=1)
        storage = facts.one_of("storage", STORAGES)
        width = -(-dim // 8) if storage == "binary" else dim
        vectors = map_array(path / VECTORS, [DTYPES[storage]], (items, width))
        check_finite(vectors, path / VECTORS)
        ranges = read_array(path / RANGES, ["float32"], (2, dim)) if storage == "int8" else None
        if ranges is not None:
            check_finite(ranges, path / RANGES)
        kept = {name: facts.flag(name) for name in ("layer_norm", "normalise")}
        metric = facts.one_of("similarity", tuple(FUNCTIONS))
        return cls(vectors, dim, storage, metric, ranges=ranges, usage=usage_of(facts), **kept)


def _finite(vectors: Array, why: str) -> Array:
    """`vectors` unless one holds a NaN or an infinity, which raises InputError."""
    if vectors.dtype.kind == "f" and not np.isfinite(vectors).all():
        bad = np.flatnonzero(~np.isfinite(vectors).all(-1))
        raise InputError(
            f"{len(bad)} of these vectors hold NaN or infinite values, the first at {bad[0]}: {why}"
        )
    return vectors


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
