"""A model with only some of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from nearfield.errors import InputError, ModelError
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.written import Made, check_target, write_made
from nearfield.models.trainable import Trainable

# transformers' name for the list that says of each layer what attention it has
_PER_LAYER = "layer_types"


def drop_layers(model: str | Path, *, to: str | Path, keep: Sequence[int]) -> Made:
    """Write `model` with only the layers numbered in `keep`, from 0, in that order; all other
    weights are as they were.

    What this loses is to be measured, and mostly won back by tuning (Fan et al. 2020, arXiv
    1909.11556; Sajjad et al. 2023, arXiv 2004.03844, find the top layers the cheapest to lose).
    Raises InputError for layers that are not there, ModelError for a model without layers of its
    own and where a layer cannot stand in its new place.
    """
    check_target(to)
    opened = TextModel.open(model_path(model))
    opened.folder.refuse_adapters("they name layers by their old places")
    before = len(_layers(opened)[1])
    keep_layers(opened, keep)
    name = opened.contract.name
    about = {"how": "drop-layers", "models": [name], "kept": list(keep), "of": before}
    return write_made(opened, to, name=f"{name}-{len(keep)}-layers", about=about)


def keep_layers(model: TextModel, keep: Sequence[int]) -> None:
    """Leave only the layers `keep` in the opened model and its config. Raises as
    drop_layers does.
    """
    place, layers = _layers(model)
    wrong = [layer for layer in keep if not 0 <= layer < len(layers)]
    if wrong or not keep or list(keep) != sorted(set(keep)):
        got = ", ".join(map(str, keep)) or "none"
        raise InputError(
            f"layers {got} are to be kept; wanted some of 0 to {len(layers) - 1}, "
            "each once and in order"
        )
    # transformers makes the layer at each place as the architecture has it there
    for new, old in enumerate(keep):
        _check_fits(layers[old], layers[new], old, new)
    holder, attribute = place
    setattr(holder, attribute, nn.ModuleList([layers[layer] for layer in keep]))
    config = model.backbone.config
    kinds = getattr(config, _PER_LAYER, None)
    if kinds is not None and len(kinds) == len(layers):
        setattr(config, _PER_LAYER, [kinds[layer] for layer in keep])
    config.num_hidden_layers = len(keep)


def count_layers(model: Trainable) -> int:
    """How many layers the backbone has. Raises ModelError for a model without layers of its own."""
    return len(_layers(model)[1])


@contextmanager
def first_layers(model: Trainable, count: int) -> Iterator[None]:
    """The opened model without the layers after the first `count`, in the block; torch runs
    these.
    """
    (holder, attribute), layers = _layers(model)
    config = model.backbone.config
    native = model.layers  # which hold all of the layers
    # a slice of a ModuleList is a list of the same modules: no weight is copied
    setattr(holder, attribute, layers[:count])
    config.num_hidden_layers = count
    model.layers = None
    try:
        yield
    finally:
        setattr(holder, attribute, layers)
        config.num_hidden_layers = len(layers)
        model.layers = native


def _layers(model: Any) -> tuple[tuple[Any, str], nn.ModuleList]:
    """The list of the backbone's layers, and the module and attribute that hold it."""
    kind = "a static model"
    count = None
    if not model.folder.static:
        kind = model.backbone.config.model_type
        count = getattr(model.backbone.config, "num_hidden_layers", None)
    found = []
    # told by its length: each architecture has a name of its own for it
    for holder in model.backbone.modules():
        for attribute, child in holder.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                found.append(((holder, attribute), child))
    if len(found) != 1:
        raise ModelError(
            f"{model.contract.name}: no one list of layers was found to take some from ({kind})"
        )
    return found[0]


def _check_fits(layer: nn.Module, other: nn.Module, old: int, new: int) -> None:
    """Raise ModelError where `layer` has other weights than the architecture gives the layer in its
    new place (ModernBERT's first).
    """
    ours = {(name, tuple(weight.shape)) for name, weight in layer.state_dict().items()}
    theirs = {(name, tuple(weight.shape)) for name, weight in other.state_dict().items()}
    if ours != theirs:
        name, _ = min(ours ^ theirs)
        raise ModelError(
            f"layer {old} cannot stand in the place of layer {new}: they differ in "
            f"{name}; keep layer {new} in its place"
        )
