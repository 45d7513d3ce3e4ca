"""Models on pairs that people scored: do more similar pairs get higher scores?"""

from __future__ import annotations

import time
from collections.abc import Collection as Names
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError
from nearfield.evaluate.encode_pass import Cut
from nearfield.evaluate.systems import cuts_of, untrained
from nearfield.evaluate.trained import refuse_trained_on
from nearfield.statistics.bootstrap import resampled
from nearfield.statistics.finite import finite
from nearfield.statistics.pairwise import pairs_of, tell_apart
from nearfield.statistics.power import needed
from nearfield.types.comparison import Comparison, Row
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY
from nearfield.types.verdict import Estimate

SPEARMAN = "Spearman"
RESAMPLES = 2_000
NOTE = (
    "Spearman's correlation is no mean over pairs: its intervals and tests are by percentile "
    "bootstrap, paired for two rows."
)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairScores:
    """A model at a dimension and a storage type, and the similarity `predicted: (n,)` that it gives
    each pair.
    """

    name: str
    model: str
    cut: Cut
    predicted: Floats
    bytes_per_document: float
    documents_per_second: float
    trained_on: int = 0


def model_pair_scores(
    encoder: Encoder[Any],
    pairs: Pairs,
    *,
    name: str,
    dims: Sequence[int] = (),
    storages: Sequence[str] = ("float32",),
    similarity: str | None = None,
    progress: Progress = silent,
) -> list[PairScores]:
    """Scores for each of `dims` x `storages`, cut from one encode pass.

    Both sides are encoded as queries: the task is symmetric. The second side is stored at the
    storage type. Where a cut departs from the contract, the contract's own is scored too, so that
    what it costs is seen. Warns and raises as `model_systems` does.
    """
    n = len(pairs)
    cuts = _with_references(encoder.contract, cuts_of(encoder.contract, dims, storages, similarity))
    started = time.perf_counter()
    first = encoder.encode(
        pairs.queries, QUERY, progress=lambda done, total, note="": progress(done, 2 * n, note)
    )
    second = encoder.encode(
        pairs.positives,
        QUERY,
        progress=lambda done, total, note="": progress(n + done, 2 * n, note),
    )
    speed = 2 * n / max(time.perf_counter() - started, 1e-9)
    systems, seen = [], int(encoder.trained_on.seen(pairs.queries).sum())
    for cut in cuts:
        left, stored = cut.of(first), cut.of(second).quantise(cut.storage)
        predicted = np.array(
            [left[row : row + 1].scores(stored[row : row + 1])[0, 0] for row in range(n)],
            np.float64,
        )
        metric = f" {cut.similarity}" if len({other.similarity for other in cuts}) > 1 else ""
        label = name if len(cuts) == 1 else f"{name} {cut.dim} {cut.storage}{metric}"
        systems.append(PairScores(label, name, cut, predicted, stored.bytes_per_item, speed, seen))
    return systems


