"""The split that nearfield cut of a source, kept so that every later command uses the same one.

It is found again by the queries' wording, so that a source keeps its split when its file is
renamed, reordered or written in another format.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.arrow import positions
from nearfield.data.collection import Collection
from nearfield.data.doctor.words import digests, wording
from nearfield.data.split import FRACTIONS, split_by_group, with_dev, with_larger_dev, with_splits
from nearfield.errors import CollectionError, InputError, StorageError
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_fields
from nearfield.store.home import home
from nearfield.types.verdict import ENOUGH

log = logging.getLogger(__name__)
FORMAT = 1
TRAIN, DEV, TEST = FRACTIONS


@dataclass(frozen=True)
class KeptSplit:
    """`fingerprint` tells the data that was cut, `how` says in words what was done, `places` the
    split of each query by the digest of its wording.
    """

    fingerprint: str
    how: str
    places: Mapping[int, str]

    @classmethod
    def of(cls, given: Collection, cut: Collection, how: str) -> KeptSplit:
        """What makes `cut` of `given`, the same data as it was before."""
        return cls(data_fingerprint(given), how, dict(_judged(cut)))

    def placed(self, collection: Collection) -> Collection:
        """The collection with its queries in these splits. Those of a test split of its own stay in
        it.
        """
        lone = len(collection.splits) == 1
        names: list[str | None] = []  # of each judgement, None where it stays in its split
        for key, split in _judged(collection):
            names.append(self.places.get(key) if lone or split == TRAIN else None)
        return replace(with_splits(collection, names), cut=self.how)

    def save(self, path: Path) -> None:
        """Write it as JSON. Raises StorageError when writing fails."""
        queries: dict[str, list[str]] = {}
        for key, name in self.places.items():
            queries.setdefault(name, []).append(f"{key:016x}")
        facts = {"fingerprint": self.fingerprint, "how": self.how, "queries": queries}
        write_json(path, {"format": FORMAT} | facts)

    @classmethod
    def read(cls, path: Path) -> KeptSplit:
        """The split in a file. Raises InputError where it holds none."""
        facts = read_fields(path)
        facts.integer("format", low=FORMAT, high=FORMAT)
        queries = facts.object("queries")
        places = {}
        try:
            for name in queries:
                for key in queries.texts(name):
                    places[int(key, 16)] = name
        except ValueError as error:
            raise InputError(
                f"queries: {error}; wanted 16 hexadecimal digits for each", path=path
            ) from error
        return cls(facts.text("fingerprint"), facts.text("how"), places)


def data_fingerprint(collection: Collection) -> str:
    """SHA-256, in hex, over the judged queries' wordings and their splits, whatever their order,
    their ids and documents.

    The name of a split that is the only one does not matter.
    """
    judged = set(_judged(collection))
    if len(collection.splits) == 1:
        judged = {(key, "") for key, _ in judged}
    lines = [f"{key:016x} {split}" for key, split in sorted(judged)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def with_kept_split(collection: Collection) -> Collection:
    """The collection in the splits that were cut of it before; as it is where none were, and where
    it has all of its own.
    """
    if not _lacks_splits(collection) or not _folder().is_dir():
        return collection
    path = _place(data_fingerprint(collection))
    if not path.is_file():
        return collection
    return KeptSplit.read(path).placed(collection)


def keep_split(given: Collection, cut: Collection, how: str) -> Collection:
    """`cut`, which was made of `given`, and from now on belongs to the same source; what was kept
    of it before stays.

    Where nothing can be written nothing is kept: the same cut is made again when it is wanted.
    """
    made = KeptSplit.of(given, cut, how)
    path = _place(made.fingerprint)
    # of data with all splits of its own none is looked for again
    if _lacks_splits(given) and not path.exists():
        with contextlib.suppress(StorageError):
            made.save(path)
    return replace(cut, cut=how)


def with_all_splits(collection: Collection, *, seed: int) -> tuple[Collection, tuple[str, ...]]:
    """The collection with train, dev and test, and what was done to get there, in words.

    The splits that were cut of it before are used again. Else, where there is a train and a test
    split, a missing dev is carved out of train; where there is one split only, all three are cut
    from it (see `split_by_group`), and both are kept. Raises CollectionError for anything else.
    """
    collection = with_kept_split(collection)
    names = set(collection.splits)
    if {TRAIN, DEV, TEST} <= names:
        return collection, _told(collection)
    if {TRAIN, TEST} <= names:
        cut = with_dev(collection, fraction=FRACTIONS[DEV], seed=seed)
        cut = keep_split(collection, cut, f"dev was carved out of train: {sizes(cut)}")
        return cut, _told(cut)
    if len(names) == 1:
        cut = split_by_group(collection, FRACTIONS, seed=seed)
        cut = keep_split(collection, cut, how_cut(collection, cut))
        return cut, _told(cut)
    if not len(collection.queries):
        raise CollectionError(
            f"{collection.name} has no queries, only documents: nothing to learn from and to "
            "measure with; wanted pairs: a file with a query and its document in each row"
        )
    have = ", ".join(collection.splits) or "no splits"
    raise CollectionError(
        f"{collection.name} has {have}; tuning wants train and test (and dev), "
        "or one split to cut all three from"
    )


def with_test_split(collection: Collection, *, seed: int) -> tuple[Collection, tuple[str, ...]]:
    """As it is, or cut as by `with_all_splits` where it has one split only and that is not the
    test: for what learns from no query.
    """
    if len(collection.splits) != 1 or TEST in collection.splits:
        return collection, ()
    return with_all_splits(collection, seed=seed)


def with_judged_splits(collection: Collection, *, seed: int) -> tuple[Collection, tuple[str, ...]]:
    """As `with_all_splits`, where something else than the collection's train split is learned from
    and none is needed.
    """
    collection = with_kept_split(collection)
    names = set(collection.splits)
    if {DEV, TEST} <= names:
        return collection, _told(collection)
    # one split that is called train, or several of which one is missing: as for any other run
    if TRAIN in names or len(names) != 1:
        return with_all_splits(collection, seed=seed)
    cut = split_by_group(collection, {DEV: 1 / 3, TEST: 2 / 3}, seed=seed)
    # without a train split it is of no use to the next command, and is not kept
    cut = replace(cut, cut=how_cut(collection, cut))
    return cut, _told(cut)


def split_of_run(
    file: Path, given: Collection, cut: Callable[[], tuple[Collection, tuple[str, ...]]]
) -> tuple[Collection, tuple[str, ...]]:
    """`given` in the splits that the file keeps, or those that `cut` makes, which are kept; and
    what was done, in words.
    """
    if not file.is_file():
        made, notes = cut()
        KeptSplit.of(given, made, made.cut).save(file)
        return made, notes
    kept = KeptSplit.read(file)
    if kept.how and kept.fingerprint == data_fingerprint(given):
        return kept.placed(given), (kept.how,)
    # the data's own splits, or other data
    return cut()


def with_enough_dev(
    collection: Collection, notes: tuple[str, ...], *, seed: int
) -> tuple[Collection, tuple[str, ...]]:
    """As given, or with a dev of fewer than 30 queries made larger by up to a fifth of train's, in
    whole groups, and a note on it.

    This is for one run: the source keeps its split, whose test split is the same.
    """
    if TRAIN not in collection.splits or len(collection.split(DEV).query_ids) >= ENOUGH:
        return collection, notes
    cut = with_larger_dev(collection, enough=ENOUGH, seed=seed)
    if cut.judgements.equals(collection.judgements):
        return collection, notes
    note = f"dev was too small to choose by and was made larger from train: {sizes(cut)}"
    log.info(f"{collection.name}: {note}")
    cut = replace(cut, cut="; ".join((*notes, note)))
    return cut, (cut.cut,)


def how_cut(given: Collection, cut: Collection) -> str:
    """In words, that the splits of `given` became those of `cut`, and how many queries each has."""
    what = f"the splits {', '.join(given.splits)} were"
    if len(given.splits) == 1:
        what = f"the only split, {given.splits[0]}, was"
    return f"{what} cut by document and wording into {sizes(cut)}"


def query_counts(collection: Collection) -> dict[str, int]:
    """How many queries with a relevant document each split has."""
    positive = collection.judgements.filter(pc.field("relevance") > 0)
    groups = positive.group_by("split").aggregate([("query", "count_distinct")]).to_pylist()
    counts = {group["split"]: group["query_count_distinct"] for group in groups}
    return {name: counts.get(name, 0) for name in collection.splits}


def sizes(collection: Collection) -> str:
    """How many queries with a relevant document each split has, in words."""
    parts = []
    for name, count in query_counts(collection).items():
        parts.append(f"{name} ({count:,} {'query' if count == 1 else 'queries'})")
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _told(collection: Collection) -> tuple[str, ...]:
    """What was done to get the splits, which is logged, too."""
    if not collection.cut:
        return ()
    log.info(f"{collection.name}: {collection.cut}")
    return (collection.cut,)


def _lacks_splits(collection: Collection) -> bool:
    """Whether a tune would cut splits of it."""
    names = set(collection.splits)
    return len(names) == 1 or ({TRAIN, TEST} <= names and DEV not in names)


def _judged(collection: Collection) -> list[tuple[int, str]]:
    """The digest of its query's wording and the split, of each judgement.

    A query that the collection does not have has the digest of its id.
    """
    judgements = collection.judgements
    ids = pc.unique(judgements["query"])
    keys = digests(f"\0{key}" for key in ids.to_pylist())
    at = positions(pa.chunked_array([ids]), collection.queries["id"])
    keys[at >= 0] = digests(map(wording, collection.query_texts[at[at >= 0]]))
    of_each = keys[positions(judgements["query"], ids)]
    return list(zip(of_each.tolist(), judgements["split"].to_pylist(), strict=True))


def _folder() -> Path:
    return home() / "splits"


def _place(fingerprint: str) -> Path:
    return _folder() / f"{fingerprint[:32]}.json"
