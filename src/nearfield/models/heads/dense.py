"""One vector per text: pooled, projected and normalised as the contract says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.models.heads.arrays import normalised, to_numpy
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.layer import Layer
from nearfield.models.heads.pooling import POOLINGS
from nearfield.models.heads.represented import Rows
from nearfield.models.heads.segments import Segments
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.types.arrays import Integers
from nearfield.types.contract import Contract


class DenseHead(Head[Any]):
    """(T, hidden) to (n, dim) float32; a sequence without a token to pool is pooled to zeros."""

    kind: ClassVar[str] = "dense"
    light: ClassVar[bool] = True

    def __init__(self, contract: Contract, projections: Sequence[Layer] = ()) -> None:
        self.contract = contract
        self.projections = projections

    @classmethod
    def open(cls, given: Given) -> DenseHead:
        folder = given.folder
        projections = [Layer.open(part) for part in folder.projections]
        if given.hidden not in (0, folder.contract.dim) and not projections:
            raise ModelError(
                f"{folder.path}: the states have {given.hidden} dimensions, and "
                f"config.json says {folder.contract.dim}"
            )
        return cls(folder.contract, projections)

    def save(self, stage: Path, projections: Sequence[Path]) -> None:
        from nearfield.store.tensors import write_tensors

        for folder, projection in zip(projections, self.projections, strict=True):
            write_tensors(folder / "model.safetensors", projection.stored())

    def forward(self, states: Any, batch: Packed) -> Any:
        """(n, dim)."""
        # every sequence of a batch has a prompt of one length, which is skipped in pooling
        segments = Segments(batch, skip=self._skipped(batch))
        return self.finish(POOLINGS[self.contract.pooling](states, segments))

    def finish(self, pooled: Any) -> Any:
        """(n, hidden), what was pooled of each sequence, to (n, dim)."""
        vectors = pooled
        for projection in self.projections:
            vectors = projection(vectors)
        if self.contract.normalise:
            return normalised(vectors)
        return vectors

    def picked(self, batch: Packed) -> Integers | None:
        last = batch.lengths - 1
        skip = self._skipped(batch)
        # a sequence that is all prompt has no token to pool; its first stands for none
        first = np.where(last >= skip, skip, 0)
        return {"cls": first, "last": last}.get(self.contract.pooling)

    def _skipped(self, batch: Packed) -> int:
        if self.contract.include_prompt:
            return 0
        return batch.prompt_tokens

    def embeddings(self, output: Any, batch: Packed) -> Dense:
        vectors = checked_finite(to_numpy(output), self.contract.name)
        return Dense.under(self.contract, vectors)

    def items(self, output: Any, parts: Sequence[Packed]) -> Rows:
        kept = self.contract
        return Rows(output, kept.similarity, kept.layer_norm, kept.normalise)
