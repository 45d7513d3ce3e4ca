"""The halves of a masked-language-model head: the transform, and the vocabulary's layer."""

from __future__ import annotations

from typing import Any

from torch import nn

from nearfield.errors import ModelError
from nearfield.formats.architectures import ARCHITECTURES, GELU

LANGUAGE_HEADS = {kind: known.language for kind, known in ARCHITECTURES.items() if known.language}


def language_head(model: Any) -> tuple[nn.Module, nn.Linear]:
    """The two halves of the head of `model`, one of transformers' *ForMaskedLM; they share its
    weights.

    Raises ModelError for an architecture whose head is not known.
    """
    kind = model.config.model_type
    if kind not in LANGUAGE_HEADS:
        raise ModelError(
            f"the language-model head of {kind} is not known; known are those of "
            f"{', '.join(LANGUAGE_HEADS)}"
        )
    known = LANGUAGE_HEADS[kind]
    transform = nn.Sequential()
    for step in known.steps:
        transform.append(nn.GELU() if step == GELU else model.get_submodule(step))
    decoder: nn.Linear = model.get_submodule(known.decoder)
    return transform, decoder
