"""Splitters of running text, which take it as one section."""

from __future__ import annotations

import re

from nearfield.data.chunk.splitter import Splitter

_PARAGRAPH = re.compile(r"\n\s*\n")
_LINE = re.compile(r"\n")
# a lower-case letter goes on with the sentence, as after "e.g."
SENTENCE = re.compile(r"[.!?…][\"'”’»)\]]*\s+(?![a-z\s])|[。！？]+|\n\s*\n")
_BLANK = re.compile(r"\s+")

TOKENS = Splitter()
SENTENCES = Splitter((SENTENCE, _BLANK))
RECURSIVE = Splitter((_PARAGRAPH, _LINE, SENTENCE, _BLANK))
