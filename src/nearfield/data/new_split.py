"""Any source, cut into splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nearfield.data.collection import Collection
from nearfield.data.kept_split import how_cut, keep_split, sizes
from nearfield.data.open import open_collection
from nearfield.data.split import FRACTIONS, split_by_group, with_dev
from nearfield.errors import InputError


def split(
    data: object,
    fractions: Mapping[str, float] | None = None,
    *,
    dev: float | None = None,
    seed: int | None = None,
) -> Collection:
    """`data`, anything that `open_collection` takes, with its judged queries in splits of about
    these `fractions`, or with only a share of train carved out as `dev`.

    No judged document, no group and no query's wording, or nearly the same, is in two splits (see
    `split_by_group`). The splits belong to the source from then on. Those that were cut of it
    before are given again, unless fractions or a seed ask for others, which are this call's alone.
    """
    if dev is not None and fractions is not None:
        raise InputError(
            "dev keeps the splits that are there and fractions makes new ones; give one of them"
        )
    collection = open_collection(data)
    if dev is not None:
        cut = with_dev(collection, fraction=dev, seed=seed or 0)
        return keep_split(collection, cut, f"dev was carved out of train: {sizes(cut)}")
    if collection.cut and fractions is None and seed is None:
        return collection
    cut = split_by_group(collection, fractions or FRACTIONS, seed=seed or 0)
    if not collection.cut:
        return keep_split(collection, cut, how_cut(collection, cut))
    how = f"cut into {sizes(cut)}, here alone; the source stays as before: {collection.cut}"
    return replace(cut, cut=how)
