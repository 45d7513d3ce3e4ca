"""nDCG@10 of what the sides of encode_cpu.py make of a whole collection, beside float32's: what a
precision costs in quality.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from interleave import Child

from nearfield import open_collection
from nearfield.data.collection import Collection, Split
from nearfield.evaluate.measures import score_ranking
from nearfield.indexes.exact import Exact
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.dense import Dense
from nearfield.statistics.bootstrap import mean_interval

MEASURE, DEPTH = "nDCG@10", 10
EXACT = "float32"


def ndcg_of(
    sides: Mapping[str, Child], data: str, *, most: int, work: Path
) -> dict[str, dict[str, Any]]:
    """For each precision in `sides`, that one's vectors of the test split's queries and of the
    documents: nDCG@10, and its paired difference from float32's with a 95 % interval, where float32
    is one of them.

    Of more than `most` documents (0: no limit), those that a judgement names are kept, and others
    at equal steps; the figure is then of that smaller collection, and `documents` says so.
    """
    collection = open_collection(data)
    split = collection.split("test" if "test" in collection.splits else collection.splits[0])
    kept = _kept(collection, split, most)
    files = {"document": work / "documents.json", "query": work / "asked.json"}
    files["document"].write_text(
        json.dumps([collection.document_texts[int(at)] for at in kept]), encoding="utf-8"
    )
    files["query"].write_text(json.dumps(list(split.query_texts)), encoding="utf-8")
    ids, scores, found = collection.document_ids, {}, {}
    for precision, child in sides.items():
        seconds, made = 0.0, {}
        for role, file in files.items():
            seconds += child.ask(
                do="run", texts=str(file), role=role, vectors=str(work / f"{role}.npy")
            )["seconds"]
            made[role] = np.load(work / f"{role}.npy")
        queries, documents = (
            Dense(made[role], made[role].shape[1]) for role in ("query", "document")
        )
        ranking = retrieve(
            queries,
            Exact(documents),
            Queries(split.query_texts, split.query_ids),
            [ids[int(at)] for at in kept],
            k=DEPTH,
        )
        scores[precision] = score_ranking(ranking, split.relevance, [MEASURE])[MEASURE]
        facts = {
            "documents": len(kept),
            "queries": len(split.query_ids),
            "seconds": round(seconds, 1),
        }
        found[precision] = {"ndcg": round(scores[precision].mean, 4), **facts}
    for precision in found if EXACT in found else ():
        difference = mean_interval(scores[precision].values - scores[EXACT].values)
        found[precision] |= {
            "against_float32": [
                round(end, 4) for end in (difference.mean, difference.low, difference.high)
            ]
        }
    return found


def _kept(collection: Collection, split: Split, most: int) -> np.ndarray:
    count = len(collection.documents)
    if not most or most >= count:
        return np.arange(count)
    judged = collection.document_positions(
        sorted({document for row in split.relevance.values() for document in row})
    )
    others = np.setdiff1d(np.arange(count), judged)
    steps = np.linspace(0, len(others) - 1, max(0, most - len(judged))).astype(np.int64)
    return np.union1d(judged[judged >= 0], others[steps])
