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
    """What is learned from, in words: so many pairs with so many different positives."""
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
        self.steps, self.learned_from, self.may_fit = steps, learned_from, may_fit
        self._without = dict.fromkeys(_WHY, 0)

    def saw(self, step: int, *, loss: float, negatives: int, still: bool = False) -> None:
        """Step `step`, from 1: its loss, its pairs of a query and a document that is no positive,
        and whether all gradients are 0.

        Raises CollectionError where the last `PATIENCE` steps all lacked the same, in a run of
        fewer where all steps lack a negative or a gradient, and ModelError where the loss is NaN.
        """
        if not math.isfinite(loss):
            raise ModelError(
                f"training stopped at step {step} of {self.steps}: the loss became "
                f"{loss}; lower the rate"
            )
        fits = self.may_fit and loss == 0
        lacks = (not negatives, loss == 0 and not fits, still and not fits)
        for what, lacking in zip(_WHY, lacks, strict=True):
            self._without[what] = self._without[what] + 1 if lacking else 0
            # a loss may round to 0 for a while; the others cannot come back
            enough = PATIENCE if what == "a loss" else min(PATIENCE, self.steps)
            if self._without[what] >= enough:
                why = _WHY[what].format(learned_from=self.learned_from)
                raise CollectionError(f"training stopped at step {step} of {self.steps}: {why}")

    def looks(self, step: int) -> bool:
        """Whether the vectors are to be looked at after this step: their spread costs a forward
        pass.
        """
        return step % (EARLY if step <= 5 * EARLY else LATER) == 0 or step == self.steps

    def saw_vectors(self, step: int, vectors: Tensor) -> None:
        """The vectors (n, dim) of different texts, or the logits (n,) of different pairs. Raises
        ModelError where all are the same.
        """
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
    if len(vectors) < FEWEST:
        return False
    if vectors.ndim == 1:
        return bool((vectors.max() - vectors.min()) <= 1e-6 * vectors.abs().max())
    lengths = vectors.norm(dim=1)
    if not bool(lengths.any()):
        return True
    unit = vectors[lengths > 0] / lengths[lengths > 0, None]
    # both have the same sum of squares
    cosines = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    count = len(unit)
    return count == len(vectors) and float(cosines.square().sum()) - count > SAME * count * (
        count - 1
    )


@torch.no_grad()
def look(watcher: Watcher, step: int, model: object, part: object) -> None:
    """Have the watcher see what `model` makes of a mini-batch, without a trace in the random
    numbers of the run.
    """
    with RandomState().again():
        made = model.shown(part)  # type: ignore[attr-defined]
    watcher.saw_vectors(step, made[0] if isinstance(made, tuple) else made)
