"""Where data comes from: one file for each kind of source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nearfield.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from nearfield.data.collection import Collection
    from nearfield.data.sources.source import Kind

# The first kind that recognises what is given opens it.
SOURCES: Final[Registry[Kind]] = Registry(
    "data source",
    {
        "whole": "nearfield.data.sources.stored:WHOLE",
        "beir": "nearfield.data.sources.beir:BEIR",
        "row files": "nearfield.data.sources.row_files:ROW_FILES",
        "images": "nearfield.data.sources.image_folder:IMAGES",
        "texts": "nearfield.data.sources.texts:TEXTS",
        "linked": "nearfield.data.sources.linked:LINKED",
        "lines": "nearfield.data.sources.text_lines:LINES",
        "memory": "nearfield.data.sources.memory:MEMORY",
    },
)
EMBEDDED: Final[Registry[Callable[[], Collection]]] = Registry(
    "embedded collection",
    {
        "stdlib": "nearfield.data.sources.stdlib:open_stdlib",
        "stdlib-short": "nearfield.data.sources.stdlib:open_stdlib_short",
        "pydoc-topics": "nearfield.data.sources.pydoc_topics:open_pydoc_topics",
    },
)
"""Collections that need no file; a folder of the same name is opened as ./NAME."""
