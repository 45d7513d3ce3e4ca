"""Figures in a document's text, as Markdown has them: `![caption](data:image/png;base64,...)`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from nearfield.types.item import URL

COLUMN: Final = "figures"
"""The column of a document's figures in a table."""
LONGEST: Final = 5_000  # characters of a caption
_MARK = f"]({URL}"
# a bracket in a caption is escaped, so that none is looked through twice
_FIGURE = re.compile(rf"!\[((?:[^\[\]\\]|\\.){{0,{LONGEST}}})\]\(({URL}[^)\s]*)\)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Figure(NamedTuple):
    """An image by its data URL, and what is written below it, "" for nothing."""

    url: str
    caption: str


def with_figures(text: str, figures: Iterable[Figure]) -> str:
    """The text of a document with figures behind it."""
    written = [text] if text else []
    for figure in figures:
        # so that `_FIGURE` finds the end of the caption, whatever brackets it holds
        caption = re.sub(r"([\\\[\]])", r"\\\1", figure.caption)
        written.append(f"![{caption}]({figure.url})")
    return "\n\n".join(written)


def has_figures(text: str) -> bool:
    """Whether there are figures in a document's text."""
    return _MARK in text and _FIGURE.search(text) is not None


def figures_in(text: str) -> tuple[str, list[Figure]]:
    """A document's text without its figures, and these."""
    if _MARK not in text:  # most texts have none: a search of the substring is much quicker
        return text, []
    found = [Figure(url, _plain(caption)) for caption, url in _FIGURE.findall(text)]
    return _FIGURE.sub("", text).strip(), found


def worded(text: str) -> str:
    """A document as it is read where no image is: its figures are their captions."""
    if _MARK not in text:
        return text
    return _FIGURE.sub(lambda found: _plain(found[1]), text).strip()


def _plain(caption: str) -> str:
    return _ESCAPED.sub(r"\1", caption)
