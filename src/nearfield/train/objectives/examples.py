"""What a loss sees of a batch: its items, and named columns of what is known of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfield.types.arrays import Positions


@dataclass(frozen=True)
class Marked:
    """A boolean matrix (rows, width) by its few True entries: `places` (2, K) int64, ordered by
    row.

    The whole matrix of a large batch would take more memory than its scores may.
    """

    places: Positions
    rows: int
    width: int

    def __getitem__(self, rows: slice) -> Marked:
        start, end = np.searchsorted(self.places[0], [rows.start, rows.stop])
        places = self.places[:, start:end] - np.array([[rows.start], [0]])  # rows count from 0
        return Marked(places, rows.stop - rows.start, self.width)

    def dense(self) -> Tensor:
        """The matrix: (rows, width) bool."""
        mask = torch.zeros(self.rows, self.width, dtype=torch.bool)
        row, column = torch.from_numpy(self.places)
        mask[row, column] = True
        return mask


Column = Tensor | Marked


@dataclass(frozen=True)
class Examples:
    """B rows, each a query, over N documents that all rows share.

    `query` and `document` are `Represented`, of one kind. `columns` hold one entry per row, by
    name:

    - "positive" (B,) int64: the place of the row's positive among the documents;
    - "ignore" (B, N): True at documents that may be relevant to the row's query, so that they are
      not its negatives;
    - "own" (B, 1 + k) int64: the places of the row's positive and its hard negatives, -1 for none;
    - "teacher" (B, 1 + k) float32: a teacher's scores of these;
    - "query" (B,) int64: equal for rows of the same query;
    - "guide" (B, N) float32: another model's similarity of each row's query to each document;
    - "guide_vectors" (B, 2, D) float32: its vectors of each row's query and positive;
    - "score" (B,) float32: how alike the row's query and positive are said to be;
    - "label" (B,) int64: equal for rows of the same class.

    `distinct`: the queries, each once; None where they are looked up. `learned`: what is learned
    beside the model, by name (see `Objective.learns`). `shallow`: the same examples by the model's
    first layers alone, where an objective is of these, too.
    """

    query: Any
    document: Any
    columns: Mapping[str, Column]
    distinct: Any = None
    learned: Mapping[str, Tensor] = field(default_factory=dict)
    shallow: Examples | None = None

    def __len__(self) -> int:
        return len(self.query)

    @cached_property
    def scores(self) -> Tensor:
        """The similarity of each query to each document: (B, N), higher is closer."""
        scores: Tensor = self.query.scores(self.document)
        return scores

    @property
    def own_scores(self) -> Tensor:
        """The similarity of each row's query and positive: (B,)."""
        return self.scores.gather(1, self.column("positive")[:, None])[:, 0]

    def candidates(self) -> tuple[Tensor, Tensor]:
        """The scores of each row's positive and hard negatives, and which are real: (B, 1 + k)
        each.
        """
        own = self.column("own")
        # what stands in the places of none is gathered and is not real
        return self.scores.gather(1, own.clamp(min=0)), own >= 0

    def column(self, name: str) -> Tensor:
        """The column of this name; what is marked as a matrix, on the device of the others."""
        found = self.columns[name]
        if isinstance(found, Marked):
            return found.dense().to(self.column("positive").device)
        return found

    def rows(self, rows: slice) -> Examples:
        """Some of the rows, over the same documents."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return replace(self, query=self.query[rows], columns=columns)

    def truncated(self, dim: int) -> Examples:
        """The same with all items cut to their first `dim` dimensions."""
        return replace(self, query=self.query.truncate(dim), document=self.document.truncate(dim))
