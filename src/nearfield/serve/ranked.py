"""Scores of documents, best first, as the vendors' answers have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def ranked(
    scores: Sequence[float],
    count: int | None = None,
    *,
    score: str = "relevance_score",
    besides: Mapping[str, Sequence[Any]] | None = None,
) -> list[dict[str, Any]]:
    """The `count` best (all by default), each its `index` and its score under the name `score`, and
    of each list in `besides` its own; equal scores keep their order.
    """
    rows = []
    for at in sorted(range(len(scores)), key=lambda at: -scores[at])[:count]:
        row: dict[str, Any] = {"index": at, score: scores[at]}
        for name, values in (besides or {}).items():
            row[name] = values[at]
        rows.append(row)
    return rows
