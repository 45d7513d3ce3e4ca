"""Retrieval measures, for each query, by ir-measures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np

from nearfield.errors import InputError, nearest
from nearfield.types.ranking import Ranking
from nearfield.types.scores import Scores

MEASURES = ("nDCG@10", "R@10", "R@100", "P@10", "RR@10", "AP@100", "Success@10")


@dataclass(frozen=True)
class Kind:
    """A measure of ir-measures: its name there, the names people use for it, and whether it needs a
    cutoff.
    """

    name: str
    aliases: tuple[str, ...]
    needs_cutoff: bool
    example: str


KINDS = (
    Kind("nDCG", ("ndcg",), False, "nDCG@10"),
    Kind("R", ("r", "recall"), True, "R@100 (recall@100)"),
    Kind("P", ("p", "precision"), True, "P@10 (precision@10)"),
    Kind("RR", ("rr", "mrr"), False, "RR@10 (mrr@10)"),
    Kind("AP", ("ap", "map"), False, "AP@100 (map@100)"),
    Kind("Success", ("success", "hit", "hitrate", "accuracy"), True, "Success@10 (hit@10)"),
)
_BY_ALIAS = {alias: kind for kind in KINDS for alias in kind.aliases}


def measure_name(name: str) -> str:
    """`name` as ir-measures writes it: `ndcg@10` is `nDCG@10`, `recall@100` is `R@100`, `map` is
    `AP`, `mrr@10` is `RR@10`.

    Raises InputError, with the known ones, for an unknown measure and for one that lacks its
    cutoff.
    """
    asked, at, depth = name.strip().partition("@")
    kind = _BY_ALIAS.get(asked.lower())
    if kind is None:
        known = ", ".join(kind.example for kind in KINDS)
        raise InputError(
            f"there is no measure {name!r}; wanted one of {known}, at any cutoff."
            f"{nearest(asked.lower(), _BY_ALIAS)}"
        )
    if at and not re.fullmatch("[1-9][0-9]*", depth):
        raise InputError(
            f"measure {name!r} has the cutoff {depth!r}; wanted a whole number from 1, as in "
            f"{kind.example}"
        )
    if not at and kind.needs_cutoff:
        raise InputError(f"measure {name!r} needs a cutoff, as in {kind.example}")
    return f"{kind.name}{at}{depth}"


def cutoff(measure: str) -> int:
    """The results per query that `measure` looks at; 1 where it has no cutoff and takes what the
    ranking holds.
    """
    return int(measure.partition("@")[2] or 1)


def score_ranking(
    ranking: Ranking, relevance: Mapping[str, Mapping[str, int]], measures: Sequence[str]
) -> dict[str, Scores]:
    """Every measure's value for each judged query, in the order of `relevance`, by the measure's
    name in ir-measures.

    A query without results gets 0, one that is not judged is left out, and the order of the ranking
    counts, whatever its scores are. Raises InputError for an unknown measure and for one that looks
    deeper than the ranking was cut.
    """
    names = tuple(dict.fromkeys(map(measure_name, measures)))
    depth = ranking.documents.shape[1]
    for name in names:
        # a ranking of all documents is deep enough for any measure
        if depth < min(cutoff(name), len(ranking.document_ids)):
            raise InputError(
                f"{name} looks at {cutoff(name)} results per query and the ranking "
                f"holds {depth}; retrieve {cutoff(name)}"
            )
    parsed = {ir_measures.parse_measure(name): name for name in names}
    place = {query: row for row, query in enumerate(relevance)}
    values = {name: np.zeros(len(place)) for name in names}
    judged = {query: dict(documents) for query, documents in relevance.items()}
    for metric in ir_measures.iter_calc(list(parsed), judged, _by_rank(ranking, judged)):
        values[parsed[metric.measure]][place[metric.query_id]] = metric.value
    return {name: Scores(name, tuple(place), values[name]) for name in names}


def _by_rank(ranking: Ranking, judged: Mapping[str, object]) -> dict[str, dict[str, float]]:
    """Each judged query's documents with a score that falls by one a rank: trec_eval breaks ties by
    id and reads float32.
    """
    depth = ranking.documents.shape[1]
    # each id is looked up once, however many queries found its document
    documents = np.unique(ranking.documents)
    ids = {row: ranking.document_ids[row] for row in documents[documents >= 0].tolist()}
    run = {}
    for place, query in enumerate(ranking.query_ids):
        if query in judged:
            found = ranking.documents[place]
            rows = found[found >= 0].tolist()
            run[query] = {ids[row]: float(depth - rank) for rank, row in enumerate(rows)}
    return run
