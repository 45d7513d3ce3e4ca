"""Embeddings and texts to something that can be searched."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield.index.shortlist import Shortlist

SHORTLISTS = {"funnel": "nearfield.index.funnel:Funnel", "binary": "nearfield.index.signs:Signs"}


def shortlist_kind(name: str) -> type[Shortlist]:
    """The kind of shortlist of this name. Raises InputError for an unknown one."""
    from nearfield.errors import InputError, nearest

    if name not in SHORTLISTS:
        raise InputError(
            f"there is no index {name!r}; wanted exact or one of "
            f"{', '.join(SHORTLISTS)}.{nearest(name, SHORTLISTS)}"
        )
    module, kind = SHORTLISTS[name].split(":")
    found: type[Shortlist] = getattr(import_module(module), kind)
    return found
