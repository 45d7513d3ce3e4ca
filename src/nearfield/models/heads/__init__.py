"""What models make of their backbones' token states: one file per head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.models.heads.head import Head

HEADS: Registry[type[Head[Any]]] = Registry(
    "head",
    {
        "dense": "nearfield.models.heads.dense:DenseHead",
        "late-interaction": "nearfield.models.heads.late_interaction:LateInteractionHead",
        "splade": "nearfield.models.heads.splade:Splade",
        "three": "nearfield.models.heads.three:ThreeHeads",
    },
)
"""The heads by the name that `ModelFolder.head_name` states, which new heads are asked for by."""
