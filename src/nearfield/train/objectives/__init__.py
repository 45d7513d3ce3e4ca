"""Losses as pure functions, and the objectives that a recipe names: a loss and the columns that it
needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:  # a recipe asks for names alone, and needs no torch
    from torch import Tensor

    from nearfield.train.objectives.objective import Objective

_HERE = "nearfield.train.objectives"

OBJECTIVES: Registry[type[Objective]] = Registry(
    "objective",
    {
        "infonce": f"{_HERE}.infonce:InfoNCE",
        "own-candidates": f"{_HERE}.own_candidates:OwnCandidates",
        "self-distillation": f"{_HERE}.self_distillation:SelfDistillation",
    },
)
TEACHER_LOSSES: Registry[Callable[..., Tensor]] = Registry(
    "teacher loss",
    {"kl": f"{_HERE}.kl:kl", "margin-mse": f"{_HERE}.margin_mse:margin_mse"},
)
