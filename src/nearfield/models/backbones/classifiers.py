"""What a sequence-classification model makes of its backbone's states, by architecture:
transformers' own modules over a packed row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nearfield.formats.architectures import ARCHITECTURES, WHOLE
from nearfield.models.heads.pooling import POOLINGS
from nearfield.models.heads.segments import Segments

Classifier = Callable[[Any, Tensor, Segments], Tensor]


def _whole_head(model: Any, states: Tensor, segments: Segments) -> Tensor:
    """A head that takes the first state itself (RoBERTa and its kin)."""
    # (n, 1, hidden): the head takes the first of a row's states by itself
    logits: Tensor = model.classifier(POOLINGS["cls"](states, segments)[:, None])
    return logits


def _pooler(model: Any, states: Tensor, segments: Segments) -> Tensor:
    """The backbone's pooler, then one layer (BERT, NomicBERT)."""
    first = POOLINGS["cls"](states, segments)[:, None]  # the pooler takes rows' first states itself
    pooled = model.base_model.pooler(first)
    logits: Tensor = model.classifier(model.dropout(pooled))
    return logits


def _albert(model: Any, states: Tensor, segments: Segments) -> Tensor:
    base = model.base_model
    pooled = base.pooler_activation(base.pooler(POOLINGS["cls"](states, segments)))
    logits: Tensor = model.classifier(model.dropout(pooled))
    return logits


def _distilbert(model: Any, states: Tensor, segments: Segments) -> Tensor:
    hidden = torch.relu(model.pre_classifier(POOLINGS["cls"](states, segments)))
    logits: Tensor = model.classifier(model.dropout(hidden))
    return logits


def _modernbert(model: Any, states: Tensor, segments: Segments) -> Tensor:
    pooled = POOLINGS[model.config.classifier_pooling](states, segments)
    logits: Tensor = model.classifier(model.drop(model.head(pooled)))
    return logits


def _last_state(model: Any, states: Tensor, segments: Segments) -> Tensor:
    """One layer over the last state, which has seen all others (decoders)."""
    logits: Tensor = model.score(POOLINGS["last"](states, segments))
    return logits


_FUNCTIONS: dict[str, Classifier] = {
    "albert": _albert,
    "distilbert": _distilbert,
    "last_state": _last_state,
    "modernbert": _modernbert,
    "pooler": _pooler,
    "whole_head": _whole_head,
}
CLASSIFIERS = {
    kind: _FUNCTIONS[known.classifier]
    for kind, known in ARCHITECTURES.items()
    if known.classifier in _FUNCTIONS
}
"""Each takes one of transformers' *ForSequenceClassification, its backbone's states (T, hidden) and
their segments, and gives the logits (n, labels). A test holds each to the model's own forward call.
"""
PADDED = tuple(kind for kind, known in ARCHITECTURES.items() if known.classifier == WHOLE)
"""Architectures that are run whole, padded at the right."""
