"""Systems side by side on any task: every row with its interval, every pair of rows tested."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nearfield.errors import InputError
from nearfield.evaluate.analysis.slices import slices
from nearfield.evaluate.decide import decide
from nearfield.evaluate.open_task import open_task
from nearfield.evaluate.task import DEFAULT, Measured, Options, Task
from nearfield.evaluate.trained import refuse_trained_on
from nearfield.statistics.pairwise import MOST, tell_apart
from nearfield.statistics.statistic import Statistic
from nearfield.store.atomic import check_replaceable, staged_folder
from nearfield.types.comparison import Comparison, Row
from nearfield.types.progress import Bars, no_bars
from nearfield.types.verdict import Estimate

_AGAINST_BEST = (
    f"of more than {MOST} rows each is tested against the best alone (p times the number "
    "of tests); those with the group a are not told apart from it"
)


def compare(
    models: Sequence[Any],
    data: object,
    *,
    task: str | None = None,
    measure: str | None = None,
    measures: Sequence[str] | None = None,
    allow: Names[str] = (),
    options: Options = DEFAULT,
    bars: Bars = no_bars,
) -> Comparison:
    """All models on the data, best first by the mean of `measure`, whatever order they come in.

    `models` are specs such as "minilm", "bm25" or "potion-base-8m@int8", encoders, or systems that
    have searched; `data` is a source, what one opens to, a split or a task. The task is that of the
    data unless `task` names another. Each row has its 95 % interval. Rows that share a letter are
    not told apart at 5 % by a paired test, corrected by Holm over all pairs, and a pair's
    `queries_needed` is counted at the level that it is tested at. A use that departs from a model's
    contract becomes a note with what it costs. The comparison's `decision` says which row to take;
    for one under limits or a margin, see `decide`. Raises InputError for no model, two rows of one
    name, an unknown task or measure, and a model that was trained on some of the items, unless
    `allow` holds "trained-on".
    """
    folder = options.run_folder
    if folder is not None:
        # before anything is encoded, which may take hours
        check_replaceable(folder, marker="comparison.json", what="a folder that evaluate wrote")
    asked = open_task(data, task, options=options, models=models)
    main = asked.measure_named(measure or asked.measures[0])
    others = map(asked.measure_named, asked.measures if measures is None else measures)
    # the main one first, as tasks and `_compared` take the first for it
    wanted = tuple(dict.fromkeys([main, *others]))
    measured = asked.measure(models, wanted, options, allow=allow, bars=bars)
    comparison = _compared(asked, measured, wanted, allow)
    if folder is not None:
        with staged_folder(folder) as stage:
            asked.write(stage, comparison, measured)
    return comparison


def _compared(
    task: Task, measured: Sequence[Measured], measures: Sequence[str], allow: Names[str]
) -> Comparison:
    _refuse_names([each.name for each in measured])
    items = len(task.item_ids)
    # the first of the rows of a model counts
    seen = {each.model: each.trained_on for each in reversed(measured)}
    # tasks refuse before they encode; systems that have searched already are refused here
    trained = refuse_trained_on(seen, items, where=task.where, allow=allow)
    main = measures[0]
    statistic = task.statistic_of(main)
    best_first = sorted(measured, key=lambda each: (-statistic.of(each.scores[main]), each.name))
    ordered = [each.name for each in best_first]
    table = np.stack([each.scores[main] for each in best_first])
    estimates, pairs, letters = tell_apart(ordered, table, statistic, items)
    rows = []
    for each, estimate, mark in zip(best_first, estimates, letters, strict=True):
        rows.append(_row(each, task, measures, estimate, mark))
    compared = Comparison(
        collection=task.collection,
        split=task.split,
        documents=task.documents,
        measure=main,
        query_ids=task.item_ids,
        rows=tuple(rows),
        pairs=tuple(pairs),
        notes=tuple(dict.fromkeys([*trained, *_notes(task, best_first, statistic)])),
        task=task.name,
        item=task.item,
        prices={each.name: each.price for each in best_first if each.price is not None},
    )
    unjudged = [task.holes(each, main) for each in best_first[:MOST]]
    holes = tuple(filter(None, unjudged))
    decision = replace(decide(compared), slices=slices(rows, task.traits()), holes=holes)
    return replace(compared, decision=decision)


def _notes(task: Task, rows: Sequence[Measured], statistic: Statistic) -> list[str]:
    """What there is to know about the data, each row, and how rows are told apart."""
    notes = list(task.notes)
    for each in rows:
        notes += each.notes
    if statistic.note:
        notes.append(statistic.note)
    if len(rows) > MOST:
        notes.append(_AGAINST_BEST)
    return notes


def _refuse_names(names: Sequence[str]) -> None:
    if not names:
        raise InputError("there is nothing to compare; wanted at least one system")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"two systems are called {repeated[0]!r}; give each its own name")


def _row(
    measured: Measured,
    task: Task,
    measures: Sequence[str],
    estimate: Estimate,
    letters: str,
) -> Row:
    main = measures[0]
    per_query: tuple[float, ...] = ()
    if task.statistic_of(main).per_item:
        per_query = tuple(measured.scores[main].tolist())
    means = {name: task.statistic_of(name).of(measured.scores[name]) for name in measures}
    return Row(
        name=measured.name,
        model=measured.model,
        dim=measured.dim,
        storage=measured.storage,
        estimate=estimate,
        means=means,
        letters=letters,
        bytes_per_document=measured.bytes_per_document,
        documents_per_second=measured.documents_per_second,
        query_milliseconds=measured.query_milliseconds,
        per_query=per_query,
        trained_on=measured.trained_on,
    )
