"""The weighted mean of models' weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nearfield.errors import InputError


@torch.no_grad()
def linear(models: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """sum_i share_i model_i for each weight, summed in float64: a "model soup" (Wortsman et al.
    2022, arXiv 2203.05482). A share may be negative.

    `models`: the same names and shapes in each; `shares`: one per model. Raises InputError unless
    the shares sum to 1, without which the result would be scaled.
    """
    if abs(sum(shares) - 1) > 1e-6:
        raise InputError(
            f"the weights of a linear merge sum to {sum(shares):g}; wanted 1, as 0.5, 0.5"
        )
    merged = {}
    for name, weight in models[0].items():
        # in float64, as models that were tuned from one differ in the last digits of float32
        total = torch.zeros(weight.shape, dtype=torch.float64, device=weight.device)
        for share, model in zip(shares, models, strict=True):
            total += share * model[name].double()
        merged[name] = total.to(weight.dtype)
    return merged
