"""Stops a run that cannot learn anything, and says why."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nearfield.errors import CollectionError, ModelError
from nearfield.train.engine.gradient_cache import RandomState
from nearfield.types.arrays import Floats

PATIENCE = 10  # steps in a row without a negative, a loss or a gradient
EARLY, LATER = 10, 100  # steps between two looks at the vectors, up to step 50 and after it
# of the mean squared cosine: vectors that are one to four digits differ by less than bfloat16 holds
SAME = 0.9998
SAMPLE = 1024  # vectors whose spread is looked at
FEWEST = 4  # vectors that say something about their spread
# a collapse on the way: a mean squared cosine above the first, of vectors that began below the
# second (models whose vectors all lie close together have about .7)
COLLAPSED, APART = 0.98, 0.9
# a loss that has risen: ten steps in a row above so many times the greatest of the first ten, and
# above the second
RISEN, LEAST_LOSS = 3.0, 0.1
_WHY = {
    "a negative": "no step has a negative, as each document in it is judged relevant to its "
    "queries, or is (nearly) the text of their positive. There is nothing to tell a positive from: "
    "learned is from {learned_from}. Give pairs with different positives",
    "a loss": "the loss is exactly 0, so that nothing is learned from {learned_from}: the model "
    "tells each positive from all negatives already. Check that queries are not copies of their "
    "positives, and give harder negatives",
    "a gradient": "the gradient is exactly 0, so that no weight changes. Check that the recipe "
    "leaves weights to train, and that the model gives different texts different vectors; learned "
    "is from {learned_from}",
}


def learned_from(pairs: int, positives: int) -> str:
    """What is learned from, in words: the number of pairs, and of their different positives."""
    if positives == 1:
        return f"{pairs:,} pairs with one and the same positive"
    return f"{pairs:,} pairs with {positives:,} different positives"


def refuse_one(vectors: Floats, what: str) -> None:
    """Raise ModelError where the vectors (n, dim) that training would begin with are all the same,
    or not all finite.

    `what` begins the message, such as "the model gives all queries".
    """
    if not np.isfinite(vectors).all():
        raise ModelError(
            f"{what} vectors with NaN or infinite numbers; encode them again, or use "
            "precision float32"
        )
    if all_one(torch.from_numpy(np.ascontiguousarray(vectors[:SAMPLE], np.float32))):
        raise ModelError(
            f"{what} the same vector, so that nothing can be learned from it; check "
            "that the model's weights are whole"
        )


class Watcher:
    """Looks at each of a run's `steps` steps; `learned_from` says in words what the pairs are.

    With `may_fit` a loss of 0 is no fault: a map that fits already is kept as it is.
    """

    def __init__(self, steps: int, learned_from: str, *, may_fit: bool = False) -> None:
        self.steps = steps
        self.learned_from = learned_from
        self.may_fit = may_fit
        self._without = dict.fromkeys(_WHY, 0)
        self._high = 0
        self._first_losses = list[float]()
        self._began: float | None = None  # the spread at the first look

    def saw(self, step: int, *, loss: float, negatives: int, still: bool = False) -> None:
        """Step `step`, from 1: its loss, its pairs of a query and a document that is no positive,
        and whether all gradients are 0.

        Raises CollectionError where the last `PATIENCE` steps all lacked the same, in a run of
        fewer where all steps lack a negative or a gradient, and ModelError where the loss is NaN
        or has risen far above that of the first steps and stays there.
        """
        if not math.isfinite(loss):
            raise ModelError(
                f"training stopped at step {step} of {self.steps}: the loss became "
                f"{loss}; lower the rate"
            )
        self._refuse_risen(step, loss)
        fits = self.may_fit and loss == 0
        lacks = {
            "a negative": not negatives,
            "a loss": loss == 0 and not fits,
            "a gradient": still and not fits,
        }
        for what, lacking in lacks.items():
            if not lacking:
                self._without[what] = 0
                continue
            self._without[what] += 1
            # a loss may round to 0 for a while; the others cannot come back
            enough = PATIENCE if what == "a loss" else min(PATIENCE, self.steps)
            if self._without[what] >= enough:
                why = _WHY[what].format(learned_from=self.learned_from)
                raise CollectionError(f"training stopped at step {step} of {self.steps}: {why}")

    def _refuse_risen(self, step: int, loss: float) -> None:
        if len(self._first_losses) < PATIENCE:
            self._first_losses.append(loss)
            return
        before = max(self._first_losses)
        if loss <= max(RISEN * before, LEAST_LOSS):
            self._high = 0
            return
        self._high += 1
        if self._high == PATIENCE:
            raise ModelError(
                f"training stopped at step {step} of {self.steps}: the loss has risen to "
                f"{loss:.3g} for {PATIENCE} steps and was at most {before:.3g} in the first "
                f"{PATIENCE}: the weights are thrown about. Lower schedule.rate, or warm up for "
                f"longer, and look at {self.learned_from}"
            )

    def looks(self, step: int) -> bool:
        """Whether the vectors are to be looked at after this step: their spread costs a forward
        pass.
        """
        apart = EARLY if step <= 5 * EARLY else LATER
        return step in (1, self.steps) or step % apart == 0

    def saw_vectors(self, step: int, vectors: Tensor) -> None:
        """The vectors (n, dim) of different texts, or the logits (n,) of different pairs. Raises
        ModelError where all are the same, and where they nearly are and were not at the first look.
        """
        close = mean_squared_cosine(vectors)
        if self._began is None:
            self._began = close
        if close > COLLAPSED and self._began < APART:
            raise ModelError(
                f"training stopped at step {step} of {self.steps}: the model is collapsing: the "
                f"mean squared cosine of different texts has risen from {self._began:.3f} to "
                f"{close:.3f}, an effective rank of {1 / close:.2f}. Lower schedule.rate, and look "
                f"at {self.learned_from}"
            )
        if all_one(vectors):
            what = "vector" if vectors.ndim > 1 else "score"
            raise ModelError(
                f"training stopped at step {step} of {self.steps}: the model has collapsed and "
                f"gives all texts the same {what}, so that "
                "nothing is found by it. Lower schedule.rate, check that the model's weights are "
                f"whole, and look at {self.learned_from}"
            )


def all_one(vectors: Tensor) -> bool:
    """Whether the vectors (n, dim) all lie on one line, so that their mean pairwise cosine and
    effective rank are about 1; whether the scores (n,) are all the same. False for fewer than four.

    The effective rank is that of the squared singular values of unit rows: n^2 over the sum of all
    squared cosines.
    """
    vectors = vectors.detach().float()
    if len(vectors) >= FEWEST and vectors.ndim == 1:
        return bool((vectors.max() - vectors.min()) <= 1e-6 * vectors.abs().max())
    return mean_squared_cosine(vectors) > SAME


def mean_squared_cosine(vectors: Tensor) -> float:
    """The mean squared cosine of two different vectors of (n, dim), for many vectors the inverse of
    their effective rank; 1 where all are zeros, 0 where only some are, for fewer than four, and for
    scores (n,).
    """
    vectors = vectors.detach().float()
    if len(vectors) < FEWEST or vectors.ndim == 1:
        return 0.0
    lengths = vectors.norm(dim=1, keepdim=True)
    if not bool(lengths.all()):
        return float(not bool(lengths.any()))
    unit = vectors / lengths
    count = len(unit)
    # both have the same sum of squares: the smaller one is made
    products = unit @ unit.T if count <= unit.shape[1] else unit.T @ unit
    # without each vector's square of its cosine with itself, 1
    return (float(products.square().sum()) - count) / (count * (count - 1))


@torch.no_grad()
def look(watcher: Watcher, step: int, model: object, part: object) -> None:
    """Have the watcher see what `model` makes of a mini-batch, without a trace in the random
    numbers of the run.
    """
    with RandomState().again():
        made = model.shown(part)  # type: ignore[attr-defined]
    watcher.saw_vectors(step, made[0] if isinstance(made, tuple) else made)
