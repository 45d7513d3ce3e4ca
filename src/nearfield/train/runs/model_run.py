"""A run that trains the weights of a model, and goes back towards those it had where dev or a guard
says so.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Collection as Names
from typing import Any

import numpy as np
from torch import Tensor, nn

from nearfield.models.trainable import Trainable
from nearfield.store.run import RunFolder
from nearfield.train.data.batch import Material
from nearfield.train.data.encoded_once import EncodedOnce
from nearfield.train.data.mining import mine
from nearfield.train.data.pool import Pool
from nearfield.train.data.prepare import Corpus, dev_pool, open_corpus
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.engine.checkpoint import Floats, kept_step
from nearfield.train.engine.loop import train
from nearfield.train.engine.lora import scaled_base
from nearfield.train.engine.trainer import few_torch_threads, native_layers, trainable
from nearfield.train.fits.blend import put_weights
from nearfield.train.recipe import Recipe, refuse_keys
from nearfield.train.runs.candidate import Candidate
from nearfield.train.runs.merge import Merged
from nearfield.train.runs.outlook import expected_work
from nearfield.train.runs.run import MADE, Run, Stage
from nearfield.train.setting import Setting
from nearfield.types.progress import Progress

Do = Callable[[Progress], None]


class ModelRun(Run):
    """`trained` learns from near misses that `finder` mines. `base` measures what it is compared
    with, `now` the model as it stands, and `merged` the same once training is over. `backs_off`:
    whether the weights from before are worth going back to. `beyond` are the keys of a recipe that
    this run cannot carry out.
    """

    recipe: Recipe
    trained: Trainable
    finder: EncodedOnce
    base: Candidate
    now: Candidate
    merged: Candidate
    backs_off = True
    beyond: tuple[str, ...] = ("data", "stages")
    pairs: int | None = None  # to learn from, where they are not those of train
    folds = 0
    max_tokens: int  # of a document that is encoded
    # what the stages hand on
    weights: dict[str, Tensor]  # those before training
    tuned: dict[str, Tensor]
    into: dict[str, nn.Parameter]
    corpus: Corpus
    pool: Pool
    negatives: TrainingPairs
    data: Any  # Material
    _share = -1.0  # of tuned weights in the model; where training ended it is none of the ratios

    def __init__(self, folder: RunFolder, setting: Setting, recipe: Recipe) -> None:
        refuse_keys(recipe, *self.beyond)
        super().__init__(folder, setting, recipe, precision=recipe.schedule.precision)
        self.measure = recipe.measure
        self.pool_limit = recipe.pool
        self.margin = recipe.merge.margin

    @abstractmethod
    def material(self) -> Material:
        """What is learned from, of the negatives that were mined."""

    @abstractmethod
    def save(self, progress: Progress) -> None:
        """Write the model's folder."""

    def stages(self, allow: Names[str]) -> list[Stage]:
        steps = {"encode documents": self.encode_documents, "baseline": self.measure_baseline}
        steps |= self.training()
        steps["merge"] = self.merge
        steps |= self.after_merging()
        steps["save"] = self.save
        made = [Stage(name, do, MADE) for name, do in steps.items()]
        return [self.examination(allow), *made, self.last()]

    def training(self) -> dict[str, Do]:
        """The stages from the baseline to the tuned weights, by name."""
        return {"mine negatives": self.mine, **self.before_training(), "train": self.train}

    def before_training(self) -> dict[str, Do]:
        """Stages of this kind of model's own, by name."""
        return {}

    def after_merging(self) -> dict[str, Do]:
        """Stages of this kind of model's own, by name."""
        return {}

    @abstractmethod
    def examination(self, allow: Names[str]) -> Stage:
        """The doctor's stage."""

    def last(self) -> Stage:
        """The stage of the test."""
        return self.test()

    def trainable(self) -> dict[str, nn.Parameter]:
        """The weights that training changes, by name; what is measured from here on runs on the
        kernels that train them, where some do.
        """
        found = trainable(self.trained, self.recipe)
        self.trained.layers = native_layers(self.trained, self.recipe)
        return found

    def encode_documents(self, progress: Progress) -> None:
        """Encode what may be seen while training, and choose the documents that dev is searched
        in.
        """
        # training goes on in place: these are what the merge goes back towards
        self.weights = {name: weight.detach().clone() for name, weight in self.trainable().items()}
        with few_torch_threads(self.trained):
            self.corpus = open_corpus(self.finder, self.collection, progress=progress)
            self.pool = dev_pool(self.finder, self.corpus, self.recipe)

    def measure_baseline(self, progress: Progress) -> None:
        """Freeze what dev and every guard reach before training."""
        with few_torch_threads(self.trained):
            self.folder.once("baseline.json", lambda: self._baseline(progress))

    def _baseline(self, progress: Progress) -> dict[str, Any]:
        dev = self.base.on_pool(self.pool)
        values = {"dev": dev.mean, "dev_values": dev.values.tolist()}
        return values | self.guards_before(self.base, progress)

    def mine(self, progress: Progress) -> None:
        """Find the near misses that are learned from."""
        held = self.folder.once(
            "negatives.json", lambda: mine(self.finder, self.corpus, self.recipe).json()
        )
        self.negatives = TrainingPairs.of(held)
        self.data = self.material()
        progress(1, 1)

    def train(self, progress: Progress) -> None:
        """Train, or go on from the last checkpoint."""
        before = None
        if self.backs_off:  # else the baseline is of another model than the one that is trained
            before = np.array(self.folder.read("baseline.json")["dev_values"], np.float64)

        def measured(done: int, total: int, note: str = "") -> None:
            progress(0, 0, f"dev {done:,}/{total:,}")

        def measure() -> Floats:
            return self.now.on_pool(self.pool, progress=measured).values

        self.tuned = train(
            self.trained,
            self.data,
            self.recipe,
            run=self.folder,
            measure=None if self.folds else measure,
            progress=progress,
            before=before,
            group=self.setting.group,
        )

    def known_dev(self) -> dict[float, float]:
        """dev's mean by the share of tuned weights, as far as it was measured before the merge."""
        known = {0.0: self.folder.read("baseline.json")["dev"]}
        after = self.folder.dev_after(kept_step(self.folder))
        return known if after is None else known | {1.0: after}

    def shares(self) -> Sequence[float]:
        """The shares of tuned weights that are tried: none where no step was better, as the weights
        that are kept are then the base's.
        """
        return self.recipe.merge.ratios if kept_step(self.folder) else ()

    def merge(self, progress: Progress) -> None:
        """Take the share of tuned weights that dev likes best without a guard losing more than its
        margin.
        """
        self.into = self.trainable()
        self.weights = scaled_base(self.weights, self.tuned)
        known = self.known_dev()
        if not self.backs_off:
            # decided: with this in the folder, nothing below is measured
            whole = Merged(1.0, known[1.0], {}, allowed=True, chosen=True)
            self.folder.once("merge.json", lambda: [whole])
        with few_torch_threads(self.trained):
            self.back_off(self.shares(), known, put=self._put, dev=self._dev, progress=progress)
        self._put(self.chosen)

    def _dev(self, ratio: float) -> float:
        return self._put(ratio).on_pool(self.pool).mean

    def _put(self, ratio: float) -> Candidate:
        """What measures the model with this share of tuned weights."""
        if ratio != self._share:
            put_weights(self.into, self.weights, self.tuned, ratio)
            self.weights_changed()
            self._share = ratio
        return self.merged

    def weights_changed(self) -> None:
        """Let go of what other weights made."""

    def work(self) -> Mapping[str, float]:
        guarded: set[str] = set()
        for guard in self.guards:
            guarded |= guard.choosing.texts | guard.reporting.texts
        return expected_work(
            self.recipe,
            self.collection,
            max_tokens=self.max_tokens,
            guards=len(guarded),
            pairs=self.pairs,
            folds=self.folds,
        )
