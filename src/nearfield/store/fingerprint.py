"""Which model it is, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from nearfield.store.regular import open_regular

log = logging.getLogger(__name__)
# What hidden files of other purposes begin with: conversions, version control, downloads, file
# managers.
_OTHERS = (
    ".nearfield",
    ".git",
    ".cache",
    ".huggingface",
    ".ipynb_checkpoints",
    ".DS_Store",
    ".checksums",
)
CERTIFICATE = "certificate.safetensors"
"""The file beside a model by which others are compared with it; it is no part of the model."""
_BESIDE = ("README.md", CERTIFICATE)
_UNFINISHED = re.compile(r"^\..+(\.lock|\.(partial|old)-[^.]+)$")  # as store/atomic.py names them


def model_hash(folder: Path) -> str:
    """SHA-256, in hex, over the names and contents of a model folder's files, but for README.md, a
    certificate, and hidden ones of other purposes.

    Links are followed, to folders too: what they point to is what is opened.
    """
    digests: dict[Path, str] = {}
    for file in _files(folder):
        with open_regular(file) as opened:
            digest = hashlib.file_digest(opened, "sha256")
        digests[file.relative_to(folder)] = digest.hexdigest()
    return files_hash(digests)


class OpenedFiles:
    """The files of a model folder as they are now, before they are read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp = files_stamp(folder)

    @cached_property
    def hash(self) -> str | None:
        """Their `model_hash`, when it is first asked for; None where they were written to in the
        meantime, which the log says.
        """
        found = model_hash(self.folder)
        if files_stamp(self.folder) == self._stamp:
            return found
        log.warning("%s: was written to since it was opened; its vectors are not kept", self.folder)
        return None


def files_stamp(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """What the system says of the files that `model_hash` reads: other after any of them is
    written, whatever time it is given.
    """
    stamps = {}
    for file in _files(folder):
        about = file.stat()
        # the time of change and not of writing, which any program may set back
        stamps[file.relative_to(folder)] = (about.st_ino, about.st_size, about.st_ctime_ns)
    return stamps


def _files(folder: Path) -> Iterator[Path]:
    """The files in `folder` and below that count."""
    for path in _walked(folder, frozenset()):
        if _counts(path.relative_to(folder)):
            yield path


def _walked(folder: Path, within: frozenset[Path]) -> Iterator[Path]:
    """The files in `folder` and below; a link back to a folder `within` which it lies is not
    followed.
    """
    real = folder.resolve()
    if real in within:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _walked(path, within | {real})
        elif path.is_file():
            yield path


def files_hash(digests: Mapping[Path, str]) -> str:
    """The `model_hash` of a folder that holds these files, each with its SHA-256 in hex."""
    total = hashlib.sha256()
    for name in sorted(filter(_counts, digests)):
        total.update(str(name).encode() + bytes.fromhex(digests[name]))
    return total.hexdigest()


def _counts(name: Path) -> bool:
    return name.name not in _BESIDE and not any(
        part.startswith(_OTHERS) or _UNFINISHED.match(part) for part in name.parts
    )
