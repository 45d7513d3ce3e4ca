"""Documents made ready to be searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.index.index import Index

INDEXES: Registry[type[Index[Any]]] = Registry(
    "index",
    {
        "exact": "nearfield.index.exact:Exact",
        "funnel": "nearfield.index.funnel:Funnel",
        "binary": "nearfield.index.signs:Signs",
        "inverted": "nearfield.index.inverted:Inverted",
        "scored": "nearfield.index.scored:Scored",
    },
)
EXACT = "exact"