def compare_pair_scores(
    systems: Sequence[PairScores], pairs: Pairs, *, allow: Names[str] = ()
) -> Comparison:
    """Spearman's correlation of each system with the pairs' scores, best first, with percentile
    bootstrap intervals.

    A correlation is no mean over pairs, so rows carry no values a query, and two rows are compared
    by the paired bootstrap of their difference: p is twice the share of resamples, plus one, in
    which it is not on the observed side. Raises InputError where the pairs have no scores or they
    are all the same, and for a model that was trained on some of their first texts, unless `allow`
    holds "trained-on", and where a score is not finite.
    """
    if not pairs.scored or not systems:
        raise InputError(
            f"{pairs.called}: pairs need scores to be evaluated on, and at least one "
            "model; add a column `score`"
        )
    gold = finite(pairs.table["score"].to_numpy(), "score")
    if len(np.unique(gold)) < 2:
        raise InputError(
            f"{pairs.called}: every pair has the same score, so no order can be compared with it"
        )
    trained = refuse_trained_on(
        {system.model: system.trained_on for system in systems},
        len(pairs),
        where=pairs.called,
        allow=allow,
    )
    observed = np.array([spearman(system.predicted, gold) for system in systems])
    order = sorted(range(len(systems)), key=lambda row: (-observed[row], systems[row].name))
    ordered, observed = [systems[row] for row in order], observed[order]
    drawn = _resampled_spearman(np.stack([system.predicted for system in ordered]), gold)
    tests = pairs_of(len(ordered))
    differences = [
        _estimate(observed[a] - observed[b], drawn[:, a] - drawn[:, b]) for a, b in tests
    ]
    p = np.array([_p(observed[a] - observed[b], drawn[:, a] - drawn[:, b]) for a, b in tests])
    spread = [float((drawn[:, a] - drawn[:, b]).std() * np.sqrt(len(gold))) for a, b in tests]
    names = [system.name for system in ordered]
    pair_tests, marks = tell_apart(
        names,
        differences,
        p,
        lambda pair, alpha: needed(differences[pair].mean, spread[pair], alpha=alpha),
    )
    rows = []
    for row, (system, mark) in enumerate(zip(ordered, marks, strict=True)):
        estimate = _estimate(observed[row], drawn[:, row])
        labels = (system.name, system.model, system.cut.dim, system.cut.storage)
        means = {SPEARMAN: estimate.mean}
        rows.append(
            Row(
                *labels,
                estimate,
                means,
                mark,
                system.bytes_per_document,
                system.documents_per_second,
                None,
                (),
                system.trained_on,
            )
        )
    ids = tuple(map(str, range(len(gold))))
    return Comparison(
        pairs.name,
        "pairs",
        len(gold),
        SPEARMAN,
        ids,
        tuple(rows),
        tuple(pair_tests),
        notes=(*trained, NOTE),
    )


def _with_references(contract: Contract, cuts: Sequence[Cut]) -> list[Cut]:
    whole = [replace(cut, dim=contract.dim) for cut in cuts if untrained(contract, cut)]
    return list(
        dict.fromkeys(
            [*cuts, *whole, *(replace(cut, similarity=contract.similarity) for cut in cuts)]
        )
    )


def spearman(predicted: Floats, gold: Floats) -> float:
    """Spearman's rank correlation of `predicted: (n,)` with `gold: (n,)`; 0 where either is
    constant.

    Raises InputError for a number that is not finite.
    """
    predicted, gold = finite(predicted, "similarity"), finite(gold, "score")
    return float(_correlation(stats.rankdata(predicted)[None], stats.rankdata(gold)[None])[0])


def _correlation(a: Floats, b: Floats) -> Floats:
    """Pearson's correlation of each row of `a` with the same row of `b`, both (r, n); 0 where a row
    is constant.
    """
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    length = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    correlation: Floats = (a * b).sum(1) / np.where(length > 0, length, 1.0)
    return correlation


def _resampled_spearman(predicted: Floats, gold: Floats) -> Floats:
    """Spearman of each row of `predicted: (r, n)` in each resample of the pairs, the same ones for
    all rows: (resamples, r).
    """
    n = len(gold)
    blocks = []
    for weights in resampled(n, RESAMPLES, seed=0):
        picked = np.repeat(
            np.tile(np.arange(n), len(weights)), weights.astype(np.int64).ravel()
        ).reshape(len(weights), n)
        gold_ranks = stats.rankdata(gold[picked], axis=1)
        blocks.append(
            np.stack(
                [
                    _correlation(stats.rankdata(row[picked], axis=1), gold_ranks)
                    for row in predicted
                ],
                axis=1,
            )
        )
    return np.concatenate(blocks)


def _estimate(mean: float, drawn: Floats) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(mean), float(low), float(high))


def _p(observed: float, drawn: Floats) -> float:
    other_side = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return 1.0 if observed == 0 else float(min(1.0, 2 * (other_side + 1) / (len(drawn) + 1)))
