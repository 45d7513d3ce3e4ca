"""The similarities, each once for numpy arrays and torch tensors alike: they use nothing but
operators and sums.

Each takes `query: (n, dim)` and `document: (m, dim)` of one floating dtype and returns `(n, m)`;
higher is closer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nearfield.errors import ContractError, nearest

Similarity = Callable[[Any, Any], Any]


def dot(query: Any, document: Any) -> Any:
    """sum_i q_i d_i."""
    return query @ document.T


def cosine(query: Any, document: Any) -> Any:
    """sum_i q_i d_i / (|q| |d|); 0 where either vector is zero."""
    return unit(query) @ unit(document).T


def euclidean(query: Any, document: Any) -> Any:
    """-|q - d|, the negative euclidean distance, by |q|^2 - 2 q.d + |d|^2.

    The distance is 1e-6 at least, so that equal vectors have a gradient, of zero.
    """
    squared = (
        (query * query).sum(-1)[:, None]
        - 2 * (query @ document.T)
        + (document * document).sum(-1)[None, :]
    )
    # by rounding it may be negative where the two are close
    return -(squared.clip(1e-12) ** 0.5)


def unit(vectors: Any) -> Any:
    """`vectors: (n, dim)` scaled to unit length; a zero vector stays zero."""
    # clipped under the root, whose gradient at 0 is infinite
    length = (vectors * vectors).sum(-1)[:, None].clip(1e-24) ** 0.5
    return vectors / length


FUNCTIONS: dict[str, Similarity] = {"cosine": cosine, "dot": dot, "euclidean": euclidean}


def similarity(name: str) -> Similarity:
    """The similarity of this name. Raises ContractError for an unknown one."""
    if name not in FUNCTIONS:
        raise ContractError(
            f"there is no similarity {name!r}; wanted one of "
            f"{', '.join(FUNCTIONS)}.{nearest(name, FUNCTIONS)}"
        )
    return FUNCTIONS[name]
