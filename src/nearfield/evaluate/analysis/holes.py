"""What a ranking's unjudged documents may hide."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nearfield.evaluate.measures import cutoff, score_ranking
from nearfield.types.evaluation.slices import Holes
from nearfield.types.ranking import Ranking


def holes(
    row: str, ranking: Ranking, relevance: Mapping[str, Mapping[str, int]], measure: str
) -> Holes:
    """The share of each query's results within the cutoff of `measure`, of all where it has none,
    that `relevance` does not judge, and the mean if they were relevant, of grade 1, or not. A query
    without results has none.
    """
    depth = cutoff(measure) if "@" in measure else ranking.documents.shape[1]
    filled = {}
    unjudged = 0
    found = 0
    for place, query in enumerate(ranking.query_ids):
        if query not in relevance:
            continue
        judged = relevance[query]
        top = [document for document, _ in ranking.top(depth).of(place)]
        # judged as 0 is judged: only what has no grade at all is a hole
        new = [document for document in top if document not in judged]
        unjudged += len(new)
        found += len(top)
        # the judgements as they would be, were all of these relevant
        filled[query] = {**judged, **dict.fromkeys(new, 1)}
    low = score_ranking(ranking, relevance, [measure])[measure].values
    high = score_ranking(ranking, filled, [measure])[measure].values
    share = unjudged / max(1, found)
    return Holes(row, depth, share, float(np.mean(low)), float(np.mean(high)))
