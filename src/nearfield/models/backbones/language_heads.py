"""The halves of a masked-language-model head, by architecture: what comes before the vocabulary,
and the vocabulary's layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from nearfield.errors import ModelError

GELU = "gelu"  # which is no module there
LANGUAGE_HEADS: dict[str, tuple[Sequence[str], str]] = {
    "bert": (("cls.predictions.transform",), "cls.predictions.decoder"),
    "camembert": (("lm_head.dense", GELU, "lm_head.layer_norm"), "lm_head.decoder"),
    "distilbert": (("vocab_transform", "activation", "vocab_layer_norm"), "vocab_projector"),
    "electra": (("generator_predictions",), "generator_lm_head"),
    "modernbert": (("head",), "decoder"),
    "mpnet": (("lm_head.dense", GELU, "lm_head.layer_norm"), "lm_head.decoder"),
    "nomic_bert": (("cls.predictions.transform",), "cls.predictions.decoder"),
    "roberta": (("lm_head.dense", GELU, "lm_head.layer_norm"), "lm_head.decoder"),
    "xlm-roberta": (("lm_head.dense", GELU, "lm_head.layer_norm"), "lm_head.decoder"),
}
"""Modules of transformers' *ForMaskedLM, in the order in which they run."""


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
    steps, decoder = LANGUAGE_HEADS[kind]
    transform = nn.Sequential(
        *(nn.GELU() if step == GELU else model.get_submodule(step) for step in steps)
    )
    last: nn.Linear = model.get_submodule(decoder)
    return transform, last
