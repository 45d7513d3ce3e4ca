"""How a Python of one's own is started: never so that it imports from the working folder."""

from __future__ import annotations

import os
import sys


def python_command(*arguments: str) -> list[str]:
    """The words that run this Python with `arguments`; `-P` keeps the working folder off its path,
    which `-m` and `-c` put there first.
    """
    return [sys.executable, "-P", *arguments]


def python_environment() -> dict[str, str]:
    """The environment for `python_command`: this process's, made safe for what the child starts in
    its turn.

    What PYTHONPATH names counts, but for its empty parts, which mean the working folder.
    """
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    named = environment.pop("PYTHONPATH", "").split(os.pathsep)
    kept = os.pathsep.join(filter(None, named))
    if kept:
        environment["PYTHONPATH"] = kept
    return environment
