"""MPNet over a packed row. Its attention adds a relative position bias and does not go through
transformers' AttentionInterface.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from nearfield.models.backbones.attention import by_length
from nearfield.models.backbones.groups import Groups


def mpnet_states(backbone: Any, ids: Tensor, positions: Tensor, groups: Groups) -> Tensor:
    """The last hidden states (1, T, hidden) of an MPNetModel for ids and positions (1, T), by its
    own modules.

    The bias depends on the distance of two tokens alone, so that of a shorter sequence is a corner
    of the longest one's.
    """
    states: Tensor = backbone.embeddings(input_ids=ids, position_ids=positions)
    # (heads, longest, longest); of the states only the number of places is read
    bias = backbone.encoder.compute_position_bias(states[:, : groups.longest])[0]
    for layer in backbone.encoder.layer:
        block = layer.attention
        own = block.attn
        heads = (own.num_attention_heads, own.attention_head_size)
        query = own.q(states[0]).unflatten(-1, heads)
        key = own.k(states[0]).unflatten(-1, heads)
        value = own.v(states[0]).unflatten(-1, heads)
        dropout = own.dropout.p if own.training else 0.0
        corner = partial(_corner, groups, bias, query.dtype)
        # softmax(q k' / sqrt(d) + bias) v within each sequence
        mixed = by_length(query, key, value, groups, corner, dropout=dropout)
        out = own.o(mixed.flatten(1))[None]
        states = block.LayerNorm(block.dropout(out) + states)
        states = layer.output(layer.intermediate(states), states)
    return states


def _corner(groups: Groups, bias: Tensor, dtype: torch.dtype, length: int) -> Tensor:
    """The bias of sequences of this length, which all layers share."""
    return groups.once(("bias", length), lambda: bias[:, :length, :length].to(dtype).contiguous())
