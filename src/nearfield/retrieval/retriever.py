"""From the text of a query to a ranking: the one pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

from nearfield.encoders.encoded import encoded
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.retrieval.explain import Asked, Explanation
from nearfield.retrieval.first_stage import FirstStage
from nearfield.retrieval.fuse import reciprocal_rank_fusion
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.rerank import DEPTH, rerank
from nearfield.retrieval.retrieve import retrieve
from nearfield.types.arrays import Mask
from nearfield.types.progress import Bars, no_bars
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT, QUERY

FUSED_DEPTH = 100  # results of each ranking that a fusion looks at


class Fuse(Protocol):
    """Several rankings of the same queries to one of k results."""

    def __call__(self, rankings: Sequence[Ranking], /, *, k: int) -> Ranking: ...


@dataclass(frozen=True)
class Retriever:
    """First stages that each rank the documents, a fusion of them where there are several, and,
    where `rerank` is given, a judge that orders each query's first `depth` results again.
    """

    document_ids: Sequence[str]
    document_texts: Sequence[str]
    stages: Sequence[FirstStage]
    fuse: Fuse = reciprocal_rank_fusion
    rerank: PairScorer | None = None
    depth: int = DEPTH

    def search(
        self,
        queries: Queries,
        k: int,
        *,
        where: Mask | None = None,
        bars: Bars = no_bars,
    ) -> Ranking:
        """The k best documents for each query, with the rankings that they come from as `parts`.

        `where`: (m,) bool, True for a document that may be found. Raises InputError for k below 1.
        """
        several = len(self.stages) > 1
        reranked = 0 if self.rerank is None else self.depth
        deep = min(reach(k, reranked=reranked, fused=several), max(1, len(self.document_ids)))
        parts = self.first(queries, deep, where=where)
        found = parts[self.stages[0].name]
        if several:  # as deep, since the judge may put what is last among them first
            found = self.fuse(list(parts.values()), k=deep)
        if self.rerank is not None:
            with bars(f"re-ranking with {self.rerank.name}") as progress:
                found = rerank(
                    found,
                    self.rerank,
                    query_texts=queries.texts,
                    document_texts=self.document_texts,
                    depth=self.depth,
                    progress=progress,
                )
        elif not several:
            # a stage's own ranking, which is made of no other: it has no parts
            return found
        return replace(found.top(k), parts=parts)

    def first(self, queries: Queries, k: int, *, where: Mask | None = None) -> dict[str, Ranking]:
        """The k best documents by each first stage alone, by its name."""
        found = {}
        for stage in self.stages:
            asked = queries.made.get(stage.name)
            if asked is None:
                asked = stage.encode(queries.texts)
            ids = self.document_ids
            found[stage.name] = retrieve(asked, stage.index, queries, ids, k=k, where=where)
        return found

    def explainer(self, query: str) -> Callable[[int], dict[str, Explanation]]:
        """What explains the query's score with a document, given by its position: by each first
        stage, and by the re-ranking where its scores have parts.
        """
        encoders = {stage.name: stage.encoder for stage in self.stages}
        vectors = {stage.name: stage.documents for stage in self.stages}
        if self.rerank is not None and self.rerank.encoder is not None:
            encoders[f"{self.rerank.name}, reranking"] = self.rerank.encoder

        @cache
        def asked(name: str) -> Asked:
            # once for each stage, however many documents are explained
            return Asked(encoders[name], query, encoded(encoders[name], [query], QUERY))

        def why(position: int) -> dict[str, Explanation]:
            found = {}
            text = self.document_texts[position]
            for name, encoder in encoders.items():
                # BM25 and the re-ranking keep no embeddings of the documents
                known = vectors.get(name)
                if known is None:
                    document = encoded(encoder, [text], DOCUMENT)
                else:
                    document = known[[position]]
                found[name] = asked(name).explain(document, text)
            return found

        return why


def reach(k: int, *, reranked: int = 0, fused: bool = False) -> int:
    """How many results of each first stage it takes to have k in the end."""
    return max(k, reranked, FUSED_DEPTH if fused else 0)
