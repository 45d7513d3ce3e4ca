"""The first sentence of a text."""

from __future__ import annotations

import re

# A full stop ends a sentence when a blank and no small letter follow it, and it does not stand in
# an abbreviation.
_END = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bvs)(?<!\bcf)[.!?][\"')\]]*(?=\s+[^a-z\s]|\s*$)"
)


def first_sentence(text: str) -> str:
    """`text` up to the end of its first sentence, on one line; all of it where it has no end."""
    line = " ".join(text.split())
    end = _END.search(line)
    return line[: end.end()] if end else line
