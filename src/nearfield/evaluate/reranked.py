"""A system whose best results a cross-encoder orders anew, and what that costs."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

import numpy as np

from nearfield.data.collection import Split
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.errors import TruncationWarning
from nearfield.evaluate.systems import System
from nearfield.evaluate.trained import trained_queries
from nearfield.search.rerank import DEPTH, rerank
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking


def reranked_system(
    system: System,
    scorer: PairScorer,
    split: Split,
    *,
    depth: int = DEPTH,
    name: str | None = None,
    progress: Progress = silent,
) -> System:
    """`system` with each query's first `depth` results ordered by `scorer`.

    It holds the index of `system` and takes its time and the median time of ordering one query's
    results. Raises InputError as `rerank` does.
    """
    rows, seconds, cut = [], [], 0
    for at in range(len(split.query_ids)):
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            # counted, and told once for all queries
            warnings.simplefilter("always", TruncationWarning)
            one = _row(system.ranking, at)
            asked, documents = split.query_texts[at : at + 1], split.collection.document_texts
            rows.append(
                rerank(one, scorer, query_texts=asked, document_texts=documents, depth=depth)
            )
        seconds.append(time.perf_counter() - started)
        cut += any(issubclass(warning.category, TruncationWarning) for warning in caught)
        progress(at + 1, len(split.query_ids))
    wait = (
        None
        if system.query_milliseconds is None
        else system.query_milliseconds + 1000 * float(np.median(seconds))
    )
    told = (
        (
            f"{scorer.name}: documents of {cut:,} of {len(rows):,} queries were longer than it "
            "reads and were cut",
        )
        if cut
        else ()
    )
    found, scores = (
        np.concatenate([row.documents for row in rows]),
        np.concatenate([row.scores for row in rows]),
    )
    return replace(
        system,
        name=name or f"{system.name} reranked by {scorer.name}",
        model=f"{system.model} + {scorer.name}",
        ranking=replace(system.ranking, documents=found, scores=scores),
        query_milliseconds=wait,
        notes=system.notes + told,
        deviations=(),
        trained_on=system.trained_on | trained_queries(scorer.trained_on, split),
    )


def _row(ranking: Ranking, at: int) -> Ranking:
    return replace(
        ranking,
        query_ids=ranking.query_ids[at : at + 1],
        documents=ranking.documents[at : at + 1],
        scores=ranking.scores[at : at + 1],
    )
