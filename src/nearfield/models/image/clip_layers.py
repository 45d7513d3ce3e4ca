"""CLIP's layers with less work for the same features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.activations import QuickGELUActivation
from transformers.models.clip.modeling_clip import CLIPEncoderLayer, CLIPVisionModel


def lighten(model: torch.nn.Module) -> None:
    """Make the CLIP layers of `model` the ones below, with the weights that they have."""
    for module in model.modules():
        if type(module) is QuickGELUActivation:
            # the class alone: the module keeps its weights, their names and its hooks
            module.__class__ = QuickGelu
        if isinstance(module, CLIPVisionModel):
            module.encoder.layers[-1].__class__ = FirstToken


class QuickGelu(QuickGELUActivation):
    """x · sigmoid(1.702 x), made in place where no gradient is asked for."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().forward(input)
        return (1.702 * input).sigmoid_().mul_(input)


class FirstToken(CLIPEncoderLayer):  # type: ignore[no-untyped-call]
    """The last layer of an image tower, for the first token alone: features are read off it."""

    def forward(  # type: ignore[override]
        self, hidden_states: Tensor, attention_mask: Any
    ) -> Tensor:
        if self.training:  # with dropout, which is the layer's own
            return super().forward(hidden_states, attention_mask)
        attention = self.self_attn
        normed = self.layer_norm1(hidden_states)

        def heads(states: Tensor) -> Tensor:
            return states.reshape(*states.shape[:2], -1, attention.head_dim).transpose(1, 2)

        # (n, heads, 1, head_dim): one query over all keys (docs/log.md, Images)
        read = functional.scaled_dot_product_attention(
            heads(attention.q_proj(normed[:, :1])),
            heads(attention.k_proj(normed)),
            heads(attention.v_proj(normed)),
            scale=attention.scale,
        )
        out = attention.out_proj(read.transpose(1, 2).flatten(2))
        first = hidden_states[:, :1] + out
        made: Tensor = first + self.mlp(self.layer_norm2(first))
        return made
