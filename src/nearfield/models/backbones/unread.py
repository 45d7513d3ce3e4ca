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
    model: Any, report: Mapping[str, Any], folder: Path, *, pooled: bool, also: str = ""
) -> None:
    """Raise ModelError, naming them, where weights are missing, of another shape, or read by
    nothing.

    `report` is what transformers says of loading `model` from `folder`. Left out of account are a
    pooler, unless the output is `pooled`; heads of other tasks, the decoder beside an encoder among
    them; buffers that are computed; and the weight `also`, which something else reads.
    """
    kind = model.config.model_type
    missing = [
        name for name in sorted(report["missing_keys"]) if pooled or "pooler" not in name.split(".")
    ]
    missing += [str(key) for key in report["mismatched_keys"]]
    if missing:
        raise ModelError(
            f"{folder}: the weights do not fit the architecture {kind}: missing or "
            f"of another shape: {_some(missing)}"
        )
    unread = [
        name
        for name in sorted(report["unexpected_keys"])
        if name != also and not _without_effect(name)
    ]
    heads = _heads(model) if unread else set()
    unread = [name for name in unread if name.split(".")[0] not in heads]
    if unread:
        raise ModelError(
            f"{folder}: the checkpoint holds weights that transformers' {type(model).__name__} "
            f"does not read: {_some(unread)}; "
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
    if "position_embedding_type" in inspect.getsource(
        inspect.getmodule(type(model)) or type(model)
    ):
        return
    said = (
        f"position_embedding_type is {stated!r}, which transformers' {type(model).__name__} "
        "does not read"
    )
    raise ModelError(
        f"{folder / 'config.json'}: {said}; wanted absolute, or an architecture with "
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
    try:
        with torch.device("meta"):
            return {name for name, _ in kind(config).named_children()}
    # one that does not go with this config has no weights in its checkpoint either
    except Exception:
        return set()


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
