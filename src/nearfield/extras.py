"""Optional dependencies: imported where they are needed, with the pip line when they are absent."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from nearfield.errors import MissingExtra


def require(module: str, *, extra: str) -> ModuleType:
    """The imported `module`, which the extra named `extra` brings.

    Raises MissingExtra with the pip line that fixes it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(
            f"{module} is needed here and is not installed; get it with: pip "
            f"install 'nearfield[{extra}]'"
        ) from error


def installed(module: str) -> bool:
    """Whether `module` can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None
