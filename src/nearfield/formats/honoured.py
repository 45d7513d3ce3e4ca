"""Whether everything that a file of a model folder states is honoured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nearfield.errors import ModelError, nearest
from nearfield.store.fields import Fields

ANY = None
"""In place of the values of a key: every value is honoured, or changes no vector."""


_POOLED = (
    "cls_token",
    "lasttoken",
    "max_tokens",
    "mean_sqrt_len_tokens",
    "mean_tokens",
    "weightedmean_tokens",
)
_SIZES = ("embedding_dimension", "word_embedding_dimension")
POOLING = dict.fromkeys(
    ("include_prompt", "pooling_mode", *(f"pooling_mode_{name}" for name in _POOLED), *_SIZES), ANY
)
SPLADE_POOLING = dict.fromkeys(
    ("activation_function", "chunk_size", "pooling_strategy", *_SIZES), ANY
)
NORMALIZE = dict.fromkeys(("module_input_name", "module_output_name"), ("sentence_embedding",))
TOKEN_MASK = dict.fromkeys(("keep_only_token_ids", "skiplist_tasks", "skiplist_words"), ANY)
LOGIT_SCORE = {"true_token_id": ANY, "false_token_id": ANY, "module_input_name": ("causal_logits",)}
"""What the config.json of each module of sentence-transformers may state."""


def refuse_unhonoured(fields: Fields, honoured: Mapping[str, Sequence[Any] | None]) -> None:
    """Raise ModelError, naming file and key, for a key that is not in `honoured` or has none of the
    values there.

    A key that is null states nothing.
    """
    for key, value in fields.items():
        if value is None or (
            key in honoured and (honoured[key] is ANY or value in (honoured[key] or ()))
        ):
            continue
        if key in honoured:
            wanted = " or ".join(json.dumps(known) for known in honoured[key] or ())
            raise ModelError(str(fields.error(key, wanted)))
        known = f"known are {', '.join(honoured)}.{nearest(key, tuple(honoured))}"
        raise ModelError(
            f"{fields.path}: states {fields.where}{key}, which is not honoured here; {known}"
        )
