"""The state of a training run on disk: weights, optimiser, and the weights that are kept so far."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearfield.errors import InputError, NearfieldWarning
from nearfield.store.run import RunFolder
from nearfield.store.tensors import noted_tensors, whole_tensors

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Checkpoint:
    """After `step` steps: dev's values per query at their highest mean (`peak`), the step whose
    weights are kept, and how often dev was measured since without being kept (`stale`).

    Weights are kept when their dev mean is not below the peak by more than one standard error of
    the paired difference: within the noise of a small dev split, the later weights, trained on more
    and at a lower rate, are the better guess.
    """

    step: int
    peak: Floats
    kept_step: int
    stale: int = 0

    def measured(self, dev: Floats) -> Checkpoint:
        """The state after dev was measured at this step: `dev` (n,), one value per query."""
        difference = dev - self.peak
        gain = difference.mean()
        error = 0.0
        if len(difference) > 1:
            error = difference.std(ddof=1) / np.sqrt(len(difference))
        if gain < -error:
            return replace(self, stale=self.stale + 1)
        # weights within the noise are kept, but the peak stays: else many small losses, each
        # within the noise of the one before, could add up
        peak = dev if gain > 0 else self.peak
        return Checkpoint(self.step, peak, self.step)


def save_checkpoint(
    run: RunFolder,
    state: Checkpoint,
    trained: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write the kept weights when they are this step's, then the whole state; a kill between the
    two loses nothing.
    """
    weights = {name: weight.detach() for name, weight in trained.items()}
    if state.kept_step == state.step:
        noted_tensors(_kept(run, state.step), weights, {})
    tensors = {f"weight/{name}": weight for name, weight in weights.items()}
    tensors["peak"] = torch.from_numpy(state.peak)
    for name, weight in trained.items():
        for part, value in optimiser.state.get(weight, {}).items():
            tensors[f"optimiser/{part}/{name}"] = value
    facts = {name: str(getattr(state, name)) for name in ("step", "kept_step", "stale")}
    noted_tensors(_last(run), tensors, facts)
    # the weights kept before are needed until the state that names the new ones is on disk
    for other in _last(run).parent.glob("kept-*.safetensors"):
        if other != _kept(run, state.kept_step):
            other.unlink()


def load_checkpoint(
    run: RunFolder, trained: Mapping[str, Tensor], optimiser: torch.optim.Optimizer
) -> Checkpoint | None:
    """Put the last checkpoint's values into `trained` and `optimiser` and return its state, or None
    where there is none.

    A damaged one, or damaged weights that are kept, count as none, with a warning: training then
    begins again.
    """
    if not _last(run).exists():
        return None
    try:
        tensors, noted = whole_tensors(_last(run))
        facts = {name: int(value) for name, value in noted.items()}
        whole_tensors(_kept(run, facts["kept_step"]))  # read once, for its checksum
    except InputError as error:
        warnings.warn(f"{error}; training begins again", NearfieldWarning, stacklevel=2)
        return None
    with torch.no_grad():
        for name, weight in trained.items():
            weight.copy_(tensors[f"weight/{name}"])
    for key, value in tensors.items():
        if key.startswith("optimiser/"):
            _, part, name = key.split("/", 2)
            weight = trained[name]
            optimiser.state[weight][part] = _laid_out(value, weight)
    return Checkpoint(facts["step"], tensors["peak"].numpy(), facts["kept_step"], facts["stale"])


def _laid_out(value: Tensor, weight: Tensor) -> Tensor:
    """The value in memory as the weight is: the fused optimiser takes both in that order."""
    if value.shape != weight.shape:  # the number of steps
        return value.to(weight.device)
    return torch.empty_like(weight).copy_(value)


def kept_weights(run: RunFolder, step: int) -> dict[str, Tensor]:
    """The trained parameters that are kept of this step, by name."""
    try:
        return whole_tensors(_kept(run, step))[0]
    except InputError as error:
        raise InputError(
            f"the checkpoint cannot be used ({error}); remove the folder {_last(run).parent} to "
            "train again",
            path=_kept(run, step),
        ) from error


def kept_step(run: RunFolder) -> int:
    """The step whose weights are kept so far; 0 where these are the weights that training began
    with.
    """
    kept = max(_last(run).parent.glob("kept-*.safetensors"), default=None)
    if kept is not None:
        return int(kept.stem.removeprefix("kept-"))
    return 0


def _last(run: RunFolder) -> Path:
    return run.path / "checkpoints" / "last.safetensors"


def _kept(run: RunFolder, step: int) -> Path:
    return run.path / "checkpoints" / f"kept-{step:06d}.safetensors"
