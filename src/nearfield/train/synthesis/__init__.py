"""Queries made for documents that nobody has asked for: who writes them, and which are kept."""

from __future__ import annotations

from nearfield.registry import Registry
from nearfield.train.synthesis.writer import Writer

WRITERS: Registry[type[Writer]] = Registry(
    "query writer",
    {
        "templates": "nearfield.train.synthesis.templates:Templates",
        "chat": "nearfield.train.synthesis.chat:Chat",
        "local": "nearfield.train.synthesis.local:Local",
    },
)
"""In the order in which they are asked whether a name is theirs."""
