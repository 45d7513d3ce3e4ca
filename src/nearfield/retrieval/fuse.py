"""Several rankings of the same queries and documents to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfield.errors import InputError
from nearfield.indexes.top import best, empty_top_k
from nearfield.types.ranking import Ranking

CONSTANT = 60  # Cormack et al.'s, who found that it matters little


def reciprocal_rank_fusion(
    rankings: Sequence[Ranking], *, k: int, constant: int = CONSTANT
) -> Ranking:
    """Score of a document: the sum over the rankings that hold it of 1 / (constant + its rank
    there, from 1).

    Cormack, Clarke and Buettcher 2009. Equal scores go to the smaller document position. Raises
    InputError for no ranking, or rankings of different queries or documents.
    """
    if not rankings:
        raise InputError("there is no ranking to fuse; wanted at least one")
    first = rankings[0]
    for other in rankings[1:]:
        # positions are compared across rankings, so that they must be of the same documents
        if not (
            _same(first.query_ids, other.query_ids)
            and _same(first.document_ids, other.document_ids)
        ):
            raise InputError(
                "rankings of different queries or documents cannot be fused; make "
                "each from the same collection and split"
            )
    found, scores = empty_top_k(len(first.query_ids), k)
    # (n, all results): each ranking's documents beside the next one's, and their ranks
    columns = np.concatenate([ranking.documents for ranking in rankings], axis=1)
    ranks = np.concatenate([np.arange(ranking.documents.shape[1]) + 1 for ranking in rankings])
    for row, named in enumerate(columns):
        # -1 stands where a ranking has fewer than its k results
        real = named >= 0
        documents, place = np.unique(named[real], return_inverse=True)
        shares = 1 / (constant + ranks[real])
        # as float32 before they are ordered: scores that look equal in the result are ties
        total = np.bincount(place, weights=shares, minlength=len(documents)).astype(np.float32)
        order = best(total, documents, k)
        found[row, : len(order)] = documents[order]
        scores[row, : len(order)] = total[order]
    return Ranking(first.query_ids, first.document_ids, found, scores)


def _same(a: Sequence[str], b: Sequence[str]) -> bool:
    # rankings of one search share their ids, of which there may be millions
    return a is b or list(a) == list(b)
