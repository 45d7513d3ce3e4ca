"""Reranking: does a model order each query's own candidates well?"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.compute as pc

from nearfield.data.open import open_pairs
from nearfield.data.pairs import Pairs
from nearfield.encoders.lexical import BagOfWords, Lexical
from nearfield.encoders.load import load_reranker
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.spec import ModelSpec
from nearfield.evaluate.analysis.related import Related
from nearfield.evaluate.encoded_task import EncodedTask
from nearfield.evaluate.encoders import LEXICAL
from nearfield.evaluate.measures import cutoff, measure_name, score_ranking
from nearfield.evaluate.task import Measured, Options
from nearfield.evaluate.tasks.pair_classification import PairClassification
from nearfield.formats.reranker_folder import is_reranker
from nearfield.runtimes.options import OpenOptions
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Doubles, Positions
from nearfield.types.contract import Contract
from nearfield.types.progress import Bars, no_bars
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT, QUERY, Role


class Reranking(EncodedTask):
    """Queries with positives and negatives of their own, which are their only candidates.

    A query's value is a retrieval measure of its candidates in the order of their scores; equal
    scores keep the order of the texts. Embedding models, cross-encoders, BM25 and TF-IDF take part
    alike; the last two are fitted on the candidates of all queries, each text once. Queries without
    a positive are left out, as MTEB does.
    """

    name = "reranking"
    takes = "rows of query, positive and negatives, or of query, document and its relevance"
    item = "query"
    measures: ClassVar[tuple[str, ...]] = ("AP@1000", "RR@10", "nDCG@10")
    read: ClassVar[staticmethod[[Any], Any]] = staticmethod(open_pairs)

    def __init__(self, pairs: Pairs) -> None:
        self.hold(pairs.name, pairs.called, _candidates(pairs))

    def hold(self, name: str, where: str, found: Mapping[str, Mapping[str, int]]) -> None:
        """Keep the candidates of each query and their grades, by their texts."""
        self.collection = name
        self.split = "pairs"
        self.where = where
        self.queries = list(found)
        # sorted, as equal scores keep the order of the texts
        documents = sorted({text for own in found.values() for text in own})
        place = {text: at for at, text in enumerate(documents)}
        self.candidates = []  # of each query the rows of its documents, and their grades
        for own in found.values():
            rows = np.array([place[text] for text in own])
            self.candidates.append((rows, np.array([*own.values()])))
        self.document_ids = tuple(map(str, range(len(documents))))
        self.documents = len(documents)
        self.number(found)
        self.texts = documents
        self.parts = (self.queries, documents)

    @classmethod
    def fits(cls, data: Any) -> bool:
        """Pairs of which some have negatives, or a score of two values."""
        if isinstance(data, Pairs) and not data.scored:
            return any(data.table["negatives"].to_pylist())
        return PairClassification.fits(data)

    def role_of(self, part: int, contract: Contract) -> Role:
        """Queries and documents, as in a search."""
        return (QUERY, DOCUMENT)[part]

    def measure_named(self, name: str) -> str:
        """A measure of ir-measures; see `measure_name`."""
        return measure_name(name)

    def measure(
        self,
        models: Sequence[Any],
        measures: Sequence[str],
        options: Options,
        *,
        allow: Names[str] = (),
        bars: Bars = no_bars,
    ) -> list[Measured]:
        """Cross-encoders have one row each, whatever dims and storages are asked for."""
        trust = OpenOptions(trust_remote_code=options.trust_remote_code)
        scorers = []
        others: list[Any] = []
        for model in models:
            if isinstance(model, PairScorer):
                scorers.append(model)
            elif _is_reranker(model):
                scorers.append(load_reranker(model, trust))
            elif model in LEXICAL:
                # fitted here, as EncodedTask.measure refuses the name alone
                others.append(Lexical.fit(self.texts, BagOfWords(model)))
            else:
                others.append(model)
        self.refuse_trained_on({each.name: each.trained_on for each in scorers}, allow=allow)
        rows = []
        if others:
            rows += super().measure(others, measures, options, allow=allow, bars=bars)
        return rows + [self._judged(scorer, measures, bars) for scorer in scorers]

    def related(self, random: np.random.Generator) -> Related:
        """Queries and their positives."""
        pairs = []
        for at, (rows, grades) in enumerate(self.candidates):
            pairs += [(at, row) for row in rows[grades > 0].tolist()]
        known = set(pairs)
        return Related.drawn(
            (self.queries, self.texts),
            np.array(pairs, np.int64).reshape(-1, 2),
            lambda query, document: (query, document) in known,
            random=random,
        )

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """Each query's measures of its candidates, by the similarity to it."""
        queries, documents = parts
        scores = []
        for at, (rows, _) in enumerate(self.candidates):
            scores.append(queries[at : at + 1].scores(documents[rows])[0])
        return self.measured(scores, measures)

    def _judged(self, scorer: PairScorer, measures: Sequence[str], bars: Bars) -> Measured:
        lengths = [len(rows) for rows, _ in self.candidates]
        pairs: tuple[Positions, Positions] = (
            np.repeat(np.arange(len(lengths)), lengths),
            np.concatenate([rows for rows, _ in self.candidates]),
        )
        with bars(f"scoring with {scorer.name}") as progress:
            scores = scorer.score_at(self.queries, self.texts, pairs, progress=progress)
        ends = np.cumsum(lengths)[:-1]
        seen = int(scorer.trained_on.seen(self.queries).sum())
        found = self.measured(np.split(scores, ends), measures)
        return Measured(scorer.name, scorer.name, found, trained_on=seen)

    def measured(self, scores: Sequence[Any], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """The measures of each query's candidates, in the order of their scores."""
        # as deep as a measure looks; a list of candidates may be shorter
        deepest = min(max(map(cutoff, measures)), len(self.document_ids))
        shape = len(scores), max(deepest, *map(len, scores))
        ordered = np.full(shape, -1, np.int64)
        values = np.full(shape, -np.inf, np.float32)
        relevance = {}
        for at, ((rows, grades), each) in enumerate(zip(self.candidates, scores, strict=True)):
            # the last key counts first: by score, then by text, whose rows are sorted
            order = np.lexsort((rows, -each))
            ordered[at, : len(rows)] = rows[order]
            values[at, : len(rows)] = each[order]
            relevant = rows[grades > 0].tolist()
            relevance[self.item_ids[at]] = {self.document_ids[row]: 1 for row in relevant}
        ranking = Ranking(self.item_ids, self.document_ids, ordered, values)
        found = score_ranking(ranking, relevance, measures)
        return {name: each.values for name, each in found.items()}


def _candidates(pairs: Pairs) -> dict[str, dict[str, int]]:
    """Each query's candidates and whether each is a positive one, by a score one of the higher; a
    text that is both is one.
    """
    # None for pairs without scores, all of which are positive
    lowest = pc.min(pairs.table["score"]).as_py()
    grades: dict[str, dict[str, int]] = {}
    for row in pairs.table.to_pylist():
        own = grades.setdefault(row["query"], {})
        for text in row["negatives"] or ():
            own.setdefault(text, 0)
        if row["score"] is None or row["score"] > lowest:
            own[row["positive"]] = 1
        own.setdefault(row["positive"], 0)
    return {query: own for query, own in grades.items() if any(own.values())}


def _is_reranker(model: object) -> bool:
    """Whether a model that is not open is a cross-encoder, by its folder."""
    return isinstance(model, str | Path) and is_reranker(Path(ModelSpec.parse(model).name))
