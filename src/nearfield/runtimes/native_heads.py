"""What the native runtime makes of a backbone's states, by the kind of model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nearfield.batch.packed import Packed
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads import HEADS
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.head import Given
from nearfield.registry import Registry
from nearfield.runtimes.packed_model import PackedModel
from nearfield.similarity.embeddings import Embeddings
from nearfield.store.fields import Fields
from nearfield.types.arrays import Floats

Run = Callable[[Floats, Packed], Embeddings]
"""Takes what the kernels pooled of each sequence, (n, hidden), or else every token's state,
(T, hidden).
"""


@dataclass(frozen=True)
class NativeHead:
    """How a kind of model opens its head, and what it asks of the kernels.

    `open` gives the head of a folder. `pooling` says what the kernels pool for it, None where it
    takes every token's state. `why_not` says in words why it cannot run a folder. `typed`: tokens
    are told which text of a pair they belong to.
    """

    open: Callable[[Any, PackedModel, Fields], Run]
    pooling: Callable[[Any], str | None] = lambda folder: None
    why_not: Callable[[Any, Fields], str | None] = lambda folder, config: None
    typed: Callable[[Any, Fields], bool] = lambda folder, config: False


def _dense(folder: ModelFolder, model: PackedModel, config: Fields) -> Run:
    # the kernels pool; what is left to the head are projections and the length
    head = DenseHead.open(Given(folder, model.layout.hidden))
    return lambda pooled, batch: head.embeddings(head.finish(pooled), batch)


def _of_tokens(folder: ModelFolder, model: PackedModel, config: Fields) -> Run:
    layout = model.layout
    head = HEADS[folder.head_name].open(Given(folder, layout.hidden, layout.vocabulary))
    return lambda states, batch: head.embeddings(head.forward(states, batch), batch)


def _why_not_late(folder: ModelFolder, config: Fields) -> str | None:
    assert folder.late is not None
    expansion = folder.late.expansion
    if folder.late.inline:
        return "reads a backbone's weights by their own names, and these stand among others"
    if expansion is not None and not expansion.attended:
        return (
            "has every token look at all others, and no token looks at those that this model's "
            "queries are filled up with"
        )
    return None


DENSE = NativeHead(_dense, pooling=lambda folder: folder.contract.pooling)
LATE = NativeHead(_of_tokens, why_not=_why_not_late)
THREE = NativeHead(_of_tokens)

NATIVE_HEADS: Registry[NativeHead] = Registry(
    "native head",
    {
        "dense": "nearfield.runtimes.native_heads:DENSE",
        "late-interaction": "nearfield.runtimes.native_heads:LATE",
        "pairs": "nearfield.runtimes.native_pairs:PAIRS",
        "splade": "nearfield.runtimes.native_terms:SPLADE",
        "three": "nearfield.runtimes.native_heads:THREE",
    },
)
"""By the name that a folder's `head_name` states."""
