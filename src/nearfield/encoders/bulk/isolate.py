"""Which of many texts a model cannot encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nearfield.encoders.encoder import Encoder
from nearfield.errors import ModelError
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role

HOPELESS = 16  # texts that fail one after the other, and none that does not: it is the model


@dataclass
class Isolated:
    """`vectors`: (n, dim) float32, rows of zeros where `faults` says why there is none; `counts`: (n, 3) int64, the tokens read,
    lost, and of the prompt, of each text. `unknown` tokens were left out of the texts that were encoded now."""

    vectors: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]
    faults: dict[int, str] = field(default_factory=dict)
    unknown: int = 0


def encode_each(encoder: Encoder, texts: Sequence[str], role: Role, *, progress: Progress = silent) -> Isolated:
    """The vectors of `texts`, and of each text that the model cannot encode (its vector would not be finite) why.

    All are encoded together; only where that fails are they halved until the texts that fail are alone. Raises ModelError where
    the first sixteen texts that are tried alone fail and no other has been encoded.
    """
    done = Isolated(np.zeros((len(texts), encoder.contract.dim), np.float32), np.zeros((len(texts), 3), np.int64))
    open_parts = [(0, len(texts))] if texts else []
    encoded = 0
    while open_parts:
        start, end = open_parts.pop()
        try:
            made = encoder.encode(texts[start:end], role, progress=progress if end - start == len(texts) else silent)
        except ModelError as error:
            if end - start > 1:
                middle = (start + end) // 2
                open_parts += [(middle, end), (start, middle)]
                continue
            done.faults[start] = str(error)
            if len(done.faults) == HOPELESS and not encoded:
                raise
            continue
        encoded += end - start
        done.unknown += made.usage.unknown_tokens
        done.vectors[start:end] = made.floats()
        if made.counts is not None and len(made):
            done.counts[start:end, :2] = made.counts
            done.counts[start:end, 2] = made.usage.prompt_tokens // len(made)
    return done
