"""Which model, at which dim and storage type: successive halving on growing parts of the data."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield.data.collection import Split
from nearfield.encoders.remembering import Remembering
from nearfield.errors import InputError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.decide import NONE, check_limits, choice_of, decide, fits
from nearfield.evaluate.encoders import LEXICAL, open_encoders
from nearfield.evaluate.open_task import open_task
from nearfield.evaluate.systems import bm25_system
from nearfield.evaluate.task import Options
from nearfield.evaluate.tasks.retrieval import Retrieval
from nearfield.types.chosen import Chosen, Round
from nearfield.types.comparison import Comparison, Row
from nearfield.types.evaluation.decision import Limits
from nearfield.types.numbers import count, estimated, interval, p_value, plural, score
from nearfield.types.progress import Bars, no_bars
from nearfield.types.ranking import Ranking

PARTS = (0.05, 0.2, 0.4)
"""The share of the documents that each round reads, so that no choice takes more than two fifths of
what encoding all documents with every model does, however dear the best models are.
"""
SMALL = 2_000
"""A collection up to this size is read whole in the last round: encoding it costs little, and a
part of it would have few queries.
"""
LEAST = 30  # queries of a round, or all
GRID = Options(dims=(1.0, 0.5, 0.25), storages=("float32", "int8", "binary"))
"""What is chosen among besides models, where nothing else is asked for."""


def choose(
    models: Sequence[Any],
    data: object,
    *,
    measure: str = "nDCG@10",
    options: Options = GRID,
    limits: Limits = NONE,
    seed: int = 0,
    allow: Names[str] = (),
    bars: Bars = no_bars,
) -> Chosen:
    """The model, dim and storage type to take for retrieval on `data`, within `limits`.

    Successive halving (Jamieson and Talwalkar 2016): every model is compared on a twentieth of the
    documents; the better half of the models, without those that are told apart from the best, on a
    fifth; and the better half of these, two at least, on two fifths, or on all documents where
    there are no more than 2,000. A part holds the relevant documents of randomly chosen queries,
    documents that BM25 finds for these queries, and random ones, so that its figures are higher
    than those of the whole. No text is encoded twice by a model. BM25 takes part in each round
    unless `options.bm25` is False. Raises InputError for fewer than two models, and as `compare`
    and `check_limits` do.
    """
    check_limits(limits)
    task = open_task(data, Retrieval.name, options=options, models=models)
    assert isinstance(task, Retrieval), "the task called so"
    split = task.asked
    lexical = [model for model in models if model in LEXICAL]
    named = [model for model in models if model not in lexical]
    if len(models) < 2:
        raise InputError(f"there is nothing to choose from {len(models)} model; wanted two")
    opened = open_encoders(named, split.collection.document_texts, options)
    alive = {name: Remembering(encoder, name) for name, encoder in opened.items()}
    everyone = alive
    rounds = []
    for part in _parts(split, seed):
        table = compare(
            [*lexical, *alive.values()],
            part,
            measure=measure,
            measures=(measure,),
            allow=allow,
            options=replace(options, split=None),
            bars=bars,
        )
        best = _best_each(table, limits)
        kept = _kept(table, best, alive)
        estimates = {name: row.estimate for name, row in best.items()}
        rounds.append(Round(table.documents, len(table.query_ids), estimates, tuple(kept)))
        alive = {name: alive[name] for name in kept}
    table = replace(table, decision=decide(table, limits))
    return _chosen(table, rounds, everyone, split)


def _documents(split: Split) -> int:
    return len(split.collection.document_ids)


def _parts(split: Split, seed: int) -> Iterator[Split]:
    """What each round compares on; the whole alone where its parts would be no smaller."""
    rng = np.random.default_rng(seed)
    # one order for all rounds: a later one asks the queries of those before it again, and
    # their embeddings are remembered
    order = rng.permutation(len(split.query_ids)).tolist()
    fill = rng.permutation(_documents(split)).tolist()
    found = bm25_system(split).ranking
    before: list[int] = []
    for share in PARTS:
        whole = share == PARTS[-1] and _documents(split) <= SMALL
        part = split if whole else sampled(split, share, order, fill, found, before)
        # of a small collection the next part may be no larger
        if _documents(part) > len(before):
            yield part
            before = split.collection.document_positions(part.collection.document_ids).tolist()


def sampled(
    split: Split,
    share: float,
    order: Sequence[int],
    fill: Sequence[int],
    found: Ranking,
    before: Sequence[int] = (),
) -> Split:
    """About `share` of the split's documents and the queries that these are enough for, or all of
    it where those would be all documents.

    Queries come in `order` until their relevant documents are half of the part, 30 of them at
    least; then the documents of the part `before`, which are encoded; then those that `found` has
    for these queries, the best of each first; then those in the order of `fill`. It is smaller
    where these are longer than others: no more than `share` of all characters.
    """
    size = round(share * _documents(split))
    lengths = np.array([*map(len, split.collection.document_texts)])
    chosen: dict[int, None] = {}
    queries: list[int] = []
    for row in order:
        places = split.collection.document_positions(split.relevant[row])
        if len(queries) >= LEAST and len(chosen) + len(places) > size / 2:
            break
        queries.append(row)
        chosen.update(dict.fromkeys(places[places >= 0].tolist()))
    # a part is larger than its share where 30 queries have more relevant documents than half of it
    size = max(size, 2 * len(chosen))
    if size >= _documents(split):
        return split
    # turned to (depth, queries), so that each query's best comes before any second best
    candidates = [*before, *found.documents[queries].T.ravel().tolist(), *fill]
    room = share * lengths.sum() - lengths[[*chosen]].sum()
    for document in candidates:
        if len(chosen) >= size or room < 0:
            break
        if document >= 0 and document not in chosen:
            chosen[document] = None
            room -= lengths[document]
    rows = pa.array(sorted(chosen))
    part = replace(split.collection, documents=split.collection.documents.take(rows))
    return replace(split.part(sorted(queries)), collection=part)


def _best_each(table: Comparison, limits: Limits) -> dict[str, Row]:
    """The best row of each model, best first; of those within the limits where there is one."""
    best: dict[str, Row] = {}
    # models with a row within the limits stand before the others, whatever the means
    for within in (True, False):
        for row in table.rows:
            choice = choice_of(row, table.prices.get(row.name))
            if not within or fits(choice, limits):
                best.setdefault(row.model, row)
    return best


def _kept(table: Comparison, best: Mapping[str, Row], alive: Mapping[str, Any]) -> list[str]:
    """The better half of the models, two at least, without those whose best row is told apart from
    the best model's.
    """
    ranked = [name for name in best if name in alive]  # without BM25, which costs nothing to keep
    half = ranked[: max(2, len(ranked) // 2)]
    p = {frozenset((pair.a, pair.b)): pair.p_holm for pair in table.pairs}
    first = best[ranked[0]].name if ranked else ""
    # 1 for the first itself, and for pairs that are not tested in a table of many rows
    return [name for name in half if p.get(frozenset((first, best[name].name)), 1.0) >= 0.05]


def _chosen(
    table: Comparison, rounds: Sequence[Round], encoders: Mapping[str, Remembering], split: Split
) -> Chosen:
    assert table.decision is not None
    take = table.decision.take
    model = next((row.model for row in table.rows if take and row.name == take.name), "")
    ranked: list[str] = []
    for each in reversed(rounds):  # a model of a later round is ahead of those that left before
        ranked += each.best
    runner_up = next((name for name in ranked if name != model), "")
    texts = (*split.collection.document_texts, *split.query_texts)
    whole = sum(map(len, dict.fromkeys(texts)))
    shares = {name: each.characters / max(1, whole) for name, each in encoders.items()}
    # a model's time for all texts, from its time for those that it read
    everything = sum(each.seconds / shares[name] for name, each in encoders.items() if shares[name])
    work = sum(each.seconds for each in encoders.values()) / max(everything, 1e-9)
    licences = {name: each.contract.terms.licence or "" for name, each in encoders.items()}
    words = (*table.decision.words, *_runner_up_in_words(table, rounds, model, runner_up))
    compared = f"{plural(len(encoders), 'model')} compared in {plural(len(rounds), 'round')}"
    last = f"the last on {count(table.documents)} of {plural(_documents(split), 'document')}"
    read = f"{count(100 * work)} % of the time of encoding everything with every model"
    words += (f"{compared}, {last}, in {read}.",)
    return Chosen(tuple(rounds), table, runner_up, words, shares, work, licences)


def _runner_up_in_words(
    table: Comparison, rounds: Sequence[Round], model: str, runner_up: str
) -> Iterator[str]:
    """How sure it is that the other model is not the better one."""
    if not model or not runner_up:
        return
    last = next(each for each in reversed(rounds) if runner_up in each.best)
    if last is not rounds[-1]:
        leads = last.best[model].mean
        behind = last.best[runner_up]
        figures = f"{table.measure} {estimated(behind)} to {score(leads)}"
        yield (
            f"Runner-up: {runner_up}, behind on {plural(last.documents, 'document')} "
            f"({figures}) and not measured on more."
        )
        return
    best: dict[str, str] = {}
    for row in table.rows:  # the best first
        best.setdefault(row.model, row.name)
    for pair in table.pairs:
        if {pair.a, pair.b} == {best[model], best[runner_up]}:
            better = pair.a if pair.difference.mean > 0 else pair.b
            yield (
                f"Runner-up: {runner_up}; of the two models' best rows {better} is ahead by "
                f"{score(abs(pair.difference.mean))} {interval(pair.difference)}, "
                f"{p_value(pair.p_holm)}."
            )
