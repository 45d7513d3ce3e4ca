"""From the text of a query to a ranking: the one pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.index.index import Mask
from nearfield.search.explain import Asked, Explanation, explain, unmet
from nearfield.search.first_stage import FirstStage
from nearfield.search.fuse import reciprocal_rank_fusion
from nearfield.search.queries import Queries
from nearfield.search.rerank import DEPTH, rerank
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.progress import Progress, silent
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
        progress: Progress = silent,
    ) -> Ranking:
        """The k best documents for each query, with the rankings that they come from as `parts`.

        `where`: (m,) bool, True for a document that may be found. `progress` is that of the
        re-ranking. Raises InputError where k is below 1.
        """
        wanted = k
        if self.rerank is not None:
            wanted = max(k, self.depth)
        several = len(self.stages) > 1
        deep = max(wanted, FUSED_DEPTH) if several else wanted
        parts = self.first(queries, deep, where=where)
        found = parts[self.stages[0].name]
        if several:
            found = self.fuse(list(parts.values()), k=wanted)
        if self.rerank is not None:
            found = rerank(
                found,
                self.rerank,
                query_texts=queries.texts,
                document_texts=self.document_texts,
                depth=self.depth,
                progress=progress,
            ).top(k)
        elif not several:
            return found
        return replace(found, parts=parts)

    def first(self, queries: Queries, k: int, *, where: Mask | None = None) -> dict[str, Ranking]:
        """The k best documents by each first stage alone, by its name."""
        return {
            stage.name: stage.search(queries, self.document_ids, k=k, where=where)
            for stage in self.stages
        }

    def explainer(self, query: str) -> Callable[[int], dict[str, Explanation]]:
        """What explains the query's score with a document, given by its position: by each first
        stage, and by the re-ranking where its scores have parts.
        """
        made: dict[str, tuple[Encoder[Any], Embeddings | None]] = {
            stage.name: (stage.encoder, stage.documents) for stage in self.stages
        }
        if self.rerank is not None and self.rerank.encoder is not None:
            made[f"{self.rerank.name}, reranking"] = (self.rerank.encoder, None)
        asked = {
            name: Asked(encoder, query, encoder.encode([query], QUERY))
            for name, (encoder, _) in made.items()
        }

        def why(position: int) -> dict[str, Explanation]:
            text = self.document_texts[position]
            return {
                name: _explained(each, made[name][1], position, text)
                for name, each in asked.items()
            }

        return why


def _explained(asked: Asked, documents: Embeddings | None, position: int, text: str) -> Explanation:
    if documents is None:
        documents = asked.encoder.encode([text], DOCUMENT)
        position = 0
    matches = explain(asked, documents, position, text=text)
    return Explanation(matches, unmet(asked, documents, position))
