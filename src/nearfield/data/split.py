"""Splits by document, group and wording, never by row, so that nothing of one split is seen in
another.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.arrow import positions
from nearfield.data.collection import Collection
from nearfield.data.doctor.minhash import DOCUMENT_RUNS, DOCUMENT_THRESHOLD, near_duplicates
from nearfield.data.doctor.subject import Subject, first_of_each
from nearfield.data.doctor.words import digests, normalised
from nearfield.errors import CollectionError, InputError
from nearfield.types.arrays import Integers, Mask

log = logging.getLogger(__name__)
FRACTIONS = {"train": 0.7, "dev": 0.1, "test": 0.2}
"""What a source is cut into where nothing else is asked for."""
Edges = tuple[Integers, Integers]
"""Nodes that hang together: `left[i]` with `right[i]`."""


def split_by_group(
    collection: Collection, fractions: Mapping[str, float], *, seed: int = 0
) -> Collection:
    """The collection with its judged queries put into new splits, of about the `fractions` of all
    judged queries.

    Queries that share a judged document or a group, directly or through others, go together: no
    document is judged in two splits and no group is in two. So do queries and documents of the same
    or nearly the same text; where that would tie more together than the largest split should have,
    as one template filled many times does, only the same text counts, and the log says so. Neither
    the order of rows nor the former splits matter. Raises InputError for fractions that are not
    positive or do not sum to 1, CollectionError when too much hangs together to fill every split.
    """
    positive = all(fraction > 0 for fraction in fractions.values())
    if not positive or not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        got = ", ".join(f"{name}={fraction:g}" for name, fraction in fractions.items())
        raise InputError(
            f"the fractions are {got or 'empty'}; wanted positive ones that sum to "
            "1, such as train=0.8, dev=0.1, test=0.1"
        )
    if not len(collection.judgements):
        raise CollectionError(f"{collection.name} has no judgements, so there is nothing to split")
    return _cut(collection, np.ones(len(collection.judgements), bool), fractions, seed=seed)


def with_dev(collection: Collection, *, fraction: float, seed: int = 0) -> Collection:
    """The collection with about this fraction of its `train` queries moved into a new split `dev`,
    as `split_by_group` does.

    The other splits stay as they are. Raises CollectionError when there is no `train`, or already a
    `dev`.
    """
    if not 0 < fraction < 1:
        raise InputError(f"the fraction for dev is {fraction:g}; wanted one between 0 and 1")
    if "train" not in collection.splits or "dev" in collection.splits:
        have = ", ".join(collection.splits) or "no splits"
        advice = ""
        if "train" not in collection.splits:
            advice = "; make train, dev and test first: nearfield data split DATA FOLDER"
        raise CollectionError(
            f"{collection.name} has {have}; dev is carved out of train, and "
            f"only where there is no dev yet{advice}"
        )
    in_train = np.asarray(pc.equal(collection.judgements["split"], "train"))
    return _cut(collection, in_train, {"train": 1 - fraction, "dev": fraction}, seed=seed)


def with_larger_dev(
    collection: Collection, *, enough: int, share: float = 0.2, seed: int = 0
) -> Collection:
    """The collection with groups of `train` queries moved into `dev`, until that has `enough`
    queries or a `share` of train is moved.

    A group, as in `split_by_group`, moves whole or stays, so that nothing of dev is left in train.
    """
    train = set(collection.split("train").query_ids)
    dev = collection.split("dev").query_ids
    room = min(enough - len(dev), int(share * len(train)))
    in_train = np.asarray(pc.equal(collection.judgements["split"], "train"))
    judged = collection.judgements.filter(pa.array(in_train))
    groups = _components(collection, judged, {"train": 1 - share, "dev": share})
    moved: dict[str, str] = {}
    for group in sorted(groups, key=lambda queries: _seeded(queries, seed)):
        size = len(train.intersection(group))  # those with a relevant document
        if size <= room:
            room -= size
            moved |= dict.fromkeys(group, "dev")
    return _moved(collection, in_train, moved)


def folds(collection: Collection, count: int, *, seed: int = 0) -> list[list[str]]:
    """The judged queries of `train` in up to `count` parts of about one size that share no group
    (see `split_by_group`).

    No parts where a single group holds more than half of them.
    """
    judged = collection.judgements.filter(pc.equal(collection.judgements["split"], "train"))
    share = 1 / count
    groups = _components(collection, judged, {str(part): share for part in range(count)})
    if 2 * max(map(len, groups)) > sum(map(len, groups)):
        return []
    parts = {str(part): share for part in range(min(count, len(groups)))}
    found: dict[str, list[str]] = {part: [] for part in parts}
    for query, part in _assign(groups, parts, seed=seed, name=collection.name).items():
        found[part].append(query)
    return list(found.values())


def _seeded(queries: list[str], seed: int) -> bytes:
    """What a group is ordered by: a hash, so that neither rows' order nor the ids' decide."""
    return hashlib.sha256(f"{seed}\0{queries[0]}".encode()).digest()


def _cut(
    collection: Collection,
    chosen: Mask,
    fractions: Mapping[str, float],
    *,
    seed: int,
) -> Collection:
    """The collection with the `chosen` judgements put into new splits; the others stay in
    theirs.
    """
    judgements = collection.judgements.filter(pa.array(chosen))
    components = _components(collection, judgements, fractions)
    places = _assign(components, fractions, seed=seed, name=collection.name)
    return _moved(collection, chosen, places)


def _moved(collection: Collection, chosen: Mask, places: Mapping[str, str]) -> Collection:
    """The collection with the `chosen` judgements in the split that `places` has for their query,
    if any.
    """
    names: list[str | None] = []
    queries = collection.judgements["query"].to_pylist()
    for query, at in zip(queries, chosen.tolist(), strict=True):
        names.append(places.get(query) if at else None)
    return with_splits(collection, names)


def with_splits(collection: Collection, names: Sequence[str | None]) -> Collection:
    """The collection with the split of each judgement changed to that of `names`, where there is
    one.
    """
    kept = collection.judgements["split"]
    changed = pc.coalesce(pa.chunked_array([pa.array(names, pa.string())]), kept)
    column = collection.judgements.column_names.index("split")
    return replace(
        collection, judgements=collection.judgements.set_column(column, "split", changed)
    )


def _components(
    collection: Collection, judgements: pa.Table, fractions: Mapping[str, float]
) -> list[list[str]]:
    """Judged queries that hang together by documents, groups and texts; each list sorted.

    Near-copies count where what hangs together by them fits into the largest split, and leaves
    something for each.
    """
    queries = pc.unique(judgements["query"])
    documents = pc.unique(judgements["document"])
    judged = (
        positions(judgements["query"], queries),
        positions(judgements["document"], documents) + len(queries),
    )
    groups = _by_group(collection, queries, documents)
    alike, nearly = _by_text(collection, queries, documents)
    # Nodes: queries, documents, and at most a group for each. `firm` hang together by what is the
    # same, `loose` by near-copies, too; (queries,) each.
    size = 2 * (len(queries) + len(documents))
    firm = _labels([judged, groups, alike], size)[: len(queries)]
    loose = _labels([judged, groups, alike, nearly], size)[: len(queries)]
    most = max(max(fractions.values()) * len(queries), np.bincount(firm).max())
    too_large = np.bincount(loose, minlength=size) > most
    too_few = len(np.unique(loose)) < len(fractions)
    undone = too_large[loose] | too_few
    if undone.any() and len(np.unique(firm)) >= len(fractions):
        log.info(
            f"{collection.name}: {int(undone.sum()):,} of {len(queries):,} queries hang together "
            "by texts that are nearly the same, "
            "more than one split can hold; of these only those of the very same text are kept "
            "together"
        )
    labels = np.where(undone, firm, loose + size)  # a firm and a loose label are never one
    found: dict[int, list[str]] = {}
    for query, label in sorted(zip(queries.to_pylist(), labels.tolist(), strict=True)):
        found.setdefault(label, []).append(query)
    return list(found.values())


def _labels(edges: Sequence[Edges], size: int) -> Integers:
    """(size,) a number for each node, the same for nodes that hang together."""
    # imported where a split is cut: it takes longer than opening the data otherwise does
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    left = np.concatenate([edge[0] for edge in edges])
    right = np.concatenate([edge[1] for edge in edges])
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, np.int64)


def _by_group(collection: Collection, queries: pa.Array, documents: pa.Array) -> Edges:
    """Each query and document that has a group, with the group's node."""
    of_queries = _groups(queries, collection.queries)
    own = pa.concat_arrays([of_queries, _groups(documents, collection.documents)])
    grouped = np.flatnonzero(np.asarray(pc.not_equal(own, "")))
    # the groups' nodes come behind those of queries and documents
    return grouped, len(own) + positions(own, pc.unique(own))[grouped]


