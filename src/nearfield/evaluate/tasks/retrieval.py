"""Retrieval: are the relevant documents of a collection near the top of each query's ranking?"""

from __future__ import annotations

import re
from collections.abc import Collection as Names
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield.data.collection import Collection, Split
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.lexical import BagOfWords, Lexical
from nearfield.encoders.load import load_reranker
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.remote.afford import afford
from nearfield.errors import InputError
from nearfield.evaluate.analysis.holes import holes
from nearfield.evaluate.analysis.related import Related
from nearfield.evaluate.analysis.traits import overlap
from nearfield.evaluate.departures import departure_notes
from nearfield.evaluate.encoders import (
    BM25,
    LEXICAL,
    TFIDF,
    fitting,
    open_encoders,
    pooled,
)
from nearfield.evaluate.judged_split import judged_split
from nearfield.evaluate.measures import MEASURES, cutoff, measure_name, score_ranking
from nearfield.evaluate.reranked import reranked_system
from nearfield.evaluate.systems import DEPTH, System, bm25_system, fused_system, model_systems
from nearfield.evaluate.task import Measured, Options, Task
from nearfield.evaluate.trec import check_expressible, write_qrels, write_run
from nearfield.runtimes.options import OpenOptions
from nearfield.types.arrays import Positions
from nearfield.types.comparison import Comparison
from nearfield.types.evaluation.slices import Holes
from nearfield.types.item import all_images
from nearfield.types.progress import Bars, Progress, no_bars
from nearfield.types.role import DOCUMENT, QUERY


