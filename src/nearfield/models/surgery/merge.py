"""Models of one architecture merged into one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nearfield.errors import ContractError, InputError, ModelError, nearest
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.written import Made, check_target, write_made
from nearfield.models.surgery.linear import linear
from nearfield.models.surgery.slerp import slerp
from nearfield.models.tokeniser import tokeniser_of

HOW = ("linear", "slerp", "task-arithmetic")
_SAME = ("kind", "pooling", "include_prompt", "normalise", "similarity", "prompts", "layer_norm")
Weights = dict[str, Tensor]


def merge(
    models: Sequence[str | Path],
    *,
    to: str | Path,
    how: str = "linear",
    base: str | Path | None = None,
    weights: Sequence[float] = (),
) -> Made:
    """Write one model made of `models`, which share architecture, tokeniser and contract; its other
    files are the first one's.

    linear: `weights` are shares that sum to 1, equal ones by default. slerp: two models and the
    share of the second, a half by default. task-arithmetic: the `base` that all were tuned from,
    and a factor for each model's difference to it, by default one over their number. Raises
    InputError for what does not go together, ModelError and ContractError where the models differ.
    """
    factors = _factors(how, len(models), base, weights)
    check_target(to)
    opened = [TextModel.open(model_path(model)) for model in models]
    start = [] if base is None else [TextModel.open(model_path(base))]
    first, *others = [*opened, *start]
    for model in [first, *others]:
        model.folder.refuse_adapters(
            "the average of two matrices' products is not the product of their averages"
        )
    for other in others:
        _check_alike(first, other)
    read = [_weights(model) for model in opened]
    if how == "slerp":
        merged = slerp(read[0], read[1], factors[0])
    elif start:
        # base + sum_i factor_i (model_i - base): Ilharco et al. 2023 (arXiv 2212.04089), which is a
        # linear merge in which the base has what the factors leave of 1
        shares = [1 - sum(factors), *factors]
        merged = linear([_weights(start[0]), *read], shares)
    else:
        merged = linear(read, factors)
    into = first.parameters()
    with torch.no_grad():
        for key, weight in merged.items():
            # into the first one, whose other files the merged folder has
            into[key].copy_(weight)
    names = [model.contract.name for model in opened]
    name = "+".join(dict.fromkeys(names))
    about = {
        "how": how,
        "models": names,
        "weights": factors,
        "base": start[0].contract.name if start else None,
    }
    folders = [model.folder.path for model in opened[1:]]
    return write_made(first, to, name=name, about=about, others=folders)


def _factors(
    how: str, count: int, base: str | Path | None, weights: Sequence[float]
) -> list[float]:
    if how not in HOW:
        raise InputError(
            f"there is no merge {how!r}; wanted one of {', '.join(HOW)}.{nearest(how, HOW)}"
        )
    if how == "task-arithmetic" and base is None:
        raise InputError(
            f"a {how} merge needs the base that the models were tuned from; give --base"
        )
    if how != "task-arithmetic" and base is not None:
        raise InputError(f"a {how} merge has no base; leave out --base")
    if how == "slerp":
        return _share(count, weights)
    if count < (2 if base is None else 1):
        raise InputError(f"a {how} merge got {count} models; wanted at least two")
    if weights and len(weights) != count:
        raise InputError(f"got {len(weights)} weights; wanted {count}, one per model")
    return list(weights) or [1 / count] * count


def _share(count: int, weights: Sequence[float]) -> list[float]:
    """The share of the second of two models, a half where none is given."""
    if count != 2:
        raise InputError(f"a slerp merge got {count} models; wanted two")
    if not weights:
        return [0.5]
    if len(weights) != 1:
        raise InputError(f"got {len(weights)} weights; wanted one, the share of the second model")
    if not 0 <= weights[0] <= 1:
        raise InputError(f"the share of the second model is {weights[0]:g}; wanted 0 to 1")
    return list(weights)


def _weights(model: TextModel) -> Weights:
    """The weights that something reads: a pooler may be random, where its file left it out."""
    return {
        name: weight.detach()
        for name, weight in model.parameters().items()
        if not name.startswith("pooler.")
    }


def _check_alike(first: TextModel, other: TextModel) -> None:
    names = f"{first.contract.name} and {other.contract.name}"
    for key in _SAME:
        one = getattr(first.contract, key)
        another = getattr(other.contract, key)
        if one != another:
            raise ContractError(
                f"{names}: {key} is {one!r} and {another!r}; a merge wants models "
                "that are used alike"
            )
    ours = {name: tuple(weight.shape) for name, weight in _weights(first).items()}
    theirs = {name: tuple(weight.shape) for name, weight in _weights(other).items()}
    every = sorted(ours.keys() | theirs.keys())
    differing = [name for name in every if ours.get(name) != theirs.get(name)]
    if differing:
        name = differing[0]
        raise ModelError(
            f"{names} differ in {len(differing)} weights: {name} is of shape {ours.get(name)} and "
            f"{theirs.get(name)}; a merge wants one architecture of one size"
        )
    if _vocabulary(first) != _vocabulary(other):
        raise ModelError(
            f"{names} have different vocabularies, so that a row of one's table is "
            "another token in the other's"
        )


def _vocabulary(model: TextModel) -> Any:
    facts = json.loads(tokeniser_of(model.folder).json())
    return facts["model"], facts["added_tokens"]
