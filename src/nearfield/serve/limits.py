"""What the server takes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """`queue_tokens` of each model may wait, as estimated; a request that cannot be answered within
    `seconds` is refused at once or given up. A body has at most `body_bytes` and arrives within
    `body_seconds`. Vectors of at most `cache_bytes` per model are kept in memory, and models
    that nobody asks for are closed where all together have more than `memory_bytes` of weights.
    """

    queue_tokens: int = 262_144
    seconds: float = 30.0
    body_bytes: int = 16 * 2**20
    body_seconds: float = 10.0
    cache_bytes: int = 64 * 2**20
    memory_bytes: int | None = None
