"""How much of exact search a shortlist finds, and how long it has to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from nearfield.errors import InputError
from nearfield.indexes.exact import Exact
from nearfield.indexes.shortlist import Shortlist
from nearfield.similarity.dense import Dense
from nearfield.types.arrays import Positions

QUERIES = 256  # documents that stand in for queries where none are given
LONGEST = 128  # oversampling that is tried; beyond, most of the time goes to scoring the shortlist
# times what reading a vector in its turn takes, it takes to score one from a shortlist
SCATTERED = 20
SURE = 1.645  # standard errors below the mean recall: 95 % sure that the true one is not lower
K, RECALL = 10, 0.98  # the results that count, and the share of them to find

Kind = TypeVar("Kind", bound=Shortlist)


@dataclass(frozen=True)
class Neighbours:
    """What a shortlist is measured by: `found: (n, k)`, the exact best documents of the n queries
    `asked`.

    Where these are documents themselves, at the positions `own: (n,)`, each has one more neighbour,
    which may be itself.
    """

    asked: Dense
    found: Positions
    own: Positions | None
    k: int

    @classmethod
    def of(cls, documents: Dense, k: int, sample: Dense | None) -> Neighbours:
        """The exact k best of the `sample`, or without one of some of the documents. Raises
        InputError for an empty sample and for fewer than two documents.
        """
        own = None
        asked = sample
        if asked is None:
            last = max(0, len(documents) - 1)
            own = np.unique(np.linspace(0, last, QUERIES).astype(np.int64))
            asked = documents[own]
        if not len(asked) or len(documents) < 2:
            raise InputError(
                "there is nothing to measure recall with; wanted one query at least, and two "
                "documents"
            )
        deep = min(len(documents), k + (own is not None))
        return cls(asked, Exact(documents).search(asked, deep).documents, own, k)

    def places(self, index: Shortlist) -> Positions:
        """At which place of the shortlist each of the exact k best stands: (n, k) int64, from 0;
        the number of documents for none.
        """
        spare = self.own is not None
        count = min(len(index), self.k * LONGEST + spare)
        candidates = index.candidates(index.asked(self.asked).floats(), count)
        k = min(self.k, self.found.shape[1] - spare)
        places = []
        for row, (exact, listed) in enumerate(zip(self.found, candidates, strict=True)):
            if self.own is not None:  # a document is its own neighbour, which tells nothing
                exact = exact[exact != self.own[row]]
                listed = listed[listed != self.own[row]]
            place = {document: at for at, document in enumerate(listed.tolist())}
            places.append([place.get(document, len(index)) for document in exact[:k].tolist()])
        return np.array(places, np.int64).reshape(-1, k)

    def fitted(self, index: Kind, recall: float) -> Kind:
        """The index with the smallest oversampling whose recall at k reaches `recall`.

        Recall is the share of the exact k best that a search finds, and it counts as reached when
        the lower end of its one-sided 95 % interval over the queries does. Raises InputError for a
        recall that is not between 0 and 1, and where it is not reached at 128.
        """
        check_recall(recall)
        ranks = self.places(index)
        k = self.k
        for oversampling in range(1, LONGEST + 1):
            shares = (ranks < k * oversampling).mean(1)  # (n,) the recall of each query
            reached = shares.mean() - SURE * shares.std() / np.sqrt(len(shares))
            if reached >= recall:
                return replace(index, oversampling=oversampling, k=k, recall=recall)
        raise InputError(
            f"the {index.kind} index finds {shares.mean():.3f} of the {k} best among {LONGEST} "
            f"times as many candidates ({reached:.3f} for "
            f"sure); wanted {recall:g}: ask for less, or use exact search"
        )


def check_recall(recall: float) -> None:
    """Raise InputError for a recall that is not between 0 and 1."""
    if not 0 < recall < 1:
        raise InputError(
            f"a recall of {recall:g} was asked for; wanted more than 0 and less than "
            "1 (exact search has 1)"
        )


def narrowest(
    kind: type[Kind],
    documents: Dense,
    *,
    k: int = K,
    recall: float = RECALL,
    sample: Dense | None = None,
) -> Kind:
    """The index of this kind, in the size with which a search reads least and reaches the `recall`
    at k.

    `sample` holds queries; without it up to 256 of the documents, evenly spaced, are asked for
    their neighbours. Raises as `Neighbours.of` and `Neighbours.fitted` do.

    Smaller stand-ins are read faster and need a longer shortlist, and which way is shorter depends
    on the vectors and on their number.
    """
    check_recall(recall)  # before an exact search, which takes minutes over many documents
    known = Neighbours.of(documents, k, sample)
    best: Kind | None = None
    least = float("inf")
    failed = InputError(f"there is no {kind.kind} index to measure")
    for index in kind.sizes(documents):
        stand_ins = index.bytes_per_document * len(documents)
        if stand_ins >= least:  # they alone, and all that follow are larger
            break
        try:
            index = known.fitted(index, recall)
        except InputError as error:
            failed = error
            continue
        read = stand_ins + SCATTERED * k * index.oversampling * documents.bytes_per_item
        if read < least:
            best = index
            least = read
    if best is None:
        raise failed
    return best
