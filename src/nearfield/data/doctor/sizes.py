"""Splits that are too small to decide anything."""

from __future__ import annotations

import numpy as np

from nearfield.data.doctor.check import COLLECTION, Found, check
from nearfield.data.doctor.subject import Subject
from nearfield.types.finding import WARNING
from nearfield.types.verdict import ENOUGH

_DECIDE = {"dev": "is to choose the weights and the merge", "test": "gives the verdict"}


@check(COLLECTION)
def small_splits(subject: Subject) -> Found | None:
    """A dev or test split of fewer than 30 judged queries, where something is trained on."""
    judged = subject.judged
    if not judged.trained.any():
        return None
    sizes = {}
    for code, name in enumerate(judged.splits):
        within = judged.positive & (judged.split == code)
        sizes[name] = len(np.unique(judged.query[within]))
    small = {name: sizes[name] for name in _DECIDE if 0 < sizes.get(name, 0) < ENOUGH}
    if not small:
        return None
    said = [f"{name} has {count} queries and {_DECIDE[name]}" for name, count in small.items()]
    example = "; ".join(said)
    fix = (
        f"give each at least {ENOUGH} queries: more judged queries, or larger shares with "
        "`nearfield data split --fractions`"
    )
    return Found(WARNING, sum(small.values()), sum(sizes.values()), example, fix)
