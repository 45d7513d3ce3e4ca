"""A backbone's last hidden states over a packed row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.batch.sequences import offsets_of
from nearfield.errors import ModelError
from nearfield.formats.architectures import ARCHITECTURES, UNKNOWN
from nearfield.models.backbones.attention import IMPLEMENTATION, register
from nearfield.models.backbones.groups import Groups
from nearfield.models.backbones.habits import long_rope, running
from nearfield.models.backbones.mpnet import mpnet_states
from nearfield.models.backbones.native_layers import NativeLayers, Places
from nearfield.models.backbones.relative_bucket import relative_bucket
from nearfield.types.arrays import Array, Integers


def prepare(backbone: Any) -> bool:
    """Make ready for `packed_states` a backbone of transformers, and say whether it is of an
    architecture that can be.
    """
    kind = backbone.config.model_type
    known = ARCHITECTURES.get(kind, UNKNOWN)
    if not known.packs or long_rope(backbone.config):
        return False
    if known.after_padding and backbone.embeddings.padding_idx is None:
        raise ModelError(
            f"positions of {kind} count from pad_token_id, and config.json sets it "
            "to null; wanted the id of padding"
        )
    # MPNet's attention does not ask transformers' interface: `mpnet_states` stands for it
    if kind != "mpnet":
        register()
        backbone.set_attn_implementation(IMPLEMENTATION)
    return True


def packed_states(
    backbone: Any,
    batch: Packed,
    device: torch.device,
    layers: NativeLayers | None = None,
    picked: Places | None = None,
) -> Tensor:
    """The last hidden state of each token of `batch`, which has at least one: (T, hidden), each
    sequence as if it were alone.

    `layers` stand for the backbone's own, but in a batch with tokens that are not looked at.
    `picked` (n,): the places of the tokens, one in each sequence, whose states alone are wanted;
    those of others are of no meaning then.
    """
    kind = backbone.config.model_type
    if ARCHITECTURES[kind].after_padding:
        positions = _positions_after_padding(batch, backbone.embeddings.padding_idx)
    else:
        positions = batch.positions
    columns: dict[str, Array] = {"input_ids": batch.ids, "position_ids": positions}
    types = batch.column("types")
    if types is not None:
        columns["token_type_ids"] = types
    given = {
        name: torch.from_numpy(column.astype(np.int64)).to(device)[None]  # (1, T)
        for name, column in columns.items()
    }
    unseen = batch.column("unseen")
    # the kernels have no mask, so that every token is looked at
    if layers is not None and (unseen is None or not unseen.any()):
        return _native_states(backbone, batch, layers, given, picked)
    groups = Groups(batch, device)
    with running(backbone, "these texts"):
        if kind == "mpnet":
            return mpnet_states(backbone, given["input_ids"], given["position_ids"], groups)[0]
        made = backbone(**given, packed_groups=groups, use_cache=False)
        states: Tensor = made.last_hidden_state[0]
        return states


def _native_states(
    backbone: Any,
    batch: Packed,
    layers: NativeLayers,
    given: dict[str, Tensor],
    picked: Places | None,
) -> Tensor:
    states: Tensor = backbone.embeddings(**given)[0]
    if hasattr(backbone, "embeddings_project"):
        states = backbone.embeddings_project(states)
    distances = None
    if backbone.config.model_type == "mpnet":
        reach = int(batch.lengths.max())
        buckets = torch.from_numpy(relative_bucket(np.arange(1 - reach, reach)))
        distances = backbone.encoder.relative_attention_bias.weight[buckets].T
    if not batch.lengths.all():  # a sequence without tokens has none to pick
        picked = None
    return layers(states, batch.offsets, distances, picked)


def _positions_after_padding(batch: Packed, padding: int) -> Integers:
    """(T,) positions that count from `padding` + 1 the tokens that are no padding, and `padding`
    for one that a text holds itself.
    """
    real = batch.ids != padding
    counted = offsets_of(real)
    # how many there are before a token's sequence
    before = np.repeat(counted[batch.offsets[:-1]], batch.lengths)
    return np.where(real, counted[1:] - before, 0) + padding
