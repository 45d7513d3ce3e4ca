"""What may not be learned from: what the held-out splits of a collection ask and judge, and near
copies of it.

Near copies are told by the doctor's rule. A split whose name begins with `train` is trained on,
every other one is held out.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nearfield.data.collection import Collection, Split
from nearfield.data.doctor.minhash import near_duplicates
from nearfield.data.doctor.subject import (
    DOCUMENT_RUNS,
    DOCUMENT_THRESHOLD,
)
from nearfield.types.arrays import Mask, Positions


def held_out_splits(collection: Collection) -> list[str]:
    """Names of the splits that are measured on."""
    return [name for name in collection.splits if not name.startswith("train")]


def free_documents(collection: Collection) -> Positions:
    """Positions of the documents that no held-out judgement names, nor one of nearly the
    same text.
    """
    same = np.asarray(same_texts(collection), np.int64)
    held = np.zeros(len(same), bool)
    for name in held_out_splits(collection):
        held |= named(collection, name, same)
    return np.flatnonzero(~held)


def same_texts(collection: Collection) -> list[int]:
    """A number for each document, the same for documents that the doctor calls near-duplicates,
    directly or through others.
    """
    near = near_duplicates(
        collection.document_texts, threshold=DOCUMENT_THRESHOLD, sizes=DOCUMENT_RUNS
    )
    count = len(collection.documents)
    edges = coo_matrix(
        (np.ones(len(near), np.int8), (near.first, near.second)), shape=(count, count)
    )
    _, labels = connected_components(edges, directed=False)
    numbers: list[int] = labels.tolist()
    return numbers


def relevance_by_position(
    collection: Collection, split: Split, *, least: int = 1
) -> list[dict[int, int]]:
    """For each query of the split, the grade of each judged document by its position; judgements
    that point nowhere and grades below `least` are left out.
    """
    named = sorted({document for judged in split.relevance.values() for document in judged})
    place = dict(zip(named, collection.document_positions(named).tolist(), strict=True))
    rows = (split.relevance[query] for query in split.query_ids)
    return [
        {
            place[document]: grade
            for document, grade in judged.items()
            if place[document] >= 0 and grade >= least
        }
        for judged in rows
    ]


def named(collection: Collection, split: str, same: Positions) -> Mask:
    """(documents,) True where a judgement of the split, of whatever grade, names the document or
    one of (nearly) the same text.
    """
    everything = relevance_by_position(
        collection, collection.split(split), least=np.iinfo(np.int32).min
    )
    judged = {document for row in everything for document in row}
    return np.isin(same, same[sorted(judged)])