class Retrieval(Task):
    """A split of a collection: a value per judged query, by the measures of ir-measures."""

    name = "retrieval"
    takes = "a collection with judgements"
    item = "query"
    measures = MEASURES
    options = frozenset(vars(Options()))

    def __init__(self, split: Split) -> None:
        self.asked = split
        self.collection = split.collection.name
        self.split = split.name
        self.documents = len(split.collection.document_ids)
        self.item_ids = tuple(split.relevance)
        self.where = f"{self.collection} / {self.split}"
        self.queries = split.query_texts
        self.notes = (*_own_documents(split), *_lost_judgements(split))

    @classmethod
    def of(
        cls, data: object, options: Options, *, models: Sequence[Any] = (), source: str = ""
    ) -> Retrieval | None:
        """On a collection's judged split, or on a split itself."""
        if isinstance(data, Split):
            return cls(data)
        if not isinstance(data, Collection):
            return None
        data = replace(data, keep_own=options.keep_own)
        split = judged_split(data, options.split, source or data.name, models=models)
        if options.run_folder is not None:
            ids = list(data.document_ids)
            for grades in split.relevance.values():
                ids += grades
            # a run file cannot hold every id, which is told before anything is encoded
            check_expressible(split.query_ids, ids, options.run_folder)
        return cls(split)

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
        """`models` may also be systems, which were searched already and are taken as they are."""
        systems = [model for model in models if isinstance(model, System)]
        named = [model for model in models if not isinstance(model, System)]
        if named:
            depth = max(DEPTH, *map(cutoff, measures))
            if options.rerank is not None:
                depth = max(depth, options.depth)
            systems += self._search(named, depth, options, allow, bars)
        found = [self._measured(system, measures) for system in systems]
        departures = departure_notes(systems, self.asked, measures[0])
        return [replace(each, notes=each.notes + departures.get(each.name, ())) for each in found]

    def traits(self) -> dict[str, list[float] | list[str]]:
        """Also the words that a query shares with a relevant document, and its group."""
        split = self.asked
        found = super().traits()
        texts = split.collection.document_texts
        shared = []
        for query, relevant in zip(split.query_texts, split.relevant, strict=True):
            places = split.collection.document_positions(relevant)
            shared.append(overlap(query, [texts[int(at)] for at in places if at >= 0]))
        found["shared words"] = shared
        names = split.collection.queries["group"].to_pylist()
        groups = dict(zip(split.collection.query_ids, names, strict=True))
        found["group"] = [groups[query] or "none" for query in split.query_ids]
        return found

    def holes(self, measured: Measured, measure: str) -> Holes | None:
        """Of its ranking."""
        if measured.ranking is None:
            return None
        return holes(measured.name, measured.ranking, self.asked.relevance, measure)

    def related(self, random: np.random.Generator) -> Related:
        """Queries, their relevant documents and others, with the documents' groups; where they have
        none, whether a document answers a query.
        """
        split = self.asked
        documents = split.collection
        asked = []
        relevant = []
        for at, own in enumerate(split.relevant):
            asked += [at] * len(own)
            relevant += own
        places = documents.document_positions(relevant)
        pairs = np.column_stack([asked, places])[places >= 0]
        known = set(map(tuple, pairs.tolist()))

        def groups(rows: Positions) -> list[str]:
            named: list[str] = documents.documents["group"].take(pa.array(rows)).to_pylist()
            if any(named):
                return named
            answers = np.isin(rows, pairs[:, 1]).tolist()
            return ["answers a query" if known else "answers none" for known in answers]

        return Related.drawn(
            (split.query_texts, documents.document_texts),
            pairs,
            lambda query, document: (query, document) in known,
            groups=groups,
            random=random,
        )

    def write(self, folder: Path, comparison: Comparison, measured: Sequence[Measured]) -> None:
        """The comparison, each ranking as a TREC run, and the judgements as qrels.txt."""
        super().write(folder, comparison, measured)
        write_qrels(self.asked.relevance, folder / "qrels.txt")
        tags: list[str] = []
        for each in measured:
            tag = re.sub(r"[^\w.+-]+", "-", each.name).strip("-")
            while tag in tags:  # of `a@b` and `a-b`, say
                tag = f"{tag}-2"
            tags.append(tag)
            assert each.ranking is not None, "a retrieval system has a ranking"
            write_run(each.ranking, folder / f"{tag}.run", tag=tag)

    def _search(
        self, models: list[Any], depth: int, options: Options, allow: Names[str], bars: Bars
    ) -> list[System]:
        """Each model's rows, with BM25, its fusions and the re-ranked rows that are asked for."""
        split = self.asked
        texts = split.collection.document_texts
        lexical = [model for model in models if model in LEXICAL]
        _refuse_fusion(models, options)
        judge = _judge(options)
        others = [model for model in models if model not in LEXICAL]
        encoders = pooled(open_encoders(others, texts, options), options.pool_tokens)
        # the costs of all models together, before the first of them is paid
        afford(encoders.values(), {DOCUMENT: texts, QUERY: split.query_texts})
        known = {name: encoder.trained_on for name, encoder in encoders.items()}
        if judge is not None:
            known[judge.name] = judge.trained_on
        self.refuse_trained_on(known, allow=allow)
        # fitted last: it can be neither refused nor too dear
        if TFIDF in lexical:
            encoders[TFIDF] = Lexical.fit(texts, BagOfWords(TFIDF))
        systems: list[System] = []
        baseline = None  # which may be there to be fused alone
        # documents that are all images have no words to be found by
        shown = BM25 in lexical or (options.bm25 is not False and not all_images(texts))
        if shown or options.fuse:
            baseline = bm25_system(split, depth=depth)
            if shown:
                systems.append(baseline)
        for name, encoder in encoders.items():
            with bars(f"encoding with {name}") as progress:
                own = fitting(options, encoder, encoders)
                rows = self._encoded(encoder, name, own, depth, progress)
            best = rows[0]
            if baseline is not None and options.fuse:
                best = fused_system(rows[0], baseline)
                rows.append(best)
            systems += rows
            if judge is not None:
                systems.append(self._reranked(best, judge, options.depth, bars))
        if judge is not None and baseline is not None and BM25 in lexical:
            systems.append(self._reranked(baseline, judge, options.depth, bars))
        return systems

    def _encoded(
        self, encoder: Encoder[Any], name: str, options: Options, depth: int, progress: Progress
    ) -> list[System]:
        return model_systems(
            encoder,
            self.asked,
            name=name,
            dims=options.dims,
            storages=options.storages,
            similarity=options.similarity,
            depth=depth,
            progress=progress,
        )

    def _reranked(self, system: System, judge: PairScorer, depth: int, bars: Bars) -> System:
        with bars(f"re-ranking {system.name} with {judge.name}") as progress:
            return reranked_system(system, judge, self.asked, depth=depth, progress=progress)

    def _measured(self, system: System, measures: Sequence[str]) -> Measured:
        scores = score_ranking(system.ranking, self.asked.relevance, measures)
        return Measured(
            name=system.name,
            model=system.model,
            scores={name: each.values for name, each in scores.items()},
            dim=system.dim,
            storage=system.storage,
            bytes_per_document=system.bytes_per_document,
            documents_per_second=system.documents_per_second,
            query_milliseconds=system.query_milliseconds,
            trained_on=len(system.trained_on),
            notes=system.notes,
            ranking=system.ranking,
            price=system.price,
        )


def _refuse_fusion(models: list[Any], options: Options) -> None:
    if options.fuse and set(models) == {BM25}:
        raise InputError(
            "there is nothing to fuse: BM25 is fused with each model, and no other is named"
        )


def _judge(options: Options) -> PairScorer | None:
    """The model that re-ranks, where one is asked for."""
    if options.rerank is None:
        return None
    return load_reranker(options.rerank, OpenOptions(trust_remote_code=options.trust_remote_code))


def _own_documents(split: Split) -> Iterator[str]:
    """A line where queries have the id of a document: is it left out of their own rankings?"""
    count = int((split.own_documents >= 0).sum())
    if count:
        told = "which is left out of their rankings, as BEIR does"
        if split.collection.keep_own:
            told = (
                "which is not left out of their rankings: each may find itself, and the figures "
                "are not comparable with BEIR's"
            )
        of = f"{count:,} of {len(split.query_ids):,} queries have the id of a document"
        yield f"{of}, {told}"


def _lost_judgements(split: Split) -> Iterator[str]:
    """A line where the collection lacks relevant documents, which no system can find."""
    judged = list(chain.from_iterable(split.relevant))
    lost = int((np.asarray(split.collection.document_positions(judged)) < 0).sum())
    if lost:
        yield (
            f"{lost:,} of {len(judged):,} judgements of a relevant document are of one that is not "
            "in the collection, which no system can find; see nearfield data check"
        )
