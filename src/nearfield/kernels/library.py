"""The compiled kernels, loaded for the best level that this processor has."""

from __future__ import annotations

import ctypes
import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ModelError, NearfieldWarning
from nearfield.kernels.compile import LIBRARY, damaged, fingerprint, levels

# what a letter of a signature stands for
_TYPES: dict[str, Any] = {
    "v": None,
    "p": ctypes.c_void_p,
    "l": ctypes.c_int64,
    "i": ctypes.c_int,
    "f": ctypes.c_float,
}
# a function's name without its level: what it returns, then what it takes, in the order of the
# headers, which say what each is
SIGNATURES = {
    "lanes": "i",
    "pack": "v ppll",
    "pack_columns": "v ppl",
    "units": "l il",
    "product": "v pppllppli",
    "attend": "v ppllpplp",
    "attention_scratch": "l pl",
    "normalise_rows": "v plllppfplpp",
    "attention_back_scratch": "l pl",
    "attend_back": "v pplppllpppp",
    "normalise_back": "v plllpppp",
    "kept": "l pl",
    "forward_scratch": "l pll",
    "backward_scratch": "l pll",
    "forward": "v ppplppp",
    "backward": "v pppplpppppip",
    "scratch": "l pll",
    "encode": "l pppllpp",
    "scan": "l ppiippplpppl",
    "rescore": "v ppiipplppp",
    "scan_signs": "v plppppplppl",
    "scan_codes": "v pplppplppl",
    "search_postings": "v pppppppppllppl",
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


def _bound(library: ctypes.CDLL, symbol: str, signature: str) -> Any:
    """The function with its types, to be called."""
    function = getattr(library, symbol)
    returned, *taken = [_TYPES[letter] for letter in signature.replace(" ", "")]
    function.restype = returned
    function.argtypes = taken
    return function


# a virtual machine's host answers for the processor, in some 50 microseconds a question
@functools.cache
def runnable(path: Path = LIBRARY) -> tuple[str, ...]:
    """The levels in the library at `path` that this processor can run, best first; none where there
    is no library.
    """
    library = _opened(path)
    if library is None:
        return ()
    # a level that its compiler did not know is missing from the library
    return tuple(
        level
        for level in levels()
        if hasattr(library, f"nf_lanes_{level}") and library.nf_supports(level.encode())
    )


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
