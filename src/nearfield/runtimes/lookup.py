"""The runtime of a sparse model whose queries are looked up in a table: they need no torch and no
transformer.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.router import read_term_weights
from nearfield.kernels.matrix import PRECISIONS
from nearfield.runtimes.hardware import cores
from nearfield.runtimes.native import NativeRuntime, why_not_documents
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.sparse import Sparse


class LookupRuntime(Runtime):
    """Queries by numpy from the table; documents by the kernels, or by torch, opened when the first
    of them comes.
    """

    name = "lookup"
    precisions = PRECISIONS  # int8 where the kernels make the documents
    kinds = ("sparse",)
    batch_tokens = 2048  # of documents, as for the others

    def __init__(
        self, folder: ModelFolder, weights: npt.NDArray[np.float32], *, precision: str = "float32"
    ) -> None:
        self.precision, self.native = precision, why_not_documents(folder) is None
        self.streams = cores() if self.native else 1
        self._folder, self._weights = folder, weights
        self._documents: Runtime | None = None
        self._opening = Lock()

    @classmethod
    def open(cls, folder: ModelFolder, *, precision: str = "float32") -> LookupRuntime:
        """The runtime of a model folder. Raises ModelError where its table is missing, damaged or
        not of the documents' vocabulary.
        """
        hindrance = why_not(folder)
        if precision == "int8" and hindrance is None:
            hindrance = why_not_documents(folder)
        if hindrance is not None or folder.queries is None:
            raise ModelError(f"{folder.path}: the lookup runtime is not for it: {hindrance}")
        return cls(
            folder, read_term_weights(folder.queries, folder.contract.dim), precision=precision
        )

    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """Not for this kind: see Runtime.represent."""
        raise NotImplementedError(f"{self.name} makes sparse embeddings alone")

    def represent(self, batch: Packed) -> Embeddings:
        """See Runtime.represent."""
        if batch.looked_up or not len(batch):
            return self._looked_up(batch)
        with self._opening:
            if self._documents is None and self.native:
                self._documents = NativeRuntime.open(self._folder, precision=self.precision)
            elif self._documents is None:
                from nearfield.runtimes.torch_runtime import TorchRuntime

                self._documents = TorchRuntime.open(self._folder, precision=self.precision)
        return self._documents.represent(batch)

    def _looked_up(self, batch: Packed) -> Sparse:
        """Each sequence's different terms with their weights, the terms rising."""
        size, contract = len(self._weights), self._folder.contract
        if len(batch.ids) and batch.ids.max() >= size:
            raise ModelError(
                f"a token has the number {batch.ids.max()} and there are {size} "
                "weights; is the tokeniser this model's?"
            )
        row = np.repeat(np.arange(len(batch)), batch.lengths)
        row, term = np.divmod(np.unique(row * size + batch.ids), size)
        weighed = self._weights[term] != 0
        row, term = row[weighed], term[weighed]
        offsets = np.searchsorted(row, np.arange(len(batch) + 1)).astype(np.int64)
        found = Sparse(
            self._weights[term],
            term.astype(np.int32),
            offsets,
            size,
            similarity=contract.similarity,
        )
        return found if contract.max_terms is None else found.truncate(contract.max_terms)


def why_not(folder: ModelFolder) -> str | None:
    """What keeps this runtime from a folder: that its queries go through the transformer."""
    return None if folder.queries is not None else "this model's queries are not looked up"
