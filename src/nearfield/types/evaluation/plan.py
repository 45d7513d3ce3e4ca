"""What a model takes at a given size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What is planned for: `documents` that are kept, `queries` in a second, and what an hour of
    one machine costs in US dollars.
    """

    documents: int
    queries: float = 1.0
    hour: float = 0.0


@dataclass(frozen=True)
class Planned:
    """One model under a load. `bytes` are those of all vectors by storage type, before the
    overhead of an index, and `tokens` those of all documents.

    Of a model that runs here, `hours` are what one such machine takes to embed all documents and
    `machines` how many answer the queries; both are None behind an API. `dollars` is the price of
    embedding all documents once, and `dollars_a_month` that of the queries of 30 days; None where
    it is not known.
    """

    model: str
    dim: int
    bytes: Mapping[str, float]
    tokens: float
    documents_per_second: float | None = None
    query_milliseconds: float | None = None
    hours: float | None = None
    machines: int | None = None
    dollars: float | None = None
    dollars_a_month: float | None = None
