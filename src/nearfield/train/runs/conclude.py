"""The end of a run: the test split, touched once, and what it says."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nearfield.data.collection import Split
from nearfield.encoders.encoder import Encoder
from nearfield.errors import MatryoshkaWarning
from nearfield.evaluate.compare import compare
from nearfield.evaluate.systems import System, bm25_system, fused_system, model_systems
from nearfield.evaluate.trained import TRAINED_ON
from nearfield.similarity import EMBEDDINGS
from nearfield.statistics.power import queries_needed
from nearfield.train.runs.candidate import ByVectors, Candidate
from nearfield.train.runs.guard import Guard
from nearfield.types.comparison import Comparison
from nearfield.types.contract import Contract
from nearfield.types.item import all_images
from nearfield.types.progress import Progress
from nearfield.types.ranking import Ranking
from nearfield.types.verdict import BETTER, NO_DIFFERENCE, WORSE, Estimate, Forgotten, Side, Verdict

ALPHA = 0.05  # the level of the paired test
SHOWN, RANKS = 5, 5  # queries that gained or lost most, and results of each
BASE, TUNED = "base", "tuned"


@dataclass(frozen=True)
class Measured:
    """What a test left: the comparison, the names of the rows that the verdict is on, what was made
    (which the guards are then measured with), and what else is kept, by name.
    """

    comparison: Comparison
    base: str
    tuned: str
    made: Candidate
    others: Mapping[str, Any] = field(default_factory=dict)


def cuts(contract: Contract, trained: Sequence[int]) -> list[int]:
    """The dims that are measured: the whole vector and the Matryoshka dims, or else halves of it
    down to 64; none where embeddings are not dense.
    """
    if not EMBEDDINGS[contract.kind].one_vector:
        return []
    if trained:
        return sorted({contract.dim, *trained}, reverse=True)
    return [contract.dim, *(half for half in (256, 128, 64) if half < contract.dim)]


def measure_test(
    base: Encoder[Any],
    tuned: Encoder[Any],
    split: Split,
    *,
    name: str,
    measure: str,
    dims: Sequence[int],
    progress: Progress,
) -> Measured:
    """Both models at every dim and storage type, BM25, and BM25 fused with the base, on the test
    split: `comparison` of whole vectors with the baselines, `storage` over dims and storage types,
    the measure of each of the `queries`, and the `examples` that gained and lost most.

    Of a model of several kinds the fused score is what the verdict is on; each kind alone stands
    beside it. Where all documents are images, BM25 is left out: there are no words.
    """
    count = len(split.collection.document_ids)
    storages = EMBEDDINGS[base.contract.kind].worth_measuring

    def encode(encoder: Encoder, called: str, start: int) -> list[System]:
        def both(done: int, total: int, note: str = "") -> None:
            progress(start + done, 2 * count, called)

        return model_systems(
            encoder, split, name=called, dims=dims, storages=storages, progress=both
        )

    # the run has refused what was seen before it began, or was allowed to go on
    compared = partial(compare, data=split, measure=measure, allow=(TRAINED_ON,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatryoshkaWarning)  # the table of dims shows what they cost
        before = encode(base, name, 0)
        after = encode(tuned, f"{name} {TUNED}", count)
    # the first of each model's systems is of its whole vectors, as they are
    plain = replace(before[0], name=name)
    better = replace(after[0], name=f"{name} {TUNED}")
    systems = [plain, *_heads(before)]
    if not all_images(split.collection.document_texts):
        lexical = bm25_system(split)
        fused = fused_system(lexical, plain, name=f"{name} + bm25 (fused)")
        systems = [lexical, *systems, fused]
    comparison = compared([*systems, better, *_heads(after)])
    queries = _queries(comparison, split, plain.name, better.name)
    others = {
        "storage": compared([*_called(before, BASE), *_called(after, TUNED)], measures=(measure,)),
        "queries": queries,
        "examples": _examples(queries, split, plain.ranking, better.ranking),
    }
    return Measured(comparison, plain.name, better.name, ByVectors(tuned), others)


def _queries(comparison: Comparison, split: Split, before: str, after: str) -> list[dict[str, Any]]:
    """Each query with the measure of the two rows of these names."""
    values = {row.name: row.per_query for row in comparison.rows}
    columns = (split.query_ids, split.query_texts, values[before], values[after])
    return [
        {"id": key, "text": text, "before": old, "after": new}
        for key, text, old, new in zip(*columns, strict=True)
    ]


def _called(systems: Sequence[System], model: str) -> list[System]:
    """The systems of a model under this name, without their notes and deviations."""
    called = []
    for each in systems:
        name = model + each.name.removeprefix(each.model)
        called.append(replace(each, name=name, model=model, notes=(), deviations=()))
    return called


def _heads(systems: Sequence[System]) -> list[System]:
    """What a model of several kinds finds by each alone, stored as its first system is."""
    first = systems[0]
    heads = []
    for each in systems[1:]:
        if each.dim == first.dim and each.storage == first.storage:
            heads.append(replace(each, name=each.name.removesuffix(f" {each.storage}")))
    return heads


def conclude(
    found: Measured, nouns: tuple[str, str], *, forgotten: Sequence[Forgotten], dev_queries: int
) -> Verdict:
    """The verdict on what was trained against its baseline, which `nouns` name in this order:
    better or worse where the two-sided paired test says so at 5 %. `dev_queries` is the number of
    queries that chose what was kept.
    """
    comparison = found.comparison
    base = found.base
    tuned = found.tuned
    rows = {row.name: row for row in comparison.rows}
    before = rows[base]
    after = rows[tuned]
    pair = next(pair for pair in comparison.pairs if {pair.a, pair.b} == {base, tuned})
    # a comparison orders a pair by its means; the verdict's difference is tuned less base
    difference = pair.difference
    if pair.a != tuned:
        ends = {"low": -difference.high, "high": -difference.low}
        difference = replace(difference, mean=-difference.mean, **ends)
    outcome = NO_DIFFERENCE
    if pair.p < ALPHA:
        outcome = BETTER if difference.mean > 0 else WORSE
    changes = [new - old for old, new in zip(before.per_query, after.per_query, strict=True)]
    return Verdict(
        outcome=outcome,
        measure=comparison.measure,
        collection=comparison.collection,
        split=comparison.split,
        queries=len(comparison.query_ids),
        baseline=Side(**vars(before.estimate), name=base, noun=nouns[1]),
        tuned=Side(**vars(after.estimate), name=tuned, noun=nouns[0]),
        difference=difference,
        p=pair.p,
        queries_needed=queries_needed(changes),
        forgotten=tuple(forgotten),
        dev_queries=dev_queries,
    )


def verdict_of(held: Mapping[str, Any]) -> Verdict:
    """A verdict from the JSON that a run folder holds."""
    facts = dict(held)
    facts["baseline"] = Side(**held["baseline"])
    facts["tuned"] = Side(**held["tuned"])
    facts["difference"] = Estimate(**held["difference"])
    facts["forgotten"] = tuple(Forgotten(**lost) for lost in held["forgotten"])
    return Verdict(**facts)


def forgotten(
    guards: Sequence[Guard], before: Mapping[str, float], after: Mapping[str, float], margin: float
) -> list[Forgotten]:
    """What each guard lost, on the queries that the choice of the merge did not see."""
    lost = []
    for guard in guards:
        name = guard.name
        count = len(guard.reporting.queries)
        lost.append(Forgotten(name, guard.measure, count, before[name], after[name], margin))
    return lost


def _examples(
    queries: list[dict[str, Any]], split: Split, before: Ranking, after: Ranking
) -> list[dict[str, Any]]:
    """The queries that gained and that lost most, with both rankings; ties in the order of their
    ids.
    """
    change = [query["after"] - query["before"] for query in queries]
    changed = sorted(range(len(queries)), key=lambda at: (change[at], queries[at]["id"]))
    lost = [at for at in changed[:SHOWN] if change[at] < 0]
    gained = [at for at in reversed(changed[-SHOWN:]) if change[at] > 0]
    examples = []
    for at in [*gained, *lost]:
        rankings = {
            "before_ranking": _hits(before, at, split),
            "after_ranking": _hits(after, at, split),
        }
        examples.append(queries[at] | rankings)
    return examples


def _hits(ranking: Ranking, query: int, split: Split) -> list[dict[str, Any]]:
    relevance = split.relevance[split.query_ids[query]]
    hits = []
    best = zip(ranking.documents[query, :RANKS], ranking.scores[query, :RANKS], strict=True)
    for document, score in best:
        if document < 0:  # fewer were found
            continue
        (row,) = split.collection.documents.slice(int(document), 1).to_pylist()
        hit = {name: row[name] for name in ("id", "title", "text")}
        grade = int(relevance.get(row["id"], 0))
        hits.append(hit | {"score": float(score), "relevance": grade})
    return hits
