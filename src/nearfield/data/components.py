"""Judged queries that hang together: what one split must hold whole, so that nothing of it is seen
in another.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.arrow import positions
from nearfield.data.collection import Collection
from nearfield.data.doctor.minhash import DOCUMENT_RUNS, DOCUMENT_THRESHOLD, near_duplicates
from nearfield.data.doctor.subject import Subject, first_of_each
from nearfield.data.doctor.words import digests, normalised
from nearfield.types.arrays import Positions

log = logging.getLogger(__name__)
Edges = tuple[Positions, Positions]
"""Nodes of a graph that hang together: `left[i]` with `right[i]`."""


def components_of(
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
            "by texts that are nearly the same, more than one split can hold; of these only those "
            "of the very same text are kept together"
        )
    labels = np.where(undone, firm, loose + size)  # a firm and a loose label are never one
    found: dict[int, list[str]] = {}
    for query, label in sorted(zip(queries.to_pylist(), labels.tolist(), strict=True)):
        found.setdefault(label, []).append(query)
    return list(found.values())


def _labels(edges: Sequence[Edges], size: int) -> Positions:
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


def _near_queries(subject: Subject, asked: Positions, nodes: Positions) -> Edges:
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
