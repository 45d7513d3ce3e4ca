"""Markdown by its headings: a section goes from one to the next."""

from __future__ import annotations

import re

from nearfield.data.chunk.plain import RECURSIVE
from nearfield.data.chunk.splitter import Section, Splitter, lines

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def _sections(text: str) -> list[Section]:
    """A heading belongs to the section under it. One with nothing but a deeper heading under it is
    in that one's section.
    """
    sections: list[Section] = []
    path: list[tuple[int, str]] = []  # level and title of the headings over a line
    start = body = 0  # of the section, and of its text below the last heading
    fence = ""  # what opened the code block that a line is in
    for at, line in lines(text):
        marker = _FENCE.match(line)
        if marker and not fence:
            fence = marker[1]
        elif marker and marker[1].startswith(fence) and not line[marker.end() :].strip():
            # as long as the one that opened it at least, with nothing behind (CommonMark 4.5)
            fence = ""
        if fence:
            continue
        found = _HEADING.match(line)
        if found is None:
            continue
        level = len(found[1])
        deeper = bool(path) and level > path[-1][0]
        if text[body:at].strip() or (path and not deeper):
            sections.append(Section(start, at, tuple(title for _, title in path)))
            start = at
        path = [over for over in path if over[0] < level]
        path.append((level, line[found.end() :].strip().rstrip("#").strip()))
        body = at + len(line)
    sections.append(Section(start, len(text), tuple(title for _, title in path)))
    return sections


HEADINGS = Splitter(RECURSIVE.levels, _sections)
