"""Scores of documents, best first."""

from __future__ import annotations

from collections.abc import Sequence


def ranked(scores: Sequence[float], count: int | None = None) -> list[tuple[int, float]]:
    """The `count` best (all by default) as position and score; equal scores keep their order."""
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    return [(at, scores[at]) for at in order[:count]]
