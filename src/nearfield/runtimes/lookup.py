"""The runtime of a sparse model whose queries are looked up in a table: they need no torch and no
transformer.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.batch.sequences import different
from nearfield.errors import ModelError
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.router import read_term_weights
from nearfield.kernels.matrix import PRECISIONS
from nearfield.runtimes import RUNTIMES
from nearfield.runtimes.hardware import cores
from nearfield.runtimes.native import NativeRuntime
from nearfield.runtimes.options import ON_CPU, OpenOptions
from nearfield.runtimes.runtime import Folder, Runtime
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.sparse import Sparse
from nearfield.types.arrays import Floats


class LookupRuntime(Runtime):
    """Queries by numpy from the table; documents by the native runtime, or else by torch, opened
    when the first of them comes.
    """

    name = "lookup"
    precisions = PRECISIONS  # int8 where the native runtime makes the documents
    kinds = ("sparse",)
    batch_tokens = 2048  # of documents, as for the others

    def __init__(self, folder: ModelFolder, weights: Floats, options: OpenOptions) -> None:
        self.precision = options.precision
        self.streams = cores() if options.runtime == NativeRuntime.name else 1
        self._folder = folder
        self._weights = weights
        self._options = options
        self._documents: Runtime | None = None
        self._opening = Lock()

    @classmethod
    def why_not(cls, folder: Folder) -> str | None:
        if isinstance(folder, ModelFolder) and folder.queries is not None:
            return None
        return "this model's queries are not looked up"

    @classmethod
    def open(cls, folder: Folder, options: OpenOptions = ON_CPU) -> LookupRuntime:
        """Raises ModelError where the table is missing, damaged or not of the documents'
        vocabulary.
        """
        assert isinstance(folder, ModelFolder)
        assert folder.queries is not None
        documents = replace(folder, queries=None)
        hindrance = NativeRuntime.why_not(documents)
        if hindrance is not None and options.precision == "int8":
            raise ModelError(f"{folder.path}: int8 is of the native runtime, which {hindrance}")
        runtime = "native" if hindrance is None else "torch"
        weights = read_term_weights(folder.queries, folder.contract.dim)
        return cls(documents, weights, replace(options, runtime=runtime, device="cpu"))

    def run(self, batch: Packed) -> Embeddings:
        # an empty batch asks for the kind alone, for which no transformer is opened
        if batch.looked_up or not len(batch):
            return self._looked_up(batch)
        # several streams may bring the first documents at once
        with self._opening:
            if self._documents is None:
                opener = RUNTIMES[self._options.runtime]
                self._documents = opener.open(self._folder, self._options)
        return self._documents.run(batch)

    def _looked_up(self, batch: Packed) -> Sparse:
        """Each sequence's different terms with their weights, the terms rising."""
        size = len(self._weights)
        contract = self._folder.contract
        if len(batch.ids) and batch.ids.max() >= size:
            raise ModelError(
                f"a token has the number {batch.ids.max()} and there are {size} "
                "weights; is the tokeniser this model's?"
            )
        row, term = different(batch, size)
        weights = self._weights[term]
        weighed = weights != 0
        offsets = np.searchsorted(row[weighed], np.arange(len(batch) + 1)).astype(np.int64)
        found = Sparse(
            weights[weighed],
            term[weighed].astype(np.int32),
            offsets,
            size,
            similarity=contract.similarity,
        )
        if contract.max_terms is None:
            return found
        return found.truncate(contract.max_terms)
