"""Splits by document, group and wording, never by row, so that nothing of one split is seen in
another.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.collection import Collection
from nearfield.data.components import components_of
from nearfield.errors import CollectionError, InputError
from nearfield.types.arrays import Mask

FRACTIONS = {"train": 0.7, "dev": 0.1, "test": 0.2}
"""What a source is cut into where nothing else is asked for."""
_MOVED = 0.2  # of the train queries, at most, to make a dev larger


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


def with_larger_dev(collection: Collection, *, enough: int, seed: int = 0) -> Collection:
    """The collection with groups of `train` queries moved into `dev`, until that has `enough`
    queries or a fifth of train is moved.

    A group, as in `split_by_group`, moves whole or stays, so that nothing of dev is left in train.
    """
    train = set(collection.split("train").query_ids)
    dev = collection.split("dev").query_ids
    room = min(enough - len(dev), int(_MOVED * len(train)))
    in_train = np.asarray(pc.equal(collection.judgements["split"], "train"))
    judged = collection.judgements.filter(pa.array(in_train))
    groups = components_of(collection, judged, {"train": 1 - _MOVED, "dev": _MOVED})
    moved: dict[str, str] = {}
    for group in sorted(groups, key=lambda queries: _seeded(queries, seed)):
        size = len(train.intersection(group))  # those with a relevant document
        if size <= room:
            room -= size
            moved |= dict.fromkeys(group, "dev")
    return _moved(collection, in_train, moved)


def folds(collection: Collection, count: int, *, seed: int) -> list[list[str]]:
    """The judged queries of `train` in up to `count` parts of about one size that share no group
    (see `split_by_group`).

    No parts where a single group holds more than half of them.
    """
    judged = collection.judgements.filter(pc.equal(collection.judgements["split"], "train"))
    share = 1 / count
    groups = components_of(collection, judged, {str(part): share for part in range(count)})
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
    components = components_of(collection, judgements, fractions)
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
            f"wanted at least {len(fractions)}; --negative '' leaves negatives out, which tie them"
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
