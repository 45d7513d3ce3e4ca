"""What a bridge is worth: the new model's queries on bridged documents, beside the same documents
embedded again.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nearfield.errors import ContractError, InputError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.trained import refuse_seen
from nearfield.models.vector_map import VectorMap
from nearfield.statistics.bootstrap import mean_interval
from nearfield.train.data.frozen import FrozenVectors
from nearfield.train.data.leakage import free_documents
from nearfield.train.runs.bridge import BridgeRecipe, fit_bridge
from nearfield.types.arrays import Floats, Integers
from nearfield.types.comparison import Comparison
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking
from nearfield.types.verdict import Estimate

OLD, UNBRIDGED, BRIDGED, AGAIN = (
    "old model",
    "new queries, old vectors",
    "bridged",
    "embedded again",
)
TOP = 10


@dataclass(frozen=True)
class Bridging:
    """`recall`: the share of the ten documents that a search of the re-embedded corpus finds which
    one of the bridged corpus finds too, over the split's queries. `regained`: of what the measure
    loses when the new model's queries meet the old vectors as they are, the share that the bridge
    brings back. `kept`: the measure on bridged documents over that on re-embedded ones. Either is
    None where it would be divided by nothing.
    """

    vector_map: VectorMap
    recall: Estimate
    regained: float | None
    kept: float | None
    comparison: Comparison
    fitted_on: int


def bridge(
    old: FrozenVectors,
    new: FrozenVectors,
    *,
    sample: Integers,
    split: str = "test",
    recipe: BridgeRecipe | None = None,
    shares: Sequence[float] = (),
    allow: Names[str] = (),
    progress: Progress = silent,
) -> Bridging:
    """Fit a bridge on the documents at positions `sample`, which both models have embedded, and
    measure it on a split's queries.

    Those that a held-out split judges, and near copies of them, are left out of the sample.

    `shares` adds rows in which that part of the corpus, taken at random, is embedded again already
    and the rest bridged. Raises InputError where the two are of different collections, and where a
    model was trained on the split's queries, unless `allow` holds "trained-on".
    """
    if old.collection.fingerprint != new.collection.fingerprint:
        raise InputError(
            f"the old vectors are of {old.collection.name} and the new ones of "
            f"{new.collection.name}; wanted one collection"
        )
    if new.documents.storage != "float32" or old.documents.storage not in ("float32", "float16"):
        raise ContractError(
            f"old vectors are {old.documents.storage}, new ones "
            f"{new.documents.storage}; a bridge wants float vectors"
        )
    asked = new.collection.split(split)
    refuse_seen({old.name: old.trained_on, new.name: new.trained_on}, asked, allow=allow)
    before, after = old.documents.floats(), new.documents.floats()
    sample = sample[np.isin(sample, free_documents(new.collection))]
    if len(sample) < 2:
        said = (
            f"{new.collection.name}: {len(sample)} sampled documents are free of held-out "
            "judgements"
        )
        raise InputError(
            f"{said}; wanted at least 2 to fit on: sample more, or add unjudged documents"
        )
    fitted = fit_bridge(before[sample], after[sample], recipe, progress=progress)
    carried = fitted.apply_to(before)
    order = np.random.default_rng(0).permutation(len(after))
    mixed = {
        f"{share:.0%} embedded again": _mixed(carried, after, order[: round(share * len(after))])
        for share in shares
    }
    corpora = {
        UNBRIDGED: _fitted_to(before, new.documents.dim),
        BRIDGED: carried,
        AGAIN: after,
    } | mixed
    rankings = {OLD: old.ranking(asked)}
    for name, vectors in corpora.items():
        rankings[name] = new.ranking(asked, documents=replace(new.documents, vectors=vectors))
    comparison = compare(
        [
            (old if name == OLD else new).system(name, name, asked, found)
            for name, found in rankings.items()
        ],
        asked,
        allow=allow,
    )
    means = {row.name: row.estimate.mean for row in comparison.rows}
    lost = means[AGAIN] - means[UNBRIDGED]
    regained = (means[BRIDGED] - means[UNBRIDGED]) / lost if lost > 0 else None
    kept = means[BRIDGED] / means[AGAIN] if means[AGAIN] else None
    shared = mean_interval(_shared(rankings[BRIDGED], rankings[AGAIN]), bounds=(0.0, 1.0))
    return Bridging(fitted, shared, regained, kept, comparison, len(sample))


def _fitted_to(vectors: Floats, dim: int) -> Floats:
    """Vectors cut or filled with zeros to `dim`: what is searched when nobody noticed that the
    model has changed.
    """
    fitted = np.zeros((len(vectors), dim), np.float32)
    width = min(dim, vectors.shape[1])
    fitted[:, :width] = vectors[:, :width]
    return fitted


def _mixed(carried: Floats, again: Floats, done: Integers) -> Floats:
    vectors = carried.copy()
    vectors[done] = again[done]
    return vectors


def _shared(found: Ranking, wanted: Ranking) -> npt.NDArray[np.float64]:
    """(n,) the share of each query's ten best of `wanted` that are among its ten best of
    `found`.
    """
    pairs = zip(found.documents[:, :TOP], wanted.documents[:, :TOP], strict=True)
    return np.array([np.isin(best[best >= 0], seen).mean() for seen, best in pairs])
