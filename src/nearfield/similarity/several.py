"""Dense, sparse and multi-vector embeddings of the same items, from one pass of one model
(BGE-M3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import VECTORS, Array, Embeddings, chosen
from nearfield.similarity.facts import items_of, part_of, read_facts, usage_of
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.sparse import STORAGES as STORAGES
from nearfield.similarity.sparse import Sparse
from nearfield.store.atomic import write_json
from nearfield.types.contract import FUSION
from nearfield.types.usage import NOTHING_READ, Usage


@dataclass(frozen=True)
class Several(Embeddings):
    """n items, each as a vector, as weights of terms and as a vector a token.

    `fusion` says what the score of each of the three counts for in the fused score; one that is
    missing counts for nothing.
    """

    kind: ClassVar[str] = "several"
    dense: Dense
    sparse: Sparse
    multi_vector: MultiVector
    fusion: Mapping[str, float] = field(default_factory=lambda: dict(FUSION))
    usage: Usage = NOTHING_READ
    counts: npt.NDArray[np.int64] | None = None

    @property
    def parts(self) -> dict[str, Embeddings]:
        """The three, by their kinds."""
        return {part.kind: part for part in (self.dense, self.sparse, self.multi_vector)}

    def __len__(self) -> int:
        return len(self.dense)

    def __getitem__(self, items: slice | Sequence[int] | Array) -> Several:
        return replace(
            self._with(part[items] for part in self.parts.values()),
            counts=chosen(self.counts, items),
        )

    @classmethod
    def join(cls, parts: Sequence[Several]) -> Several:
        """See Embeddings.join."""
        kinds = [part.parts for part in parts]
        joined = parts[0]._with(
            type(first).join([each[kind] for each in kinds]) for kind, first in kinds[0].items()
        )
        return replace(joined, counts=None)

    def _with(self, parts: Any) -> Several:
        dense, sparse, multi_vector = parts
        return replace(self, dense=dense, sparse=sparse, multi_vector=multi_vector)

    @property
    def similarity(self) -> str:  # type: ignore[override]
        """How two of the dense vectors are compared."""
        return self.dense.similarity

    @property
    def storage(self) -> str:
        """How all three are stored."""
        return self.dense.storage

    @property
    def bytes_per_item(self) -> float:
        """Mean bytes that one item takes as all three."""
        return sum(part.bytes_per_item for part in self.parts.values())

    def scores(self, documents: Several) -> npt.NDArray[np.float32]:
        """The fused score, w1 s_dense + w2 s_sparse + w3 s_multi-vector with the weights of
        `fusion`: (n, m) float32.

        Chen et al. 2024 (arXiv 2402.03216, section 3.2, s_rank). A part of weight 0 is not
        computed.
        """
        total = np.zeros((len(self), len(documents)), np.float32)
        for kind, part in self.parts.items():
            weight = self.fusion.get(kind, 0.0)
            if weight:
                total += np.float32(weight) * part.scores(documents.parts[kind])
        return total

    def quantise(self, storage: str, *, like: Several | None = None) -> Several:
        """The same items with all three stored as float32 or float16. Raises ContractError for a
        storage that one of them lacks.
        """
        # first, because it has the fewest storage types, and none that ranges are taken for
        sparse = self.sparse.quantise(storage)
        return self._with(
            (self.dense.quantise(storage), sparse, self.multi_vector.quantise(storage))
        )

    def arrays(self) -> dict[str, Array]:
        """See Embeddings.arrays: those of the three, each in a vector folder called as its kind."""
        return {
            f"{kind}/{name}": array
            for kind, part in self.parts.items()
            for name, array in part.arrays().items()
        }

    def save_facts(self, folder: Path, rows: Mapping[str, int]) -> None:
        """See Embeddings.save_facts."""
        for kind, part in self.parts.items():
            part.save_facts(
                folder / kind,
                {name.removeprefix(f"{kind}/"): count for name, count in rows.items()},
            )
        facts = {
            "kind": self.kind,
            "items": rows[f"{Dense.kind}/{VECTORS}"],
            "fusion": dict(self.fusion),
            "usage": self.usage,
        }
        write_json(folder / "vectors.json", {"format": 1} | facts)

    def records(self) -> list[bytes]:
        """See Embeddings.records: how many bytes the first and the second part take, int64 each,
        and then all three parts.
        """
        each = zip(*(part.records() for part in self.parts.values()), strict=True)
        return [np.array([len(a), len(b)], np.int64).tobytes() + a + b + c for a, b, c in each]

    def of_records(self, records: Sequence[bytes]) -> Several:
        """See Embeddings.of_records."""
        cuts = [np.cumsum(np.frombuffer(record[:16], np.int64)).tolist() for record in records]
        split = [
            (record[16 : 16 + a], record[16 + a : 16 + b], record[16 + b :])
            for record, (a, b) in zip(records, cuts, strict=True)
        ]
        parts = enumerate(self.parts.values())
        return replace(
            self._with(part.of_records([record[at] for record in split]) for at, part in parts),
            counts=None,
        )

    def peaks(self) -> npt.NDArray[np.float32]:
        """See Embeddings.peaks."""
        greatest: npt.NDArray[np.float32] = np.max(
            [part.peaks() for part in self.parts.values()], axis=0
        )
        return greatest

    @classmethod
    def open(cls, path: str | Path) -> Several:
        """See Embeddings.open."""
        path = Path(path)
        facts = read_facts(path)
        dense, sparse = (
            Dense.open(part_of(path, Dense.kind)),
            Sparse.open(part_of(path, Sparse.kind)),
        )
        multi_vector = MultiVector.open(part_of(path, MultiVector.kind))
        counts = [len(part) for part in (dense, sparse, multi_vector)]
        if set(counts) != {items_of(facts)}:
            said = f"vectors.json says {items_of(facts)} of each kind"
            raise InputError(f"holds {', '.join(map(str, counts))} items; {said}", path=path)
        fusion = facts.object("fusion")
        unknown = sorted(set(fusion) - set(FUSION))
        if unknown:
            raise InputError(
                f"fusion.{unknown[0]} is of no known kind; wanted {', '.join(FUSION)}",
                path=path / "vectors.json",
            )
        weights = {kind: fusion.number(kind, low=0) for kind in fusion}
        return cls(dense, sparse, multi_vector, weights, usage_of(facts))
