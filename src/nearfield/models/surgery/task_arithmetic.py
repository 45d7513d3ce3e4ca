"""What tuning changed, added up: a base model and the differences that several tunings made
to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def task_arithmetic(
    base: Mapping[str, Tensor], models: Sequence[Mapping[str, Tensor]], factors: Sequence[float]
) -> dict[str, Tensor]:
    """base + sum_i factor_i (model_i - base) for each weight, in float64 (Ilharco et al. 2023,
    arXiv 2212.04089).

    A negative factor takes away what a tuning taught; factors need no sum.
    """
    merged = {}
    for name, weight in base.items():
        start = weight.double()
        changes = (
            factor * (model[name].double() - start)
            for factor, model in zip(factors, models, strict=True)
        )
        merged[name] = (start + sum(changes, torch.zeros(()))).to(weight.dtype)
    return merged
