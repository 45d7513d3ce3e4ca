"""Where a long text may be cut into chunks: one splitter for each kind of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.data.chunk.splitter import Splitter

SPLITTERS: Registry[Splitter] = Registry(
    "splitter",
    {
        "recursive": "nearfield.data.chunk.plain:RECURSIVE",
        "sentences": "nearfield.data.chunk.plain:SENTENCES",
        "tokens": "nearfield.data.chunk.plain:TOKENS",
        "headings": "nearfield.data.chunk.headings:HEADINGS",
        "code": "nearfield.data.chunk.code:CODE",
    },
)
