"""What a text is to the model: its prompt and its adapter depend on it."""

from __future__ import annotations

from typing import Final

Role = str
"""`query`, `document`, or a task name that the model's contract lists (`classification`,
`clustering`, ...).
"""

QUERY: Final[Role] = "query"
DOCUMENT: Final[Role] = "document"
IMAGE: Final[Role] = "image"
"""Of models of images and text: strings are paths or data URLs, and no text."""
