"""Documents made ready to be searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.indexes.index import Index

INDEXES: Registry[type[Index[Any]]] = Registry(
    "index",
    {
        "exact": "nearfield.indexes.exact:Exact",
        "funnel": "nearfield.indexes.funnel:Funnel",
        "binary": "nearfield.indexes.signs:Signs",
        "inverted": "nearfield.indexes.inverted:Inverted",
        "scored": "nearfield.indexes.scored:Scored",
    },
)
EXACT = "exact"
