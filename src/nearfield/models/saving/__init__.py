"""Model folders that sentence-transformers opens too, written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.models.model import TextModel
    from nearfield.types.contract import Contract

Writer = Callable[["TextModel", "Contract", Path], None]
"""Writes a model into an empty folder, to be used by the contract; all but nearfield.json."""
WRITERS: Registry[Writer] = Registry(
    "model writer",
    {
        "late-interaction": "nearfield.models.saving.save_late:write_late",
        "pooled": "nearfield.models.saving.save:write_pooled",
        "splade": "nearfield.models.saving.save_sparse:write_splade",
        "static": "nearfield.models.saving.save_static:write_static_model",
    },
)
"""By the layout that a head is written in, `Head.layout`; of a static model by `static`."""
