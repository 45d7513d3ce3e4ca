"""Pairs of texts as a decoder that ranks reads them: put into its chat template, whose end it
always sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.batch.sequences import laid_out
from nearfield.batch.tokens import Tokeniser, Tokens
from nearfield.errors import ModelError
from nearfield.formats.transformer_settings import settings_of
from nearfield.store.fields import read_optional
from nearfield.store.foreign import foreign

_ASKED = ("query", "document")  # the roles of a pair's two texts
# by which sentence-transformers knows a template of parts
_IN_PARTS = ("content[0]", ".type", "'type'", '"type"', "message.content[")


class ChatPairs:
    """The chat template of a model folder, with `prompt` as what its system says.

    A pair that is longer than the model reads is cut, and what the template puts behind the texts
    is put back over the last tokens, as sentence-transformers does: there the score is read.
    """

    def __init__(self, folder: Path, tokeniser: Tokeniser, *, prompt: str = "") -> None:
        from transformers import AutoTokenizer

        self._folder = folder
        self._tokeniser = tokeniser
        self._prompt = prompt
        with foreign(folder, "the chat template could not be read"):
            self._template: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        self._parts = any(sign in str(self._template.chat_template) for sign in _IN_PARTS)
        # sentence-transformers hands these to apply_chat_template, all but restore_suffix
        settings = settings_of(folder).object("processing_kwargs", None)
        self._options: dict[str, Any] = {}
        if settings is not None:
            self._options |= settings.object("chat_template", {})
        if self._options.pop("restore_suffix", True) is not True:
            raise ModelError(
                f"{folder}: its chat template's end is cut off with what is too long "
                "(restore_suffix); wanted one that is kept"
            )
        short = self._ids("0", "0")
        # a template that has no place for a text gives the same tokens for any
        if short in (self._ids("1 2 3 4", "0"), self._ids("0", "1 2 3 4")):
            raise ModelError(
                f"{folder}: its chat template leaves out the role query or document; "
                "it is none of a cross-encoder's"
            )
        self._end = _common_end(short, self._ids("1 2 3 4", "1 2 3 4"))

    def tokenise(
        self, pairs: Sequence[tuple[str, str]], *, max_tokens: int | None = None
    ) -> Tokens:
        """Token ids of the pairs in the template, at most `max_tokens` (the model's by default)
        each.
        """
        whole = self._tokeniser.bare(self._rendered(pairs))
        limit = min(max_tokens or self._tokeniser.max_tokens, self._tokeniser.max_tokens)
        kept = np.minimum(whole.lengths, limit)
        starts = whole.offsets[1:] - kept if self._tokeniser.cuts_start else whole.offsets[:-1]
        source, offsets = laid_out(starts, kept)
        ids = whole.ids[source]
        end = self._end[-limit:]
        # A pair that is cut at its start, or just fits, has these tokens there already.
        for stop in offsets[1:][whole.lengths >= limit].tolist():
            ids[stop - len(end) : stop] = end
        return Tokens(ids, offsets, whole.lengths - kept, 0)

    def _ids(self, query: str, document: str) -> list[int]:
        tokens = self._tokeniser.bare(self._rendered([(query, document)]))
        ids: list[int] = tokens.ids.tolist()
        return ids

    def _rendered(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        if not pairs:
            return []
        chats = []
        for pair in pairs:
            asked = [self._says(role, text) for role, text in zip(_ASKED, pair, strict=True)]
            chats.append(self._system() + asked)
        with foreign(self._folder, "the chat template could not be filled in"):
            texts: list[str] = self._template.apply_chat_template(
                chats, tokenize=False, **self._options
            )
        return texts

    def _system(self) -> list[dict[str, Any]]:
        if self._prompt:
            return [self._says("system", self._prompt)]
        return []

    def _says(self, role: str, text: str) -> dict[str, Any]:
        if self._parts:
            return {"role": role, "content": [{"type": "text", "text": text}]}
        return {"role": role, "content": text}


def has_chat_template(folder: Path) -> bool:
    """Whether the folder's tokeniser comes with a template that its text goes into."""
    stated = settings_of(folder).get("modality_config")
    found = (folder / "chat_template.jinja").exists() or bool(
        read_optional(folder / "tokenizer_config.json").get("chat_template")
    )
    return found and (stated is None or "message" in stated)


def _common_end(one: list[int], other: list[int]) -> list[int]:
    """The tokens that both end with; none where one is the whole of the other's end."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    for count, (a, b) in enumerate(pairs):
        if a != b:
            return one[len(one) - count :]
    return []
