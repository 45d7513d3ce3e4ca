"""Where a SPLADE head begins on a backbone that has none: each token is active for its own term and
for those that lie nearest.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from nearfield.errors import ModelError
from nearfield.models.heads.splade import Splade

Layer = TypeVar("Layer", bound=nn.Module)
ACTIVE = 4  # terms that a token alone is active for, on average
LOGIT = 1.0  # of those terms, on average: a weight of log 2
_SHIFT = 3.0  # standard deviations: GELU and its kin leave what lies so far above 0 nearly as it is
_NEVER = -1e4  # the bias of a term that is never to be active
_SAMPLE = 512  # tokens whose logits over the whole vocabulary are looked at for the threshold


@torch.no_grad()
def start_splade(head: Splade, states: Tensor, own: Tensor, usable: Tensor) -> None:
    """Set the weights of `head`, whose decoder is the word embeddings, from the states (n, hidden)
    of tokens that stood alone.

    `own`: (n,) int64, each one's number; `usable`: (vocabulary,) bool, False at terms that are to
    stay without a weight. States and word embeddings share the space of the residual stream, so the
    transform begins as the identity on the standardised state; where they have different
    dimensions, as the least-squares map from the one to the other. A term's bias takes away its
    mean logit, one threshold leaves `ACTIVE` terms per token, and the scale gives those a logit of
    `LOGIT` on average. Raises ModelError for a transform that is not linear, activation, layer
    norm.
    """
    dense = _one(head.transform, nn.Linear)
    norm = _one(head.transform, nn.LayerNorm)
    words = head.decoder.weight
    bias = head.decoder.bias
    mean = states.mean(0)
    size, hidden_size = dense.weight.shape
    if size == hidden_size:
        onto = torch.eye(size)
    else:
        onto = torch.linalg.lstsq(states - mean, words[own]).solution.T
    # standardised, then shifted to where the activation leaves nearly all as it is; the layer norm
    # takes the shift away
    dense.weight.copy_(onto / ((states - mean) @ onto.T).std())
    dense.bias.copy_(_SHIFT - dense.weight @ mean)
    norm.weight.fill_(1.0)
    if norm.bias is not None:
        norm.bias.zero_()
    hidden = head.transform(states)
    bias.copy_(-(words @ hidden.mean(0))).masked_fill_(~usable, _NEVER)
    places = torch.linspace(0, len(hidden) - 1, min(_SAMPLE, len(hidden))).long()
    some = hidden[places]
    logits = torch.addmm(bias, some, words.T).ravel()
    active = logits.topk(min(ACTIVE * len(some), len(logits))).values
    threshold = active[-1]
    scale = LOGIT / (active - threshold).mean().clamp(min=1e-6)
    norm.weight.mul_(scale)
    bias.sub_(threshold).mul_(scale)


def _one(transform: nn.Module, kind: type[Layer]) -> Layer:
    found = [module for module in transform.modules() if isinstance(module, kind)]
    unbiased = any(isinstance(module, nn.Linear) and module.bias is None for module in found)
    if len(found) != 1 or unbiased:
        raise ModelError(
            f"a SPLADE head begins with one {kind.__name__} with a bias before the "
            f"vocabulary; this one has {len(found)}"
        )
    return found[0]
