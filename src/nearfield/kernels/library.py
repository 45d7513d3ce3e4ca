"""The compiled kernels, loaded for the best level that this processor has."""

from __future__ import annotations

import ctypes
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ModelError, NearfieldWarning
from nearfield.kernels.compile import LIBRARY, damaged, fingerprint, levels

_POINTER = ctypes.c_void_p
_INTEGER = ctypes.c_int64
_FLOAT = ctypes.c_float
SIGNATURES: dict[str, tuple[Any, ...]] = {
    # a function's name without level: what it returns, then what it takes; the headers say what
    # each is
    "lanes": (ctypes.c_int,),
    "pack": (None, _POINTER, _POINTER, _INTEGER, _INTEGER),
    "pack_columns": (None, _POINTER, _POINTER, _INTEGER),
    "units": (_INTEGER, ctypes.c_int, _INTEGER),
    "product": (
        None,
        _POINTER,
        _POINTER,
        _POINTER,
        _INTEGER,
        _INTEGER,
        _POINTER,
        _POINTER,
        _INTEGER,
        ctypes.c_int,
    ),
    "attend": (
        None,
        _POINTER,
        _POINTER,
        _INTEGER,
        _INTEGER,
        _POINTER,
        _POINTER,
        _INTEGER,
        _POINTER,
    ),
    "attention_scratch": (_INTEGER, _POINTER, _INTEGER),
    "normalise_rows": (
        None,
        _POINTER,
        _INTEGER,
        _INTEGER,
        _INTEGER,
        _POINTER,
        _POINTER,
        _FLOAT,
        _POINTER,
        _INTEGER,
        _POINTER,
        _POINTER,
    ),
    "attention_back_scratch": (_INTEGER, _POINTER, _INTEGER),
    "attend_back": (
        None,
        _POINTER,
        _POINTER,
        _INTEGER,
        _POINTER,
        _POINTER,
        _INTEGER,
        _INTEGER,
        *[_POINTER] * 4,
    ),
    "normalise_back": (None, _POINTER, _INTEGER, _INTEGER, _INTEGER, *[_POINTER] * 4),
    "kept": (_INTEGER, _POINTER, _INTEGER),
    "forward_scratch": (_INTEGER, _POINTER, _INTEGER, _INTEGER),
    "backward_scratch": (_INTEGER, _POINTER, _INTEGER, _INTEGER),
    "forward": (None, _POINTER, _POINTER, _POINTER, _INTEGER, _POINTER, _POINTER, _POINTER),
    "backward": (None, *[_POINTER] * 4, _INTEGER, *[_POINTER] * 5, ctypes.c_int, _POINTER),
    "scratch": (_INTEGER, _POINTER, _INTEGER, _INTEGER),
    "encode": (_INTEGER, _POINTER, _POINTER, _POINTER, _INTEGER, _INTEGER, _POINTER, _POINTER),
    "scan": (
        _INTEGER,
        _POINTER,
        _POINTER,
        ctypes.c_int,
        ctypes.c_int,
        *[_POINTER] * 3,
        _INTEGER,
        *[_POINTER] * 3,
        _INTEGER,
    ),
    "rescore": (
        None,
        _POINTER,
        _POINTER,
        ctypes.c_int,
        ctypes.c_int,
        _POINTER,
        _POINTER,
        _INTEGER,
        *[_POINTER] * 3,
    ),
    "scan_signs": (
        None,
        _POINTER,
        _INTEGER,
        *[_POINTER] * 5,
        _INTEGER,
        _POINTER,
        _POINTER,
        _INTEGER,
    ),
    "scan_codes": (
        None,
        _POINTER,
        _POINTER,
        _INTEGER,
        *[_POINTER] * 3,
        _INTEGER,
        _POINTER,
        _POINTER,
        _INTEGER,
    ),
    "search_postings": (None, *[_POINTER] * 9, _INTEGER, _INTEGER, _POINTER, _POINTER, _INTEGER),
}


class Kernels:
    """The functions of one level of a compiled library; calls release the interpreter's lock.

    `level` is its name, `lanes` the float32 of a register, `panel` the columns that a panelled
    matrix keeps side by side.
    """

    def __init__(self, library: ctypes.CDLL, level: str) -> None:
        self.level = level
        self._functions = {
            name: _bound(library, f"nf_{name}_{level}", signature)
            for name, signature in SIGNATURES.items()
        }
        self.lanes = int(self.call("lanes"))
        self.panel = 2 * self.lanes

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of SIGNATURES. An array is passed by its address and must be contiguous;
        it is written where the C says so.
        """
        given = list(arguments)
        for at, value in enumerate(arguments):
            if isinstance(value, np.ndarray):
                given[at] = int(value.ctypes.data)
        return self._functions[name](*given)

    def padded(self, count: int) -> int:
        """`count`, rounded up to whole panels."""
        return -(-count // self.panel) * self.panel


def _bound(library: ctypes.CDLL, symbol: str, signature: tuple[Any, ...]) -> Callable[..., Any]:
    function = getattr(library, symbol)
    function.restype, *function.argtypes = signature
    bound: Callable[..., Any] = function
    return bound


def runnable(path: Path = LIBRARY) -> tuple[str, ...]:
    """The levels in the library at `path` that this processor can run, best first; none where there
    is no library.
    """
    library = _opened(path)
    if library is None:
        return ()
    # a level that its compiler did not know is missing from the library
    held = [level for level in levels() if hasattr(library, f"nf_lanes_{level}")]
    return tuple(level for level in held if library.nf_supports(level.encode()))


@functools.cache
def kernels(level: str | None = None, *, path: Path = LIBRARY) -> Kernels:
    """The kernels of `level`, by default the best that this processor can run.

    Raises ModelError where the library was not compiled or the processor lacks the level.
    """
    possible = runnable(path)
    library = _opened(path)
    if library is None or not possible:
        raise ModelError(
            "nearfield's kernels are not compiled here: there was no working C compiler at the "
            "installation, or their sources have "
            "changed since; run python -m nearfield.kernels.compile"
        )
    if level is not None and level not in possible:
        raise ModelError(
            f"this processor cannot run the kernels of level {level!r}; it runs "
            f"{', '.join(possible)}"
        )
    return Kernels(library, level or possible[0])


@functools.cache
def _opened(path: Path) -> ctypes.CDLL | None:
    """The library, where it is there and was compiled from the sources beside it: functions of
    others would take other arguments.
    """
    try:
        if damaged(path):  # before it is loaded, which runs some of it
            advice = "compile it again: python -m nearfield.kernels.compile"
            warnings.warn(
                f"{path}: is damaged, and torch and numpy do its work; {advice}",
                NearfieldWarning,
                stacklevel=2,
            )
            return None
        library = ctypes.CDLL(str(path))
        library.nf_sources.restype = ctypes.c_uint32
        if library.nf_sources() == fingerprint():
            return library
        return None
    except (OSError, AttributeError):
        return None
