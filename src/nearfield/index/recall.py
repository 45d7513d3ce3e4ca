"""How much of exact search a shortlist finds, and how long it has to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.index.exact import exact_top_k
from nearfield.index.shortlist import Shortlist
from nearfield.similarity.dense import Dense

QUERIES = 256  # documents that stand in for queries where none are given
LONGEST = 128  # oversampling that is tried; beyond, most of the time goes to scoring the shortlist
# times what reading a vector in its turn takes, it takes to score one from a shortlist
SCATTERED = 20
SURE = 1.645  # standard errors below the mean recall: 95 % sure that the true one is not lower

Kind = TypeVar("Kind", bound=Shortlist)


def fitted(
    index: Kind, documents: Dense, *, k: int = 10, recall: float = 0.98, sample: Dense | None = None
) -> Kind:
    """The index with the smallest oversampling whose recall at k reaches `recall`, measured against
    exact search.

    `sample` holds queries; without it up to 256 of the documents, evenly spaced, are asked for
    their neighbours. Recall is the share of the exact k best that a search finds, and it counts as
    reached when the lower end of its one-sided 95 % interval over the sample does. Raises
    InputError for a recall that is not between 0 and 1, for an empty sample, and where it is not
    reached at 128.
    """
    _check(recall)
    return _fitted(
        index,
        documents,
        neighbours(documents, k=k, sample=sample, similarity=index.similarity),
        k=k,
        recall=recall,
    )


def _fitted(index: Kind, documents: Dense, known: Neighbours, *, k: int, recall: float) -> Kind:
    ranks = _places(index, documents, known, k=k)
    for oversampling in range(1, LONGEST + 1):
        shares = (ranks < k * oversampling).mean(1)
        reached = shares.mean() - SURE * shares.std() / np.sqrt(len(shares))
        if reached >= recall:
            return replace(index, oversampling=oversampling, k=k, recall=recall)
    raise InputError(
        f"the {index.kind} index finds {shares.mean():.3f} of the {k} best among {LONGEST} times "
        f"as many candidates ({reached:.3f} for "
        f"sure); wanted {recall:g}: ask for less, or use exact search"
    )


def narrowest(
    kind: type[Kind],
    documents: Dense,
    *,
    k: int = 10,
    recall: float = 0.98,
    sample: Dense | None = None,
) -> Kind:
    """The index of this kind, in the size with which a search reads least and reaches the `recall`:
    `fitted`, as which it raises.

    Smaller stand-ins are read faster and need a longer shortlist, and which way is shorter depends
    on the vectors and on their number.
    """
    _check(recall)
    known = neighbours(documents, k=k, sample=sample, similarity=documents.similarity)
    best: Kind | None = None
    least, failed = float("inf"), InputError(f"there is no {kind.kind} index to measure")
    for index in kind.sizes(documents):
        stand_ins = index.bytes_per_document * len(documents)
        if stand_ins >= least:
            break
        try:
            index = _fitted(index, documents, known, k=k, recall=recall)
        except InputError as error:
            failed = error
            continue
        read = stand_ins + SCATTERED * k * index.oversampling * documents.bytes_per_item
        if read < least:
            best, least = index, read
    if best is None:
        raise failed
    return best


def places(
    index: Shortlist, documents: Dense, *, k: int, sample: Dense | None = None
) -> npt.NDArray[np.int64]:
    """At which place of the shortlist each of the exact k best stands: (n, k) int64, from 0; the
    number of documents for none.

    `sample` as for `fitted`. Raises InputError for an empty sample.
    """
    return _places(
        index,
        documents,
        neighbours(documents, k=k, sample=sample, similarity=index.similarity),
        k=k,
    )


def _places(
    index: Shortlist, documents: Dense, known: Neighbours, *, k: int
) -> npt.NDArray[np.int64]:
    index.check(known.asked, documents)
    own, wanted = known.own, known.found
    candidates = index.candidates(
        known.asked.floats(), min(len(documents), k * LONGEST + (own is not None))
    )
    found = np.empty((len(wanted), min(k, wanted.shape[1] - (own is not None))), np.int64)
    for row in range(len(wanted)):
        exact, listed = wanted[row], candidates[row]
        if own is not None:  # a document is its own neighbour, which tells nothing
            exact, listed = exact[exact != own[row]], listed[listed != own[row]]
        place = {document: at for at, document in enumerate(listed.tolist())}
        found[row] = [
            place.get(document, len(documents)) for document in exact[: found.shape[1]].tolist()
        ]
    return found


@dataclass(frozen=True)
class Neighbours:
    """What a shortlist is measured by: `found: (n, k)`, the exact best documents of the n queries
    `asked`.

    Where these are documents themselves, at the positions `own: (n,)`, each has one more neighbour,
    which may be itself.
    """

    asked: Dense
    found: npt.NDArray[np.int64]
    own: npt.NDArray[np.int64] | None


def neighbours(documents: Dense, *, k: int, sample: Dense | None, similarity: str) -> Neighbours:
    """The exact k best of the sample, or without one of some of the documents, compared by
    `similarity`. Raises InputError for an empty sample and for fewer than two documents.
    """
    own = (
        np.unique(np.linspace(0, max(0, len(documents) - 1), QUERIES).astype(np.int64))
        if sample is None
        else None
    )
    asked = sample if own is None else replace(documents[own], similarity=similarity)
    if asked is None or not len(asked) or len(documents) < 2:
        raise InputError(
            "there is nothing to measure recall with; wanted one query at least, and two documents"
        )
    return Neighbours(
        asked, exact_top_k(asked, documents, min(len(documents), k + (own is not None)))[0], own
    )


def _check(recall: float) -> None:
    if not 0 < recall < 1:
        raise InputError(
            f"a recall of {recall:g} was asked for; wanted more than 0 and less than "
            "1 (exact search has 1)"
        )
