"""The one way to ask for the closest documents, however they are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sized
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from nearfield.errors import ContractError
from nearfield.indexes.top import TopK
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Mask, Positions
from nearfield.types.ranking import Ranking

E = TypeVar("E", bound=Embeddings)


class Index(Sized, ABC, Generic[E]):
    """m documents that can be searched; `takes` is the class of their embeddings and of the
    queries'.
    """

    kind: ClassVar[str]
    takes: type[E]
    documents: Any

    def __len__(self) -> int:
        return len(self.documents)

    @classmethod
    @abstractmethod
    def of(cls, documents: E) -> Self:
        """An index of these embeddings. Raises ContractError where they are of another kind."""

    @abstractmethod
    def search(self, query: Embeddings, k: int, *, where: Mask | None = None) -> Ranking:
        """The k closest documents to each of n queries, best first, equal scores by smaller
        position; the ranking has no ids yet (see `Ranking.named`).

        `where`: (m,) bool, True for a document that may be found; all of them when not given.
        Raises InputError where k is below 1, ContractError where queries and documents do not fit.
        """

    @classmethod
    def fitting(cls, embeddings: Embeddings) -> E:
        """The embeddings, where this kind of index takes them. Raises ContractError otherwise."""
        if not isinstance(embeddings, cls.takes):
            raise ContractError(
                f"the index {cls.kind} is for {cls.takes.kind} embeddings; got {embeddings.kind}"
            )
        return embeddings


def allowed(where: Mask | None, documents: int) -> Positions | None:
    """The positions that `where` allows, ascending; None where that is all. Raises ContractError
    where it is not for so many documents.
    """
    if where is None:
        return None
    given = np.asarray(where)
    if given is not where or given.dtype != bool or given.shape != (documents,):
        raise ContractError(
            f"`where` is {given.dtype} of shape {given.shape}; wanted ({documents},), a bool array"
        )
    return np.flatnonzero(where)


def ranking_of(found: TopK, positions: Positions | None = None) -> Ranking:
    """A ranking without ids; `positions` are those of the documents that were searched."""
    documents, scores = found
    if positions is not None:
        # -1, where nothing was found, is the last of them
        documents = np.append(positions, -1)[documents]
    return Ranking((), (), documents, scores)


def exact_index(documents: Embeddings) -> Index[Any]:
    """The index that finds what scoring every document finds, the fastest for these embeddings."""
    from nearfield.indexes import INDEXES

    name = "scored"
    if documents.one_vector:
        name = "exact"
    elif documents.inverts:
        name = "inverted"
    return INDEXES[name].of(documents)
