"""Splits by document and group, never by row, so that nothing of one split is seen in another."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nearfield.data.collection import Collection
from nearfield.errors import CollectionError, InputError


def split_by_group(collection: Collection, fractions: Mapping[str, float], *, seed: int = 0) -> Collection:
    """The collection with its judged queries put into new splits, of about the `fractions` of all judged queries.

    Queries that share a judged document or a group, directly or through others, go together: no document is judged in two
    splits and no group is in two. Neither the order of rows nor the former splits matter. Raises InputError for fractions
    that are not positive or do not sum to 1, CollectionError when too much hangs together to fill every split.
    """
    if not all(fraction > 0 for fraction in fractions.values()) or not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        got = ", ".join(f"{name}={fraction:g}" for name, fraction in fractions.items())
        raise InputError(f"the fractions are {got or 'empty'}; wanted positive ones that sum to 1, such as train=0.8, dev=0.1, test=0.1")
    if not len(collection.judgements):
        raise CollectionError(f"{collection.name} has no judgements, so there is nothing to split")
    places = _assign(_components(collection, collection.judgements), fractions, seed=seed, name=collection.name)
    return _placed(collection, collection.judgements, places)


def with_dev(collection: Collection, *, fraction: float, seed: int = 0) -> Collection:
    """The collection with about this fraction of its `train` queries moved into a new split `dev`, as `split_by_group` does.

    The other splits stay as they are. Raises CollectionError when there is no `train`, or already a `dev`.
    """
    if not 0 < fraction < 1:
        raise InputError(f"the fraction for dev is {fraction:g}; wanted one between 0 and 1")
    if "train" not in collection.splits or "dev" in collection.splits:
        have = ", ".join(collection.splits) or "no splits"
        advice = "; make train, dev and test first: nearfield data split DATA FOLDER" if "train" not in collection.splits else ""
        raise CollectionError(f"{collection.name} has {have}; dev is carved out of train, and only where there is no dev yet{advice}")
    in_train = pc.equal(collection.judgements["split"], "train")
    train, rest = collection.judgements.filter(in_train), collection.judgements.filter(pc.invert(in_train))
    fractions = {"train": 1 - fraction, "dev": fraction}
    placed = _placed(collection, train, _assign(_components(collection, train), fractions, seed=seed, name=collection.name))
    return replace(placed, judgements=pa.concat_tables([placed.judgements, rest]))


def _components(collection: Collection, judgements: pa.Table) -> list[list[str]]:
    """Judged queries that hang together by documents and groups; each list sorted."""
    queries, documents = pc.unique(judgements["query"]), pc.unique(judgements["document"])
    query_groups = _groups(queries, collection.queries)
    document_groups = _groups(documents, collection.documents)
    groups = pc.unique(pa.concat_arrays([query_groups, document_groups]))
    group_start = len(queries) + len(documents)
    edges = [
        (_index(judgements["query"], queries), _index(judgements["document"], documents) + len(queries)),
        (np.arange(len(queries)), _index(query_groups, groups) + group_start),
        (np.arange(len(documents)) + len(queries), _index(document_groups, groups) + group_start),
    ]
    grouped = [np.ones(len(judgements), dtype=bool), *(np.asarray(pc.not_equal(column, "")) for column in (query_groups, document_groups))]
    left = np.concatenate([edge[0][kept] for edge, kept in zip(edges, grouped, strict=True)])
    right = np.concatenate([edge[1][kept] for edge, kept in zip(edges, grouped, strict=True)])
    nodes = group_start + len(groups)
    _, labels = connected_components(coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(nodes, nodes)), directed=False)
    found: dict[int, list[str]] = {}
    for query, label in sorted(zip(queries.to_pylist(), labels[: len(queries)].tolist(), strict=True)):
        found.setdefault(label, []).append(query)
    return list(found.values())


def _groups(ids: pa.Array, table: pa.Table) -> pa.Array:
    """The group of each id in `table`, "" where it has none or the table no such id."""
    found = table["group"].take(pc.index_in(ids, value_set=table["id"]))
    return pc.fill_null(found, "").combine_chunks()


def _index(values: pa.ChunkedArray | pa.Array, of: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.index_in(values, value_set=of)).astype(np.int64)


def _assign(components: Sequence[list[str]], fractions: Mapping[str, float], *, seed: int, name: str) -> dict[str, str]:
    """The split of each query: components in the order of a seeded hash, each to the split that lacks most queries.

    Those larger than the smallest split should be come first, the largest of them first, while there is room for them.
    """
    if len(components) < len(fractions):
        largest = max(map(len, components))
        message = f"its judged queries make {len(components)} sets that share no document or group (the largest has {largest} queries)"
        raise CollectionError(f"{name} cannot be split into {', '.join(fractions)}: {message}; wanted at least {len(fractions)}")
    total = sum(map(len, components))
    small = min(fractions.values()) * total

    def rank(queries: list[str]) -> tuple[int, bytes]:
        size = len(queries) if len(queries) > small else 0
        return -size, hashlib.sha256(f"{seed}\0{queries[0]}".encode()).digest()

    ordered = sorted(components, key=rank)
    lacking = {split: fraction * total for split, fraction in fractions.items()}
    empty = set(fractions)
    places: dict[str, str] = {}
    for position, queries in enumerate(ordered):
        open_splits = [split for split in fractions if split in empty or len(ordered) - position > len(empty)]
        split = max(open_splits, key=lambda candidate: lacking[candidate])
        empty.discard(split)
        lacking[split] -= len(queries)
        places.update(dict.fromkeys(queries, split))
    return places


def _placed(collection: Collection, judgements: pa.Table, places: Mapping[str, str]) -> Collection:
    names = pa.array([places[query] for query in judgements["query"].to_pylist()], pa.string())
    return replace(collection, judgements=judgements.set_column(judgements.column_names.index("split"), "split", names))