def _by_text(collection: Collection, queries: pa.Array, documents: pa.Array) -> tuple[Edges, Edges]:
    """Queries of the same wording and documents of the same text, and those that are nearly the
    same.

    The same rules as the doctor's: what it would call a leak between two splits is kept in one.
    """
    subject = Subject(collection)
    asked = positions(pa.chunked_array([queries]), collection.queries["id"])
    query_nodes = np.flatnonzero(asked >= 0)
    read = positions(pa.chunked_array([documents]), collection.documents["id"])
    known = np.flatnonzero(read >= 0)
    document_nodes = len(queries) + known
    texts = collection.document_texts[read[known]]
    # each with the first of its wording, which joins all of one wording
    first_query = first_of_each(subject.query_keys[asked[query_nodes]])
    first_document = first_of_each(digests(map(normalised, texts)))
    left = np.concatenate([query_nodes, document_nodes])
    right = np.concatenate([query_nodes[first_query], document_nodes[first_document]])
    near = near_duplicates(texts, threshold=DOCUMENT_THRESHOLD, sizes=DOCUMENT_RUNS)
    near_left, near_right = _near_queries(subject, asked, query_nodes)
    near_left = np.concatenate([near_left, document_nodes[near.first]])
    near_right = np.concatenate([near_right, document_nodes[near.second]])
    return (left, right), (near_left, near_right)


