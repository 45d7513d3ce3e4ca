"""Systems side by side: every row with its interval, every pair of rows tested."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nearfield.data.collection import Split
from nearfield.errors import InputError
from nearfield.evaluate.measures import MEASURES, measure_name, score_ranking
from nearfield.evaluate.systems import Deviation, System
from nearfield.evaluate.trained import refuse_trained_on
from nearfield.similarity.dense import STORAGES
from nearfield.statistics.bootstrap import mean_intervals
from nearfield.statistics.differences import mean_difference, mean_differences
from nearfield.statistics.pairwise import pairs_of, tell_apart
from nearfield.statistics.power import queries_needed
from nearfield.types.comparison import Comparison, PairTest, Row
from nearfield.types.numbers import changed, p_value
from nearfield.types.scores import Scores
from nearfield.types.verdict import Estimate

Floats = npt.NDArray[np.float64]


def compare(
    systems: Sequence[System],
    split: Split,
    *,
    measure: str = MEASURES[0],
    measures: Sequence[str] = MEASURES,
    notes: Sequence[str] = (),
    allow: Names[str] = (),
) -> Comparison:
    """All systems on the split, best first, by the mean of `measure`; the same whatever their order
    is.

    Each row has its 95 % bootstrap interval. Each pair of rows is compared by the paired
    randomisation test, corrected by Holm over all pairs; rows that share a letter are not told
    apart at 5 %. A pair's own interval holds 0 exactly where its uncorrected p is 5 % or more. A
    pair's `queries_needed` is counted at the level that Holm's correction tests it at. A use that
    departs from a model's contract becomes a note with what it costs. Raises InputError for no
    system, two of one name, or an unknown measure, and for a model that was trained on some of the
    queries, unless `allow` holds "trained-on": then it is noted.
    """
    if not systems:
        raise InputError("there is nothing to compare; wanted at least one system")
    names = [system.name for system in systems]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"two systems are called {repeated[0]!r}; give each its own name")
    seen = {system.model: len(system.trained_on) for system in reversed(systems)}
    trained = refuse_trained_on(
        seen, len(split.query_ids), where=f"{split.collection.name} / {split.name}", allow=allow
    )
    main = measure_name(measure)
    wanted = tuple(dict.fromkeys([main, *map(measure_name, measures)]))
    scores = {
        system.name: score_ranking(system.ranking, split.relevance, wanted) for system in systems
    }
    ordered = sorted(systems, key=lambda system: (-scores[system.name][main].mean, system.name))
    table = np.stack([scores[system.name][main].values for system in ordered])
    pairs, marks = _tested([system.name for system in ordered], table)
    estimates = mean_intervals(table, bounds=(0.0, 1.0))
    rows = [
        _row(
            system,
            estimate,
            {name: score.mean for name, score in scores[system.name].items()},
            mark,
            values,
        )
        for system, estimate, mark, values in zip(ordered, estimates, marks, table, strict=True)
    ]
    own = _own_documents(split)
    measured = _deviation_notes(ordered, split, {name: each[main] for name, each in scores.items()})
    lost = _lost_judgements(split)
    facts = sorted({note for system in systems for note in system.notes})
    return Comparison(
        collection=split.collection.name,
        split=split.name,
        documents=len(split.collection.document_ids),
        measure=main,
        query_ids=tuple(split.relevance),
        rows=tuple(rows),
        pairs=tuple(pairs),
        notes=tuple(dict.fromkeys([*trained, *notes, *own, *lost, *facts, *measured])),
    )


def _own_documents(split: Split) -> list[str]:
    """A line where queries are documents of the collection by their ids: whether they are left out
    of their own rankings.
    """
    count = int((split.own_documents >= 0).sum())
    if not count:
        return []
    of = f"{count:,} of {len(split.query_ids):,} queries have the id of a document"
    if split.collection.keep_own:
        return [
            f"{of}, which is not left out of their rankings: each may find itself, and BEIR's "
            "figures are others"
        ]
    return [f"{of}, which is left out of their rankings, as BEIR does"]


def _row(
    system: System, estimate: Estimate, means: dict[str, float], mark: str, values: Floats
) -> Row:
    labels = (system.name, system.model, system.dim, system.storage)
    speeds = (system.bytes_per_document, system.documents_per_second, system.query_milliseconds)
    return Row(
        *labels, estimate, means, mark, *speeds, tuple(values.tolist()), len(system.trained_on)
    )


def _lost_judgements(split: Split) -> list[str]:
    """A line where the collection lacks relevant documents of the split, which no system
    can find.
    """
    judged = [
        document
        for grades in split.relevance.values()
        for document, grade in grades.items()
        if grade > 0
    ]
    lost = int((np.asarray(split.collection.document_positions(judged)) < 0).sum())
    if not lost:
        return []
    of = f"{lost:,} of {len(judged):,} judgements of a relevant document"
    return [
        f"{of} are of one that is not there, which no system can find; see nearfield data check"
    ]


def _tested(names: Sequence[str], table: Floats) -> tuple[list[PairTest], list[str]]:
    """All pairs of the rows of `table: (r, n)`, and the rows' letters."""
    pairs = pairs_of(len(names))
    if not pairs:
        return tell_apart(names, [], np.ones(0), lambda pair, alpha: 0)
    differences = np.stack([table[a] - table[b] for a, b in pairs])
    estimates, p = mean_differences(differences)
    return tell_apart(
        names, estimates, p, lambda pair, alpha: queries_needed(differences[pair], alpha=alpha)
    )


def _deviation_notes(
    systems: Sequence[System], split: Split, scores: Mapping[str, Scores]
) -> list[str]:
    """What each departure from a contract costs: a line for a model at a dim, of its most exact
    storage type.
    """
    chosen: dict[tuple[str, int | None, str], tuple[System, Deviation]] = {}
    for system in sorted(
        systems,
        key=lambda system: STORAGES.index(system.storage) if system.storage in STORAGES else 0,
    ):
        for deviation in system.deviations:
            chosen.setdefault((system.model, system.dim, deviation.what), (system, deviation))
    notes = []
    for system, deviation in chosen.values():
        own = scores[system.name]
        right = score_ranking(deviation.reference, split.relevance, [own.measure])[own.measure]
        cost, p = mean_difference(own.values - right.values)
        tested = f"uncorrected {p_value(p)}"
        notes.append(
            f"{system.name} is {deviation.what}: {own.measure} {changed(cost)}, "
            f"{tested}, against {deviation.instead_of}"
        )
    return notes
