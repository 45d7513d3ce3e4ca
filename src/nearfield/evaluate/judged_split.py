"""Which judged queries of a collection are asked."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearfield.data.collection import ALL, Collection, Split
from nearfield.data.trained_on import UNKNOWN, TrainedOn
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import InputError

TEST = "test"  # the split that is asked when no other is named
log = logging.getLogger(__name__)


def judged_split(
    collection: Collection, name: str | None, on: str, *, models: Sequence[Any]
) -> Split:
    """The split called `name` of the collection opened from `on`; test where none is named, and
    all queries where the collection was never split.

    Where no name is given, the collection has one split, and some of the `models`, by specs, were
    trained on a part of it, the rest of it is asked. Raises InputError where there is no such
    split, saying how to make one.
    """
    if collection.cut:
        log.info(f"{collection.name}: {collection.cut}; --split all asks every query")
    if name is None and len(collection.splits) == 1:
        rest = _unseen(collection, models)
        if rest is not None:
            return rest
    if name is None and collection.splits == (ALL,):
        log.info(f"{collection.name} was never split: all its queries are asked")
        return collection.split(ALL)
    name = name or TEST
    if name != ALL and collection.splits == (ALL,):
        make = f"nearfield data split {shlex.quote(on)} FOLDER"
        raise InputError(
            f"{collection.name} has no split {name!r}, only one called all. Give "
            f"--split all, or make splits first: {make}"
        )
    return collection.split(name)


def _unseen(collection: Collection, models: Sequence[Any]) -> Split | None:
    """The queries that no model was trained on or chosen with; None where that is all of them.

    Raises InputError where none are left.
    """
    whole = collection.split(collection.splits[0])
    known = UNKNOWN
    for model in models:
        # an open one is asked by who measures it
        if isinstance(model, str | Path):
            known |= TrainedOn.read(ModelSpec.parse(model).name)
    # by the hashes that a tuned model's folder holds; dev, which chose its weights, counts as well
    seen = known.seen(whole.query_texts) | known.chosen_with(whole.query_texts)
    if not seen.any():
        return None
    if seen.all():
        raise InputError(
            f"{collection.name}: the models named were trained on or chosen with all "
            f"of its {len(seen):,} queries; use other queries"
        )
    log.info(
        f"{collection.name}: the queries asked are the {int((~seen).sum()):,} of its "
        f"{len(seen):,} that the models named were neither trained on nor chosen with"
    )
    return whole.part((~seen).nonzero()[0].tolist(), name="unseen")
