"""Bridge: an old model's vectors of a corpus carried into a new model's space, and what that is
worth beside embedding the corpus again.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.data.collection import Collection, Split
from nearfield.encoders.load import load
from nearfield.errors import CollectionError
from nearfield.models.vector_map import VectorMap
from nearfield.statistics.bootstrap import mean_interval
from nearfield.store.run import RunFolder
from nearfield.train.data.frozen import FrozenVectors
from nearfield.train.data.leakage import free_documents
from nearfield.train.fits.bridge import LEAST, BridgeFit, BridgeRecipe, fit_bridge
from nearfield.train.runs.candidate import ByVectors, Candidate, Mapped
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.document_run import DocumentRun
from nearfield.train.runs.run import Stage, data_of, locked_run
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.types.arrays import Floats, Integers
from nearfield.types.comparison import Comparison
from nearfield.types.progress import Progress
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT
from nearfield.types.verdict import Verdict

OLD = "old model"
UNBRIDGED = "new queries, old vectors"
BRIDGED = "bridged"
AGAIN = "embedded again"
TOP = 10  # results whose overlap is measured
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the hidden layer
DONE = (0.25, 0.5, 0.75)  # parts of the corpus that are embedded again already, and measured
FACTS, MAP = "bridge", "map"


def bridge(
    old: str,
    new: str,
    data: object,
    *,
    to: str | Path,
    recipe: BridgeRecipe = BridgeRecipe(),  # noqa: B008 - frozen
    guards: Sequence[str] | None = None,
    allow: Names[str] = (),
    setting: Setting = UNWATCHED,
) -> Verdict | None:
    """Fit `map` in the run folder `to`, from the space of the model `old` to that of `new`, on
    documents of `data`, which `open_collection` takes; no query is learned from, nor a document
    that a held-out split judges or a near copy of one.

    Of the hidden layer beside the linear map that share is taken which brings held-out documents
    closest, and by which no guard loses more than its margin. The verdict is on the new model's
    queries among bridged documents against the old model; None where the data has no judged test
    queries. `guards`, whose losses in the verdict are those against the old model, `allow` and
    `setting` are as for `tune`. Raises as `tune` does, and ContractError for models that are not
    dense.
    """
    with locked_run(to, old, new) as folder:
        run = BridgeRun(old, new, folder, recipe, setting.with_source(data))
        run.begin(data_of(data), guards)
        return run.verdict_if_judged(f"bridge {old} to {new}", allow)


class BridgeRun(DocumentRun):
    """A run that fits a map from the vectors of `old` to those of `new`."""

    nouns = ("bridged documents", "old model")
    recipe: BridgeRecipe
    # what the stages hand on
    before: FrozenVectors
    after: FrozenVectors
    fit: BridgeFit

    def __init__(
        self, old: str, new: str, folder: RunFolder, recipe: BridgeRecipe, setting: Setting
    ) -> None:
        super().__init__(folder, setting, recipe)
        self.models = (old, new)
        self.old = load(old, device=self.device)
        self.new = load(new, device=self.device)

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        """Choose what is fitted on, and write what decides the result."""
        self.take(collection, leaks=False)
        # drawn, as neighbours in a file are often alike
        free = np.random.default_rng(0).permutation(free_documents(self.collection))
        self.sample = free[: self.recipe.sample]
        self.texts = self.collection.document_texts[self.sample]
        if len(self.texts) < LEAST:
            raise CollectionError(
                f"{collection.name}: {len(self.sample)} documents are free of held-out judgements; "
                f"wanted at least {LEAST} to fit on: add unjudged documents"
            )
        encoders = (self.old, self.new)
        self.known = {encoder.contract.name: encoder.trained_on for encoder in encoders}
        facts = {}
        for name, model, encoder in zip(("old", "new"), self.models, encoders, strict=True):
            facts[name] = {"model": model, "made by": encoder.identity}
        self.identify(guards, facts, {"model": self.new.contract.name})

    def stages(self, allow: Names[str]) -> list[Stage]:
        steps = {
            "train": self.train,
            "baseline": self.measure_baseline,
            "merge": self.merge,
            "save": self.save,
        }
        made = [Stage(name, do, ("merge.json", MAP)) for name, do in steps.items()]
        # the test measures the same vectors
        encode = Stage("encode documents", self.encode)
        return [self.doctor(allow, None), encode, *made, self.test(FACTS)]

    def work(self) -> Mapping[str, float]:
        return {"encode documents": 2.0 * len(self.collection.documents)}

    def encode(self, progress: Progress) -> None:
        """Encode the corpus by both models."""
        self.before = FrozenVectors.of(self.old, self.collection, progress=progress)
        self.after = FrozenVectors.of(self.new, self.collection, progress=progress)

    def train(self, progress: Progress) -> None:
        """Fit the linear map, and a hidden layer beside it."""
        old = self.before.documents.floats()[self.sample]
        new = self.after.documents.floats()[self.sample]
        self.fit = fit_bridge(old, new, self.recipe, progress=progress)

    def measure_baseline(self, progress: Progress) -> None:
        """Freeze what every guard reaches by the linear map, to choose with, and by the old model,
        to report.
        """
        self.folder.once(
            "baseline.json",
            lambda: self.guards_before(self._put(0.0), progress, reported=ByVectors(self.old)),
        )

    def merge(self, progress: Progress) -> None:
        """Take the share of the hidden layer that held-out documents like best without a guard
        losing more than its margin.
        """
        known = {0.0: self.fit.closeness(0.0)}
        shares = SHARES if self.recipe.width else ()
        dev = self.fit.closeness
        self.back_off(shares, known, put=self._put, dev=dev, progress=progress)

    def _put(self, share: float) -> Candidate:
        return self._candidate(self.fit.at(share))

    def _candidate(self, found: VectorMap) -> Candidate:
        return ByVectors(Mapped(self.new, self.old, found, DOCUMENT))

    def save(self, progress: Progress) -> None:
        """Write the map."""
        if not self.folder.has(MAP):
            self.fit.at(self.chosen).save(self.folder.path / MAP)

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        chosen = VectorMap.open(self.folder.path / MAP)
        rankings = self._rankings(split, chosen)
        systems = []
        for name, found in rankings.items():
            asked = self.before if name == OLD else self.after
            systems.append(asked.system(name, name, split, found))
        comparison = self.compared(systems, split)
        facts = worth(comparison, rankings) | {"fitted_on": len(self.sample)}
        return Measured(comparison, OLD, BRIDGED, self._candidate(chosen), {FACTS: facts})

    def _rankings(self, split: Split, chosen: VectorMap) -> dict[str, Ranking]:
        """What each way of searching finds, by its name."""
        before = self.before.documents.floats()
        after = self.after.documents.floats()
        carried = chosen.apply_to(before)
        # one order, so that each share that is done holds the smaller ones
        order = np.random.default_rng(0).permutation(len(after))
        corpora = {
            UNBRIDGED: _fitted_to(before, after.shape[1]),
            BRIDGED: carried,
            AGAIN: after,
        }
        for share in DONE:
            done = order[: round(share * len(after))]
            corpora[f"{share:.0%} embedded again"] = _mixed(carried, after, done)
        found = {OLD: self.before.ranking(split)}
        for name, vectors in corpora.items():
            documents = replace(self.after.documents, vectors=vectors)
            found[name] = self.after.ranking(split, documents=documents)
        return found


def worth(comparison: Comparison, rankings: Mapping[str, Ranking]) -> dict[str, Any]:
    """`recall`: the share of the ten documents that a search of the re-embedded corpus finds which
    one of the bridged corpus finds too. `regained`: of what the measure loses when the new model's
    queries meet the old vectors as they are, the share that the bridge brings back. `kept`: the
    measure on bridged documents over that on re-embedded ones. Either is None where it would be
    divided by nothing.
    """
    means = {row.name: row.estimate.mean for row in comparison.rows}
    shared = _shared(rankings[BRIDGED], rankings[AGAIN])
    lost = means[AGAIN] - means[UNBRIDGED]
    regained = means[BRIDGED] - means[UNBRIDGED]
    return {
        "recall": mean_interval(shared, bounds=(0.0, 1.0)),
        "regained": regained / lost if lost > 0 else None,
        "kept": means[BRIDGED] / means[AGAIN] if means[AGAIN] else None,
    }


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
    shares = []
    for seen, best in zip(found.documents[:, :TOP], wanted.documents[:, :TOP], strict=True):
        shares.append(np.isin(best[best >= 0], seen).mean())  # -1 where fewer were found
    return np.array(shares)
