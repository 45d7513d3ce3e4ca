"""The leakage rule of every command that trains: nothing is learned from what a held-out split
asks or judges, nor from a near-copy of it.

Near-copies are told as the data doctor tells them. A split whose name begins with `train` is
trained on, every other one is held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nearfield.data.collection import Collection, Split
from nearfield.data.doctor.minhash import DOCUMENT_RUNS, DOCUMENT_THRESHOLD, near_duplicates
from nearfield.data.doctor.words import Hashes
from nearfield.train.data.copies import copies
from nearfield.types.arrays import Mask, Positions
from nearfield.types.numbers import plural

TRAIN = "train"
ANY_GRADE = np.iinfo(np.int32).min


def held_out_splits(collection: Collection) -> list[str]:
    """Names of the splits that are measured on."""
    return [name for name in collection.splits if not name.startswith(TRAIN)]


def held_out_queries(collection: Collection, texts: Sequence[str]) -> tuple[Hashes, Mask]:
    """The digest of each text, and whether it asks, nearly, what a held-out split asks."""
    held: list[str] = []
    for name in held_out_splits(collection):
        held += collection.split(name).query_texts
    return copies(texts, held, queries=True)


def held_out_documents(collection: Collection, texts: Sequence[str]) -> tuple[Hashes, Mask]:
    """The digest of each text, and whether it is, nearly, a document that a held-out split judges,
    of any grade.
    """
    held: list[int] = []
    for name in held_out_splits(collection):
        held += _judged(collection, name)
    return copies(texts, collection.document_texts[held])


def learned_documents(texts: Sequence[str], learned: Sequence[str]) -> Mask:
    """(texts,) whether each is, nearly, one of the texts that are `learned` from, of any number:
    one pass reads these.
    """
    # the many are read once, for the few that are near; only these are then held beside the texts
    _, near = copies(learned, texts)
    _, found = copies(texts, [learned[at] for at in np.flatnonzero(near).tolist()])
    return found


def free_documents(
    collection: Collection, same: Positions | None = None, *, positives: bool = False
) -> Positions:
    """Positions of the documents that no held-out judgement names, nor one of nearly the same
    text; with `positives` those too that the train split finds relevant, which are its own.

    `same` is what `same_texts` gives, where it is known.
    """
    if same is None:
        same = same_texts(collection)
    held = np.zeros(len(same), bool)
    for name in held_out_splits(collection):
        held |= named(collection, name, same)
    if positives:
        held[sorted(train_positives(collection))] = False
    return np.flatnonzero(~held)


def without_leaks(collection: Collection) -> tuple[Collection, tuple[str, ...]]:
    """The collection without the train queries that are copies or near-copies of held-out ones,
    and a note on how many they were.
    """
    if TRAIN not in collection.splits:
        return collection, ()
    train = collection.split(TRAIN)
    _, held = held_out_queries(collection, train.query_texts)
    leaking = [train.query_ids[row] for row in np.flatnonzero(held).tolist()]
    if not leaking:
        return collection, ()
    table = collection.judgements
    leaks = pc.and_(
        pc.equal(table["split"], TRAIN), pc.is_in(table["query"], value_set=pa.array(leaking))
    )
    # the judgements alone are left out: the documents stay in the collection that is searched
    note = (
        f"{plural(len(leaking), 'train query')} of {len(train.query_ids):,} left out: nearly the "
        "same are held out"
    )
    return replace(collection, judgements=table.filter(pc.invert(leaks))), (note,)


def same_texts(collection: Collection) -> Positions:
    """A number for each document, the same for documents that the doctor calls near-duplicates,
    directly or through others.
    """
    near = near_duplicates(
        collection.document_texts, threshold=DOCUMENT_THRESHOLD, sizes=DOCUMENT_RUNS
    )
    count = len(collection.documents)
    ones = np.ones(len(near), np.int8)
    edges = coo_matrix((ones, (near.first, near.second)), shape=(count, count))
    # near-duplicates of near-duplicates, too: no chain leads from training to a held-out document
    _, labels = connected_components(edges, directed=False)
    return np.asarray(labels, np.int64)


def relevance_by_position(
    collection: Collection, split: Split, *, least: int = 1
) -> list[dict[int, int]]:
    """For each query of the split, the grade of each judged document by its position; judgements
    that point nowhere and grades below `least` are left out.
    """
    # all ids are looked up at once: the collection's documents may be on disk
    named = sorted({document for judged in split.relevance.values() for document in judged})
    place = dict(zip(named, collection.document_positions(named).tolist(), strict=True))
    found = []
    for query in split.query_ids:
        judged = {}
        for document, grade in split.relevance[query].items():
            if place[document] >= 0 and grade >= least:
                judged[place[document]] = grade
        found.append(judged)
    return found


def train_positives(collection: Collection) -> set[int]:
    """Positions of the documents that the train split finds relevant; none without that split."""
    if TRAIN not in collection.splits:
        return set()
    return judged_documents(relevance_by_position(collection, collection.split(TRAIN)))


def judged_documents(relevance: Iterable[dict[int, int]]) -> set[int]:
    """All documents of what `relevance_by_position` gives."""
    return {document for judged in relevance for document in judged}


def named(collection: Collection, split: str, same: Positions) -> Mask:
    """(documents,) True where a judgement of the split, of any grade, names the document or one of
    (nearly) the same text.
    """
    return np.isin(same, same[_judged(collection, split)])


def _judged(collection: Collection, split: str) -> list[int]:
    rows = relevance_by_position(collection, collection.split(split), least=ANY_GRADE)
    return sorted(judged_documents(rows))
