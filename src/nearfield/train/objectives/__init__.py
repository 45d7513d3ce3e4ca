"""Losses as pure functions, and the objectives that a recipe names: a loss and the columns that it
needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nearfield.errors import InputError, nearest
from nearfield.registry import Registry
from nearfield.train.fields import check_fields, need

if TYPE_CHECKING:  # a recipe asks for names alone, and needs no torch
    from torch import Tensor

    from nearfield.train.objectives.objective import Objective

_HERE = "nearfield.train.objectives"

OBJECTIVES: Registry[type[Objective]] = Registry(
    "objective",
    {
        "infonce": f"{_HERE}.infonce:InfoNCE",
        "symmetric": f"{_HERE}.both_ways:Symmetric",
        "same-side": f"{_HERE}.both_ways:SameSide",
        "several-positives": f"{_HERE}.infonce:SeveralPositives",
        "guided": f"{_HERE}.guided:Guided",
        "sigmoid": f"{_HERE}.sigmoid:Sigmoid",
        "own-candidates": f"{_HERE}.own_candidates:OwnCandidates",
        "triplet": f"{_HERE}.triplet:Triplet",
        "cosent": f"{_HERE}.cosent:CoSENT",
        "angle": f"{_HERE}.angle:AnglE",
        "squared-error": f"{_HERE}.squared_error:SquaredError",
        "contrastive": f"{_HERE}.contrastive:Contrastive",
        "online-contrastive": f"{_HERE}.contrastive:OnlineContrastive",
        "softmax": f"{_HERE}.softmax:Softmax",
        "embedding-distillation": f"{_HERE}.embedding_distillation:EmbeddingDistillation",
        "batch-hard": f"{_HERE}.batch_hard:BatchHard",
        "self-distillation": f"{_HERE}.self_distillation:SelfDistillation",
    },
)
TEACHER_LOSSES: Registry[Callable[..., Tensor]] = Registry(
    "teacher loss",
    {"kl": f"{_HERE}.kl:kl", "margin-mse": f"{_HERE}.margin_mse:margin_mse"},
)

POSITIVES = frozenset({"positive", "ignore"})  # columns that a contrastive loss needs
GUIDED = frozenset({"guide", "guide_vectors"})  # columns that another model gives


def named(name: str, temperature: float, parameters: Mapping[str, float]) -> Objective:
    """The objective called `name` with its own parameters, and the temperature where it has one.

    Raises InputError that lists the objectives, or the parameters, that there are, and RecipeError
    for a parameter below 0, but for a bias.
    """
    made = OBJECTIVES[name]
    fields = made.__dataclass_fields__  # type: ignore[attr-defined]
    values = {"temperature": temperature} if "temperature" in fields else {}
    known = [field for field in fields if field != "temperature"]
    for key, value in parameters.items():
        if key not in known:
            raise InputError(
                f"{name} has no {key}; it has {', '.join(known) or 'none'}.{nearest(key, known)}"
            )
        need(value >= 0 or key == "bias", f"parameters.{key}", value, "0 or more")
        values[key] = value
    objective = made(**values)
    check_fields(objective, "parameters.")
    return objective
