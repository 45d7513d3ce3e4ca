"""What another library raises for a file of a model folder that is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearfield.errors import ModelError, NearfieldError, first_line
from nearfield.store.regular import refuse_special


@contextmanager
def foreign(path: Path, what: str) -> Iterator[None]:
    """Around a call of another library alone: whatever it raises becomes a ModelError that names
    `path` and says `what`.

    Of a folder, each file is looked at first (see `refuse_special`). Errors of ours pass. A panic
    of a library in Rust is no Exception, so that all but the interpreter's own exits are caught.
    """
    if path.is_dir():
        refuse_special(path)
    try:
        yield
    except (NearfieldError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise ModelError(f"{path}: {what}: {first_line(error)}") from error
