"""Whether everything that a file of a model folder states is honoured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nearfield.errors import ModelError, nearest
from nearfield.store.fields import Fields

Honoured = Mapping[str, Any]
"""By key: `ANY`, the values that are honoured, or of an object the same of its keys."""
ANY = None
"""In place of the values of a key: every value is honoured, or changes no vector."""


_SIZES = ("embedding_dimension", "word_embedding_dimension")
LEGACY_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The flags of older folders, by what `pooling_mode` calls each now."""
POOLING = dict.fromkeys(("include_prompt", "pooling_mode", *LEGACY_POOLING, *_SIZES), ANY)
SPLADE_POOLING = dict.fromkeys(
    ("activation_function", "chunk_size", "pooling_strategy", *_SIZES), ANY
)
NORMALIZE = dict.fromkeys(("module_input_name", "module_output_name"), ("sentence_embedding",))
TOKEN_MASK = dict.fromkeys(("keep_only_token_ids", "skiplist_tasks", "skiplist_words"), ANY)
LOGIT_SCORE = {"true_token_id": ANY, "false_token_id": ANY, "module_input_name": ("causal_logits",)}
"""What the config.json of each module of sentence-transformers may state."""


def refuse_unhonoured(fields: Fields, honoured: Honoured) -> None:
    """Raise ModelError, naming file and key, for a key that is not in `honoured` or has none of the
    values there.

    A key that is null states nothing.
    """
    # every key that is there, not every key that is known: what is misspelt must not pass either
    for key, value in fields.items():
        if value is None:
            continue
        # what is not known may change vectors, so that it is not passed over
        if key not in honoured:
            known = f"known are {', '.join(honoured)}.{nearest(key, tuple(honoured))}"
            raise ModelError(
                f"{fields.path}: states {fields.where}{key}, which is not honoured here; {known}"
            )
        allowed = honoured[key]
        if isinstance(allowed, Mapping):
            refuse_unhonoured(fields.object(key), allowed)
        elif allowed is not ANY and value not in allowed:
            wanted = " or ".join(json.dumps(known) for known in allowed)
            raise ModelError(str(fields.error(key, wanted)))
