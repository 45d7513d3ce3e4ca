"""tokenizer.json, read whole and only from a regular file."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from nearfield.store.foreign import foreign
from nearfield.store.regular import read_bytes


def tokenizer_of(file: Path) -> Tokenizer:
    """The tokeniser in `file`. Raises ModelError where it is damaged, InputError where it is no
    regular file.
    """
    content = read_bytes(file)
    with foreign(file, "the tokeniser could not be read"):
        return Tokenizer.from_buffer(content)
