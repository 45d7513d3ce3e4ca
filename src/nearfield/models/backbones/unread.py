"""Weights that a checkpoint holds and its architecture does not read, or the other way round."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nearfield.errors import ModelError

# buffers, which follow from config.json
_COUNTED = ("inv_freq", "masked_bias", "position_ids", "token_type_ids")
# as nearly all call them, code of a folder too
_HEADS = ("classifier", "cls", "lm_head", "qa_outputs", "score")
_SHOWN = 3


def refuse_misfits(
    model: Any, report: Mapping[str, Any], folder: Path, *, pooled: bool, also: str
) -> None:
    """Raise ModelError, naming them, where weights are missing, of another shape, or read by
    nothing.

    `report` is what transformers says of loading `model` from `folder`. Left out of account are a
    pooler, unless the output is `pooled`; heads of other tasks, the decoder beside an encoder among
    them; buffers that are computed; and the weight `also`, which something else reads.
    """
    kind = model.config.model_type
    missing = sorted(report["missing_keys"])
    if not pooled:
        # a pooler that the file leaves out is random, and read only where the output is pooled
        missing = [name for name in missing if "pooler" not in name.split(".")]
    missing += [str(key) for key in report["mismatched_keys"]]
    if missing:
        raise ModelError(
            f"{folder}: the weights do not fit the architecture {kind}: missing or "
            f"of another shape: {some_of(missing)}"
        )
    unread = sorted(set(report["unexpected_keys"]) - {also})
    unread = [name for name in unread if not _without_effect(name)]
    if unread:  # to find the heads takes a while
        heads = _heads(model)
        unread = [name for name in unread if name.split(".")[0] not in heads]
    if unread:
        raise ModelError(
            f"{folder}: the checkpoint holds weights that transformers' {type(model).__name__} "
            f"does not read: {some_of(unread)}; "
            "its vectors would be those of another model. Wanted the architecture that the "
            "checkpoint was trained in."
        )


def refuse_relative_positions(model: Any, folder: Path) -> None:
    """Raise ModelError where config.json asks for relative positions and the code of `model` does
    not know them.
    """
    stated = str(getattr(model.config, "position_embedding_type", None))
    if not stated.startswith("relative"):
        return
    # a config of transformers takes any key, whether its model reads it or not
    code = inspect.getsource(inspect.getmodule(type(model)) or type(model))
    if "position_embedding_type" not in code:
        raise ModelError(
            f"{folder / 'config.json'}: position_embedding_type is {stated!r}, which transformers' "
            f"{type(model).__name__} does not read; wanted absolute, or an architecture with "
            "relative positions"
        )


def _without_effect(name: str) -> bool:
    parts = name.split(".")
    return parts[-1] in _COUNTED or "pooler" in parts


def _heads(model: Any) -> set[str]:
    """Names that stand first in the weights of what transformers' models of this architecture have
    beside `model`.
    """
    from transformers.models.auto import modeling_auto

    config = model.config
    own = {name for name, _ in model.named_children()}
    found = set(_HEADS)
    for name in dir(modeling_auto):
        if name.startswith("MODEL_") and name.endswith("_MAPPING"):
            known = getattr(modeling_auto, name).get(type(config), ())
            for kind in known if isinstance(known, tuple) else (known,):
                found |= _children(kind, config) - {kind.base_model_prefix}
    return found - own - {model.base_model_prefix}


def _children(kind: Any, config: Any) -> set[str]:
    """The names of the modules that a class of transformers makes, without memory for weights."""
    try:
        with torch.device("meta"):
            return {name for name, _ in kind(config).named_children()}
    # one that does not go with this config has no weights in its checkpoint either
    except Exception:
        return set()


def some_of(names: list[str]) -> str:
    """The first of the names, and how many more there are."""
    said = ", ".join(names[:_SHOWN])
    if len(names) > _SHOWN:
        return f"{said} and {len(names) - _SHOWN} more"
    return said
