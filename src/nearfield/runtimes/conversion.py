"""A model in a runtime's own form, made once and kept in the cache with what proves it.

Its folder's name holds what it was made of: the hash of the model, the settings, and the versions
of what made it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfield.formats.model_folder import ModelFolder
from nearfield.runtimes.proof import Measured
from nearfield.store.atomic import storage, write_json
from nearfield.store.fields import read_json
from nearfield.store.home import home
from nearfield.store.kept import kept_folder
from nearfield.store.regular import open_regular

log = logging.getLogger(__name__)
FORMAT = 4  # of what is made here of the same model: raised when that changes
FOLDER = "conversions"
FACTS = "conversion.json"


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The folder of a converted model, and how faithful it was measured to be."""

    path: Path
    measured: Measured


def converted(
    folder: ModelFolder,
    settings: Mapping[str, Any],
    *,
    packages: Sequence[str],
    make: Callable[[Path], None],
    measure: Callable[[Path], Measured],
) -> Conversion:
    """The conversion of `folder` under `settings` (of which `runtime` and `precision` name it),
    made when there is none that is whole.

    `make` writes its files into a folder, `measure` says how faithful they are; the folder appears
    only when both are done. `packages` are those whose versions matter. Raises StorageError where
    the cache cannot be written to.
    """
    from filelock import FileLock

    facts = {
        "format": FORMAT,
        "files": _files(folder.transformer),
        "settings": dict(settings),
        "versions": {package: importlib.metadata.version(package) for package in packages},
    }
    stated = json.dumps(facts, sort_keys=True).encode()
    digest = hashlib.sha256(stated).hexdigest()[:16]
    name = f"{settings['runtime']}-{settings['precision']}"
    path = home() / FOLDER / f"{name}-{digest}"

    def convert(stage: Path) -> None:
        log.info("%s: converting for %s; this happens once", folder.contract.name, name)
        make(stage)
        # before the folder is moved to its place: one that is there has been measured
        measured = dataclasses.asdict(measure(stage))
        write_json(stage / FACTS, facts | {"model": folder.contract.name, "measured": measured})

    # two processes are not to spend a minute each on one conversion, and one that is made already
    # is read from a cache that cannot be written to
    lock: Any = contextlib.nullcontext()
    if not path.is_dir():
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
    # whoever waited finds the folder made, and `kept_folder` looks whether it is whole
    with lock:
        kept_folder(path, convert)
    return Conversion(path, Measured(**read_json(path / FACTS)["measured"]))


def _files(transformer: Path) -> dict[str, str]:
    """SHA-256 of the files that the transformer's states may depend on, its code and its
    tokeniser's too.
    """
    digests = {}
    for file in sorted(transformer.iterdir()):
        if file.is_file() and not file.name.startswith(".") and file.suffix != ".md":
            with open_regular(file) as opened:
                digests[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return digests
