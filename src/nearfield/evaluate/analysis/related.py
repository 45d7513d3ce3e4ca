"""Some of a task's texts, and which of them belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nearfield.types.arrays import Integers, Positions
from nearfield.types.contract import Contract
from nearfield.types.role import DOCUMENT, QUERY, Role

DOCUMENTS, PAIRS = 1_000, 500  # that are looked at, at the most


@dataclass(frozen=True)
class Related:
    """Texts of two sides, `queries` and `documents`, and pairs of them, each (k, 2) places: some
    that belong `together` and some that do not (`apart`); `belong` says it of any.

    `groups` names what each document is one of, "" for nothing. `roles` are those in which a model
    of this contract encodes the two sides.
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    together: Integers
    apart: Integers
    groups: tuple[str, ...]
    roles: Callable[[Contract], tuple[Role, Role]]
    belong: Callable[[int, int], bool]

    @classmethod
    def drawn(
        cls,
        texts: tuple[Sequence[str], Sequence[str]],
        pairs: Integers,
        belong: Callable[[int, int], bool],
        *,
        groups: Callable[[Positions], list[str]] = lambda rows: [""] * len(rows),
        roles: Callable[[Contract], tuple[Role, Role]] = lambda _: (QUERY, DOCUMENT),
        random: np.random.Generator,
    ) -> Related:
        """Up to 500 of the `pairs` that belong together, each query of these with another's
        document that does not `belong` to it, and other documents up to 1,000 in all.
        """
        queries, documents = texts
        chosen = pairs[random.permutation(len(pairs))[:PAIRS]]
        # some meet their own document again, or another of theirs: `belong` takes those out
        swapped = np.column_stack([chosen[:, 0], random.permutation(chosen[:, 1])])
        apart = [pair for pair in swapped.tolist() if not belong(*pair)]
        rest = np.setdiff1d(np.arange(len(documents)), chosen[:, 1])
        room = max(0, DOCUMENTS - len(np.unique(chosen[:, 1])))
        # unique and union1d sort, which `_placed` relies on
        asked = np.unique(chosen[:, 0])
        kept = np.union1d(chosen[:, 1], random.permutation(rest)[:room])
        return cls(
            queries=tuple(queries[int(row)] for row in asked),
            documents=tuple(documents[int(row)] for row in kept),
            together=_placed(chosen, asked, kept),
            apart=_placed(np.array(apart, np.int64).reshape(-1, 2), asked, kept),
            groups=tuple(groups(kept)),
            roles=roles,
            belong=lambda query, document: belong(int(asked[query]), int(kept[document])),
        )


def _placed(pairs: Integers, asked: Positions, kept: Positions) -> Integers:
    """`pairs: (k, 2)` of rows of all texts as places among the queries that are `asked` and the
    documents that are `kept`, both ascending.
    """
    queries = np.searchsorted(asked, pairs[:, 0])
    documents = np.searchsorted(kept, pairs[:, 1])
    return np.column_stack([queries, documents])
