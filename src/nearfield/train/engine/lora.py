"""New LoRA adapters on a model that is to be trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nearfield.catalog.card import card, catalogued
from nearfield.errors import ModelError
from nearfield.models.lora.attached import NONE, Attached
from nearfield.models.lora.low_rank import LowRank
from nearfield.models.model import TextModel
from nearfield.train.recipe import Recipe
from nearfield.types.role import DOCUMENT, QUERY


def add_lora(model: TextModel, recipe: Recipe) -> None:
    """Put the adapters that the recipe asks for beside the model's weights: one for all texts, or
    one each for queries and documents.

    They change nothing yet. The same recipe puts the same numbers into them. Raises ModelError for
    a model that has adapters of its own, for a static one, and where no layer is called as the
    recipe's targets.
    """
    asked = recipe.lora
    if not asked.rank:
        return
    name = model.contract.name
    if model.folder.static:
        raise ModelError(
            f"{name}: is static, and has no layer for lora.rank {asked.rank}; leave [lora] out"
        )
    if model.adapters is not None:
        raise ModelError(
            f"{name}: has adapters already; leave [lora] out to train all, or merge one into its "
            "base first"
        )
    if asked.per_role and model.folder.late is not None:
        raise ModelError(
            f"{name}: is a multi-vector model, whose folder holds no adapter per role; leave "
            "lora.per_role out"
        )
    roles = (DOCUMENT, QUERY) if asked.per_role else ()
    folders = {role: model.folder.path / "adapters" / role for role in roles}
    model.folder = replace(model.folder, adapters=folders)
    generator = torch.Generator().manual_seed(recipe.seed)
    count = max(1, len(roles))  # one for all texts
    adapters = [_fresh(model.whole, recipe, generator, model.device) for _ in range(count)]
    model.adapters = Attached(model.whole, adapters, shared=NONE if roles else 0)


def tower_lora(network: nn.Module, recipe: Recipe, *, where: Path) -> Attached | None:
    """The adapter that the recipe asks for beside the weights of a tower of the folder `where`;
    None where it asks for none. Raises ModelError where the tower has no linear layer.
    """
    if not recipe.lora.rank:
        return None
    generator = torch.Generator().manual_seed(recipe.seed)
    device = next(network.parameters()).device
    adapter = _fresh(network, recipe, generator, device)
    if not adapter.pairs:
        raise ModelError(
            f"{where}: has no linear layer for lora.rank {recipe.lora.rank}; leave [lora] out to "
            "train all weights"
        )
    return Attached(network, [adapter], shared=0)


def _fresh(
    model: nn.Module, recipe: Recipe, generator: torch.Generator, device: torch.device
) -> LowRank:
    asked = recipe.lora
    return LowRank.fresh(
        model,
        asked.targets,
        rank=asked.rank,
        scale=asked.alpha / asked.rank,
        generator=generator,
        device=device,
    )


def scaled_base(base: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that `tuned` is averaged with so that what a new adapter adds is scaled: its
    first matrices stay as they were tuned.

    The product of averages would not be the average of the products; with the second matrix of the
    base, 0, it is. An adapter that the base brought along has none of 0, and keeps both matrices,
    so that the share 0 of tuned weights is the base.
    """
    scaled = dict(base)
    for name in base:
        # a new adapter begins with a second matrix, B, of zeros (Hu et al. 2021, section 4.1)
        if name.endswith(".lora_A") and not base[f"{name.removesuffix('A')}B"].any():
            scaled[name] = tuned[name]
    return scaled


def known_as(model: str) -> str:
    """What other tools open a model by: its name on the hub where the catalog has one, else as it
    is called here.
    """
    known = None if Path(model).is_dir() else catalogued(model)
    hub = card(known).hub if known else None
    return hub or model