def _near_queries(subject: Subject, asked: Integers, nodes: Integers) -> Edges:
    """Nodes of queries that are nearly the same, from the doctor's pairs of distinct wordings.

    Of each wording one node stands for all: they hang together already.
    """
    first = subject.first_queries
    node_of = np.full(len(first), -1, np.int64)
    node_of[first[asked[nodes]]] = nodes
    left = node_of[subject.near_queries.first]
    right = node_of[subject.near_queries.second]
    # the others are of queries that are not judged
    known = (left >= 0) & (right >= 0)
    return left[known], right[known]


def _groups(ids: pa.Array, table: pa.Table) -> pa.Array:
    """The group of each id in `table`, "" where it has none or the table no such id."""
    found = table["group"].take(pc.index_in(ids, value_set=table["id"]))
    return pc.fill_null(found, "").combine_chunks()


def _assign(
    components: Sequence[list[str]], fractions: Mapping[str, float], *, seed: int, name: str
) -> dict[str, str]:
    """The split of each query: components in the order of a seeded hash, each to the split that
    lacks most queries.

    Those larger than the smallest split should be come first, the largest of them first, while
    there is room for them.
    """
    if len(components) < len(fractions):
        largest = max(map(len, components))
        message = (
            f"its judged queries make {len(components)} sets that share no document, group or "
            f"text (the largest has {largest} queries)"
        )
        raise CollectionError(
            f"{name} cannot be split into {', '.join(fractions)}: {message}; "
            f"wanted at least {len(fractions)}"
        )
    total = sum(map(len, components))
    small = min(fractions.values()) * total

    def rank(queries: list[str]) -> tuple[int, bytes]:
        size = len(queries) if len(queries) > small else 0
        return -size, _seeded(queries, seed)

    ordered = sorted(components, key=rank)
    lacking = {split: fraction * total for split, fraction in fractions.items()}
    empty = list(fractions)
    places: dict[str, str] = {}
    for position, queries in enumerate(ordered):
        # the last components are for the splits that are still empty, one for each
        left = len(ordered) - position
        candidates = list(fractions) if left > len(empty) else empty
        split = max(candidates, key=lambda candidate: lacking[candidate])
        if split in empty:
            empty.remove(split)
        lacking[split] -= len(queries)
        places |= dict.fromkeys(queries, split)
    return places
