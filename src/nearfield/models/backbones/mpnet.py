"""MPNet over a packed row. Its attention adds a relative position bias and does not go through
transformers' AttentionInterface.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nearfield.models.backbones.attention import by_run
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
        mixed = _attention(query, key, value, bias, groups, dropout)
        out = own.o(mixed.flatten(1))[None]
        states = block.LayerNorm(block.dropout(out) + states)
        states = layer.output(layer.intermediate(states), states)
    return states


def _corner(bias: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    return bias[:, :length, :length].to(dtype).contiguous()


def _attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, groups: Groups, dropout: float
) -> Tensor:
    """softmax(q k' / sqrt(d) + bias) v within each sequence: (T, heads, d) each to (T,
    heads, d).
    """
    parts = []
    queries = by_run(query, groups)
    keys = by_run(key, groups)
    values = by_run(value, groups)
    runs = zip(groups.runs, groups.seen, queries, keys, values, strict=True)
    for (_, _, length), seen, q, k, v in runs:
        # all layers share it
        corner = groups.once(("bias", length), partial(_corner, bias, length, query.dtype))
        if seen < length:
            k = k[:, :, :seen]
            v = v[:, :, :seen]
            corner = corner[:, :, :seen]
        mixed = scaled_dot_product_attention(q, k, v, corner, dropout)
        parts.append(mixed.transpose(1, 2).flatten(0, 1))  # (count x length, heads, d)
    return torch.cat(parts)
