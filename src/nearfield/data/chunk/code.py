"""Source code by its definitions: Python's by indentation, and those of languages with braces.

Lines are looked at, nothing is parsed, so that code that does not compile is cut as well.
"""

from __future__ import annotations

import re

from nearfield.data.chunk.splitter import Section, Splitter, lines

_DEFINITIONS = (
    re.compile(
        r"(?:(?:export|default|async|public|private|protected|internal|static|abstract|final|pub|"
        r"pub\(\w+\)|unsafe|const)[ \t]+){0,5}(?:def|class|function|func|fn|struct|interface|enum|"
        r"impl|trait|namespace|record|object)[ \t]*\*?[ \t]+(?:\([^)]*\)[ \t]*)?([\w.]+)"
        r"(?=[^;]*\{[ \t]*$|[ \t]*[(<\[{:]|[ \t]*$)"
    ),
    # a function or method of C, C++, C# or Java
    re.compile(
        r"(?!(?:if|for|while|switch|catch|else|return|do|try|new|throw|await)\b)"
        r"(?:[\w.<>\[\]*&:~,]+[ \t]+[*&]*){1,6}([\w:~]+)[ \t]*\([^;{}]*\)[^;{}()]*\{[ \t]*$"
    ),
)
_BEFORE = re.compile(r"[ \t]*(?:@|#(?!include|define|if|endif)|//|/\*|\*)")
"""A decorator, attribute or comment, which belongs to the definition under it."""
_LONGEST = 500  # characters of a line that defines something; minified code has none
_CLOSING = re.compile(r"[)\]}>;,{]|else\b|end\b")  # goes on with what is over it


def _sections(text: str) -> list[Section]:
    sections: list[Section] = []
    path: list[tuple[int, str]] = []  # indent and name of the definitions that a line is in
    start = 0
    pending: int | None = None  # where the comments and decorators over a line begin
    for at, line in lines(text):
        stripped = line.strip()
        if not stripped:
            pending = None
            continue
        indent = _indent(line)
        name = _defined(stripped)
        outside = bool(path) and indent <= path[-1][0] and not _CLOSING.match(stripped)
        if name is None and _BEFORE.match(line):
            if pending is None:
                pending = at
            continue
        if name is not None or outside:
            begins = at
            if pending is not None:
                begins = max(pending, start)
            if begins > start:
                sections.append(Section(start, begins, _names(path)))
                start = begins
            path = [over for over in path if over[0] < indent]
            if name is not None:
                path.append((indent, name))
        pending = None
    sections.append(Section(start, len(text), _names(path)))
    return sections


def _names(path: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(name for _, name in path)


def _indent(line: str) -> int:
    wide = line.expandtabs(4)
    return len(wide) - len(wide.lstrip())


def _defined(line: str) -> str | None:
    """The name that `line` defines; None where it defines nothing."""
    if len(line) > _LONGEST:
        return None
    for pattern in _DEFINITIONS:
        found = pattern.match(line)
        if found:
            return str(found[1])
    return None


CODE = Splitter((re.compile(r"\n\s*\n"), re.compile(r"\n")), _sections)
