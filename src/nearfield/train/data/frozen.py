"""A collection's vectors as they are, from a model or from a file: what an adapter or a bridge is
trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.data.trained_on import UNKNOWN, TrainedOn
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError, InputError
from nearfield.evaluate.systems import DEPTH, System
from nearfield.evaluate.trained import trained_queries
from nearfield.indexes.index import exact_index
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import VECTORS, Embeddings
from nearfield.similarity.open import open_embeddings
from nearfield.similarity.stored import read_ids
from nearfield.store.array import check_finite, map_array
from nearfield.store.made_by import MadeBy
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT, QUERY


@dataclass(frozen=True)
class FrozenVectors:
    """`documents` and `queries` hold one vector for each of the collection's, in its order; `name`
    says whose they are.

    `trained_on`: what their model was trained on, as far as its folder is known and says so.
    """

    name: str
    collection: Collection
    documents: Dense
    queries: Dense
    trained_on: TrainedOn = UNKNOWN

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        collection: Collection,
        *,
        documents: Dense | None = None,
        progress: Progress = silent,
    ) -> FrozenVectors:
        """By `encoder`; `documents` are taken as they are where given. Raises ContractError where
        its embeddings are not dense.
        """
        if not EMBEDDINGS[encoder.contract.kind].one_vector:
            raise ContractError(
                f"{encoder.contract.name}: makes {encoder.contract.kind} embeddings, and what is "
                "trained maps dense vectors"
            )
        if documents is None:
            texts = collection.document_texts
            made = encoded(encoder, texts, DOCUMENT, progress=progress)
            documents = made.as_dense("training")
        queries = encoded(encoder, collection.query_texts, QUERY).as_dense("training")
        name = encoder.contract.name
        return cls(name, collection, documents, queries, encoder.trained_on)

    @classmethod
    def read(
        cls, documents: str | Path, queries: str | Path, collection: Collection
    ) -> FrozenVectors:
        """From two vector folders (`nearfield encode`, or `vectors.npy` with `ids.jsonl` of any
        origin).

        Raises InputError where a document or a query of the collection has no vector.
        """
        read = stored_vectors(documents, collection.document_ids, "document")
        asked = stored_vectors(queries, collection.query_ids, "query")
        if read.dim != asked.dim:
            raise ContractError(
                f"documents have {read.dim} dimensions and queries {asked.dim}; "
                "both need the same model"
            )
        made = MadeBy.open(Path(queries))
        known = UNKNOWN if made is None else TrainedOn.read(made.source)
        return cls(Path(documents).name, collection, read, asked, known)

    def of_split(self, split: Split) -> Dense:
        """The vectors of a split's queries, in its order."""
        place = {key: row for row, key in enumerate(self.collection.query_ids)}
        return self.queries[[place[key] for key in split.query_ids]]

    def ranking(
        self, split: Split, queries: Dense | None = None, documents: Dense | None = None
    ) -> Ranking:
        """What the split's queries find, by other vectors where these are given."""
        if queries is None:
            queries = self.of_split(split)
        if documents is None:
            documents = self.documents
        ids = self.collection.document_ids
        index = exact_index(documents)
        return retrieve(queries, index, Queries.of(split), ids, k=min(DEPTH, len(ids)))

    def system(self, name: str, model: str, split: Split, ranking: Ranking) -> System:
        """A row of a comparison with this ranking."""
        # no speed: nothing of it was encoded for this row alone
        return System(
            name,
            model,
            dim=self.documents.dim,
            storage=self.documents.storage,
            ranking=ranking,
            bytes_per_document=self.documents.bytes_per_item,
            documents_per_second=None,
            query_milliseconds=None,
            trained_on=trained_queries(self.trained_on, split),
        )


def stored_vectors(folder: str | Path, ids: Sequence[str], what: str) -> Dense:
    """The vectors in `folder` for `ids`, in their order: a vector folder, or a folder with float
    `vectors.npy` and `ids.jsonl`.

    Vectors of other ids are left out. Raises InputError for ids without a vector, ContractError for
    embeddings of another kind than dense.
    """
    folder = Path(folder)
    stored = _opened(folder)
    if not stored.one_vector:
        raise ContractError(f"{folder}: holds {stored.kind} embeddings; wanted dense vectors")
    stored = stored.as_dense("training")
    found = read_ids(folder)
    if found is None:
        # without ids the vectors can only be in the order of the collection
        if len(stored) != len(ids):
            raise InputError(
                f"has no ids.jsonl and {len(stored)} vectors for {len(ids)} ids; give ids.jsonl, "
                "one JSON string per line",
                path=folder,
            )
        return stored
    names = list(found)
    if len(names) != len(stored):
        raise InputError(
            f"holds {len(stored)} vectors and {len(names)} ids; wanted one id per vector",
            path=folder,
        )
    place = {name: row for row, name in enumerate(names)}
    missing = [key for key in ids if key not in place]
    if missing:
        raise InputError(
            f"{len(missing):,} of {len(ids):,} ids have no {what} vector, the first is "
            f"{missing[0]!r}; embed them too",
            path=folder,
        )
    return stored[np.array([place[key] for key in ids], np.int64)]


def _opened(folder: Path) -> Embeddings:
    """What is in a vector folder, or the plain array of another tool's."""
    if (folder / "vectors.json").is_file():
        return open_embeddings(folder)
    path = folder / VECTORS
    vectors = map_array(path, ["float32", "float16", "float64"], (None, None)).astype(np.float32)
    check_finite(vectors, path)
    return Dense(vectors, vectors.shape[1])
