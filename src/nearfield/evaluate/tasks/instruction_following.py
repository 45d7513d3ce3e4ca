"""Instruction following: do documents fall that a changed instruction makes irrelevant?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nearfield.data.evaluated.instructed import Instructed, open_instructed
from nearfield.errors import InputError
from nearfield.evaluate.task import Task
from nearfield.evaluate.tasks.reranking import Reranking
from nearfield.statistics.statistic import Mean
from nearfield.types.arrays import Doubles


class InstructionFollowing(Reranking):
    """The same query under its original instruction and under a changed one, each read behind the
    query; its candidates are all documents that are judged for it.

    Of each document that was relevant and is no longer, the ranks before and after give p-MRR
    (Weller et al. 2024, arXiv 2403.15246, equation 1): from -1, it was last and is first, by 0, the
    instruction changed nothing, to 1. A query's value is the mean over its documents.
    """

    name = "instruction-following"
    takes = "rows of query, instruction, document and relevance"
    item = "changed query"
    measures = ("p-MRR",)
    read = staticmethod(open_instructed)
    statistic = Mean(low=-1.0)
    # not Reranking's, which takes the measures of ir-measures
    measure_named = Task.measure_named

    def __init__(self, data: Instructed) -> None:
        asked: dict[str, Mapping[str, int]] = {}
        changes: list[tuple[str, str, list[str]]] = []
        for query, instructions in data.queries.items():
            # in the order of the rows, of which the first has the original instruction
            (first, original), *others = instructions.items()
            before = f"{query} {first}".strip()
            relevant = [text for text, grade in original.items() if grade > 0]
            candidates: dict[str, int] = {}
            for judged in instructions.values():
                candidates |= dict.fromkeys(judged, 0)
            for instruction, judged in others:
                # a document that was not judged under the new instruction may still be relevant
                lost = [text for text in relevant if judged.get(text, 1) <= 0]
                if lost:
                    after = f"{query} {instruction}".strip()
                    asked[before] = candidates
                    asked[after] = candidates
                    changes.append((before, after, lost))
        if not changes:
            raise InputError(
                f"{data.source or data.name}: no query has an instruction under which a document "
                "is not relevant that is relevant under its first one"
            )
        self.hold(data.name, data.source or data.name, asked)
        place = {query: at for at, query in enumerate(asked)}
        self.changes = []
        for before, after, lost in changes:
            texts = list(asked[after])
            places = [texts.index(text) for text in lost]
            self.changes.append((place[before], place[after], places))
        self.number(changes)

    @classmethod
    def fits(cls, data: Any) -> bool:
        """Opened rows with instructions."""
        return isinstance(data, Instructed)

    def measured(self, scores: Sequence[Any], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """p-MRR of each changed query."""
        ranks = []
        for (rows, _), each in zip(self.candidates, scores, strict=True):
            # equal scores in the order of the texts, as `Reranking.measured` has them
            rank = np.empty(len(rows))
            rank[np.lexsort((rows, -each))] = np.arange(1, len(rows) + 1)
            ranks.append(rank)
        found = []
        for before, after, lost in self.changes:
            old = ranks[before][lost]
            new = ranks[after][lost]
            found.append(np.where(new < old, new / old - 1, 1 - old / new).mean())
        return dict.fromkeys(measures, np.array(found))
