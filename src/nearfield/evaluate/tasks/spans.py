"""Spans: how much of what answers a query is in the chunks that are found, and of these answers?"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nearfield.data.chunk.chunking import Chunking
from nearfield.data.chunk.chunks import words
from nearfield.data.collection import Split
from nearfield.data.evaluated.spans import Span, SpanData, open_spans
from nearfield.data.writer import CollectionWriter
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import InputError
from nearfield.evaluate.analysis.related import Related
from nearfield.evaluate.measures import cutoff, measure_name
from nearfield.evaluate.task import Measured, Options, Task
from nearfield.evaluate.tasks.retrieval import Retrieval
from nearfield.types.arrays import Doubles
from nearfield.types.progress import Bars, no_bars
from nearfield.types.ranking import Ranking

CHUNKING = Chunking()
"""How documents are cut where a model's spec does not say so."""
_SPLIT = "test"


class Spans(Task):
    """Documents are cut into chunks, which are searched; the first k of a query count by their
    characters: R@k is the share of its spans that they hold, P@k the share of them that its spans
    hold (LegalBench-RAG, arXiv 2408.10343, section 4.2). A character in two chunks counts once.

    `minilm@chunk=sentences:100` cuts by sentences of up to 100 words; all else is cut by
    `CHUNKING`.
    """

    name = "spans"
    takes = "documents, and queries with the spans that answer them"
    item = "query"
    measures = ("R@10", "P@10", "R@1", "P@1")
    options: ClassVar[frozenset[str]] = Retrieval.options - {"split", "run_folder", "keep_own"}
    read = staticmethod(open_spans)
    made_of = SpanData
    of_files = True

    def __init__(self, data: SpanData) -> None:
        self.data = data
        self.collection = data.name
        self.split = _SPLIT
        self.where = data.source or data.name
        self.documents = len(data.documents)
        self.queries = list(data.queries)
        self.number(self.queries)

    def measure_named(self, name: str) -> str:
        """Recall or precision at any k."""
        found = measure_name(name)
        if found.partition("@")[0] not in ("R", "P"):
            raise InputError(
                f"{self.where}: the task {self.name} has no measure {name!r}; known: R and P at "
                "any cutoff, as R@10"
            )
        return found

    def measure(
        self,
        models: Sequence[Any],
        measures: Sequence[str],
        options: Options,
        *,
        allow: Names[str] = (),
        bars: Bars = no_bars,
    ) -> list[Measured]:
        """The chunks of each way to cut are encoded once per model."""
        ways: dict[Chunking, list[Any]] = {}
        for model in models:
            spec = ModelSpec.parse(model) if isinstance(model, str | Path) else None
            if spec is None or spec.chunking is None:
                ways.setdefault(CHUNKING, []).append(model)
            elif spec.chunking.late:
                raise InputError(
                    f"{spec.short}: late chunks are found by document and not one by one; say "
                    f"chunk={spec.chunking}"
                )
            else:
                ways.setdefault(spec.chunking, []).append(spec.whole)
        # how deep the retrieval looks; its own values are not used
        deepest = f"R@{max(map(cutoff, measures))}"
        found = []
        for chunking, asked in ways.items():
            spans, split = self._cut(chunking)
            rows = Retrieval(split).measure(asked, [deepest], options, allow=allow, bars=bars)
            options = replace(options, bm25=False)  # one baseline is enough
            after = "" if chunking == CHUNKING else f"@chunk={chunking}"
            for row in rows:
                assert row.ranking is not None, "a retrieval system has a ranking"
                scores = {name: self._values(row.ranking, spans, name) for name in measures}
                found.append(replace(row, name=row.name + after, scores=scores, ranking=None))
        return found

    def related(self, random: np.random.Generator) -> Related:
        """Queries and chunks, of which those that hold a part of their spans belong to them."""
        return Retrieval(self._cut(CHUNKING)[1]).related(random)

    def _cut(self, chunking: Chunking) -> tuple[list[Span], Split]:
        """The chunks' places, and the chunks as documents."""
        spans = list[Span]()
        rows: dict[str, range] = {}
        writer = CollectionWriter(self.collection, None)
        for document, text in self.data.documents.items():
            first = len(spans)
            for chunk in chunking.chunks(text, words):
                writer.document(str(len(spans)), chunk.text)
                spans.append(Span(document, chunk.start, chunk.end))
            # a document's chunks are neighbours, so that a span is looked for in these alone
            rows[document] = range(first, len(spans))
        for at, (query, wanted) in enumerate(self.data.queries.items()):
            # with a q, as chunks are numbered: a document with a query's own id would be left out
            writer.query(f"q{at}", query)
            for answer in wanted:
                # a chunk is relevant where it holds any character of an answer
                for row in rows[answer.document]:
                    if spans[row].start < answer.end and answer.start < spans[row].end:
                        writer.judgement(f"q{at}", str(row), 1, _SPLIT)
        return spans, writer.finish().split(_SPLIT)

    def _values(self, ranking: Ranking, spans: Sequence[Span], measure: str) -> Doubles:
        """Each query's share of characters."""
        rows = ranking.documents[:, : cutoff(measure)]
        values = []
        for found, wanted in zip(rows, self.data.queries.values(), strict=True):
            chunks = _characters([spans[row] for row in found.tolist() if row >= 0])
            answers = _characters(wanted)
            shared = 0
            for document in chunks.keys() & answers.keys():
                both = np.intersect1d(chunks[document], answers[document], assume_unique=True)
                shared += len(both)
            of = answers if measure.startswith("R") else chunks
            values.append(shared / max(1, sum(map(len, of.values()))))
        return np.array(values)


def _characters(spans: Sequence[Span]) -> Mapping[str, Any]:
    """The characters of each document that are in one of the spans, each once."""
    found: dict[str, list[Any]] = {}
    for document, start, end in spans:
        found.setdefault(document, []).append(np.arange(start, end))
    return {document: np.unique(np.concatenate(each)) for document, each in found.items()}
