"""Which of many texts a model cannot encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nearfield.encoders.encoder import Encoder
from nearfield.errors import ModelError
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Integers
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role

HOPELESS = 16  # texts that fail one after the other, and none that does not: it is the model


@dataclass
class Isolated:
    """`made`: the embeddings of the texts that could be encoded, in their order; `faults` says of
    each other why not.

    `counts`: (n, 3) int64, the tokens read, lost, and of the prompt, of each text. `unknown` tokens
    were left out.
    """

    made: Embeddings
    counts: Integers
    faults: dict[int, str] = field(default_factory=dict)
    unknown: int = 0


def encode_each(
    encoder: Encoder[Any],
    texts: Sequence[str],
    role: Role,
    *,
    empty: Embeddings,
    progress: Progress,
) -> Isolated:
    """The embeddings of `texts`, and of each text that the model cannot encode (its vector would
    not be finite) why.

    All are encoded together; only where that fails are they halved until the texts that fail are
    alone. `empty` is the embeddings of no text. Raises ModelError where the first sixteen texts
    that are tried alone fail and no other has been encoded.
    """
    done = Isolated(empty, np.zeros((len(texts), 3), np.int64))
    todo = [(0, len(texts))] if texts else []
    parts: list[Embeddings] = []
    while todo:
        start, end = todo.pop()
        # a second try of some of the texts would count them again
        told = progress if end - start == len(texts) else silent
        try:
            made = encoder.encode(texts[start:end], role, progress=told)
        except ModelError as error:
            if end - start > 1:
                # the first half is taken next, so that `parts` stay in the texts' order
                middle = (start + end) // 2
                todo += [(middle, end), (start, middle)]
                continue
            done.faults[start] = str(error)
            if len(done.faults) == HOPELESS and not parts:
                raise
            continue
        parts.append(made)
        done.unknown += made.usage.unknown_tokens
        if made.counts is not None and len(made):
            done.counts[start:end, :2] = made.counts
            done.counts[start:end, 2] = made.usage.prompt_tokens // len(made)
    if len(parts) == 1:
        done.made = parts[0]
    else:
        done.made = type(empty).join([empty, *parts])
    return done
