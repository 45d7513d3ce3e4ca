"""A system whose best results a cross-encoder orders again, and what that costs."""

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
from nearfield.retrieval.rerank import DEPTH, rerank
from nearfield.types.progress import Progress, silent


def reranked_system(
    system: System,
    scorer: PairScorer,
    split: Split,
    *,
    depth: int = DEPTH,
    progress: Progress = silent,
) -> System:
    """`system` with each query's first `depth` results ordered by `scorer`.

    It holds the index of `system` and takes its time and the median time of ordering one query's
    results. Raises InputError as `rerank` does.
    """
    ranking = system.ranking
    documents = split.collection.document_texts
    found = ranking.documents.copy()
    scores = ranking.scores.copy()
    seconds = []
    cut = 0
    # one by one, as a query that is asked waits for its own results alone
    for at in range(len(split.query_ids)):
        here = slice(at, at + 1)
        one = replace(
            ranking,
            query_ids=ranking.query_ids[here],
            documents=ranking.documents[here],
            scores=ranking.scores[here],
        )
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            # counted, and told once for all queries
            warnings.simplefilter("always", TruncationWarning)
            texts = split.query_texts[here]
            ordered = rerank(one, scorer, query_texts=texts, document_texts=documents, depth=depth)
        seconds.append(time.perf_counter() - started)
        found[here] = ordered.documents
        scores[here] = ordered.scores
        cut += any(issubclass(warning.category, TruncationWarning) for warning in caught)
        progress(at + 1, len(split.query_ids))
    wait = system.query_milliseconds
    notes = system.notes
    if wait is not None:
        wait += 1000 * float(np.median(seconds))
    if cut:
        of = f"{cut:,} of {len(seconds):,} queries"
        notes += (f"{scorer.name}: documents of {of} were longer than it reads and were cut",)
    return replace(
        system,
        name=f"{system.name} reranked by {scorer.name}",
        model=f"{system.model} + {scorer.name}",
        ranking=replace(ranking, documents=found, scores=scores),
        query_milliseconds=wait,
        notes=notes,
        # what a departure costs is told of the model's own row
        deviations=(),
        trained_on=system.trained_on | trained_queries(scorer.trained_on, split),
    )
