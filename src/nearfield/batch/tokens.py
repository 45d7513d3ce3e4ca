"""Texts to token ids, with a count of what did not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer, normalizers

from nearfield.errors import ModelError


@dataclass(frozen=True)
class Tokens:
    """n token sequences, end to end.

    `ids`: (sum of lengths,) int32; sequence i is `ids[offsets[i]:offsets[i + 1]]`. `lost`: (n,) int64, the tokens of each text
    that did not fit. `prompt_tokens`: how many tokens at the start of each sequence belong to the prompt, special tokens
    before it included (0 without a prompt).
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    lost: npt.NDArray[np.int64]
    prompt_tokens: int

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n,) int64, tokens a sequence."""
        return np.diff(self.offsets)

    def of(self, item: int) -> npt.NDArray[np.int32]:
        """The token ids of one sequence."""
        return self.ids[self.offsets[item] : self.offsets[item + 1]]


class Tokeniser:
    """A model's tokeniser, from its tokenizer.json: no padding, and truncation that is counted.

    Truncation keeps the special tokens at both ends and drops tokens from the end of the text, as transformers does.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, lower_case: bool = False) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if lower_case:
            own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
            tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens

    @classmethod
    def open(cls, folder: Path, *, max_tokens: int, lower_case: bool = False) -> Tokeniser:
        """The tokeniser in a model folder. Raises ModelError where the folder holds none that can be read."""
        file = folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(file)) if file.exists() else _slow(folder)
        except Exception as error:
            raise ModelError(f"{folder}: the tokeniser could not be read: {error}") from error
        return cls(tokenizer, max_tokens=max_tokens, lower_case=lower_case)

    def tokenise(self, texts: Sequence[str], prompt: str = "", *, max_tokens: int | None = None) -> Tokens:
        """Token ids of `prompt + text` for each text, at most `max_tokens` (the model's limit by default) each."""
        limit = min(max_tokens or self.max_tokens, self.max_tokens)
        encodings = self._tokenizer.encode_batch_fast([prompt + text for text in texts])
        rows, lost = [], np.zeros(len(encodings), np.int64)
        for item, encoding in enumerate(encodings):
            ids = encoding.ids
            if len(ids) > limit:
                lost[item] = len(ids) - limit
                tail = _specials_at_end(encoding)
                ids = ids[: limit - tail] + ids[len(ids) - tail :]
            rows.append(ids)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        flat = np.fromiter((token for row in rows for token in row), np.int32, count=int(offsets[-1]))
        return Tokens(flat, offsets, lost, self._prompt_tokens(prompt))

    def count(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n,) int64, tokens of each text, special ones included, before any truncation."""
        return np.array([len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))], np.int64)

    def _prompt_tokens(self, prompt: str) -> int:
        if not prompt:
            return 0
        alone = self._tokenizer.encode(prompt)
        return len(alone.ids) - _specials_at_end(alone)


def _specials_at_end(encoding: Encoding) -> int:
    mask = encoding.special_tokens_mask
    return next((at for at, special in enumerate(reversed(mask)) if not special), 0 if not any(mask) else len(mask) - 1)


def _slow(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
