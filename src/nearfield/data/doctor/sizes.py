"""Splits that are too small to decide anything."""

from __future__ import annotations

import numpy as np

from nearfield.data.doctor.subject import ModelFacts, Subject
from nearfield.types.finding import WARNING, Finding

FEWEST = 30
"""Queries: with a standard deviation of .2 between two models, as is usual for nDCG@10, differences below .1 are mostly missed
with fewer (2.8 * .2 / sqrt(30) = .10, two-sided 5 %, power 80 %)."""
_DECIDE = {"dev": "chooses the weights and the merge", "test": "gives the verdict"}


def small_splits(subject: Subject, model: ModelFacts | None) -> Finding | None:
    """A dev or test split of fewer than 30 judged queries, where something is trained on."""
    judged = subject.judged
    if not judged.trained.any():
        return None
    sizes = {name: len(np.unique(judged.query[judged.positive & (judged.split == code)])) for code, name in enumerate(judged.splits)}
    small = {name: sizes[name] for name in _DECIDE if 0 < sizes.get(name, 0) < FEWEST}
    if not small:
        return None
    example = "; ".join(f"{name} has {count} queries and {_DECIDE[name]}" for name, count in small.items())
    mend = f"give each at least {FEWEST} queries: more judged queries, or larger shares with `nearfield data split --fractions`"
    return Finding("small-splits", WARNING, sum(small.values()), sum(sizes.values()), example, mend)
