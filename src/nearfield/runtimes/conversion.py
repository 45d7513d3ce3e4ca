"""A model in a runtime's own form, made once and kept with what proves it.

It lies in a hidden folder beside the model, or in the cache where that cannot be written to. Its
name holds what it was made of: the hash of the model, the settings, and the versions of what made
it. Each file's hash is kept beside it and checked when it is opened, so that a file that was
damaged is made again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfield.errors import InputError
from nearfield.formats.model_folder import ModelFolder
from nearfield.runtimes.proof import Measured
from nearfield.store.atomic import staged_folder, storage, write_json
from nearfield.store.fields import read_json
from nearfield.store.home import home
from nearfield.store.inside import inside
from nearfield.store.regular import open_regular

log = logging.getLogger(__name__)
FORMAT = 3  # of what is made here of the same model: raised when that changes
BESIDE, FACTS = ".nearfield", "conversion.json"


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
    neither place can be written to.
    """
    from filelock import FileLock

    versions = {package: importlib.metadata.version(package) for package in packages}
    made_of = {
        "format": FORMAT,
        "files": _files(folder.transformer),
        "settings": dict(settings),
        "versions": versions,
    }
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
    name = f"{settings['runtime']}-{settings['precision']}-{digest}"
    for place in _places(folder):
        if whole := _opened(place / name, made_of):
            return whole
    place = next(place for place in _places(folder) if _writable(place))
    with storage(place):
        place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / f".{name}.lock"):
        if whole := _opened(place / name, made_of):  # another process made it while this one waited
            return whole
        log.info(
            "%s: converting for %s in %s; this happens once",
            folder.contract.name,
            settings["runtime"],
            settings["precision"],
        )
        with staged_folder(place / name) as stage:
            make(stage)
            files = {
                str(file.relative_to(stage)): _sha256(file)
                for file in sorted(stage.rglob("*"))
                if file.is_file()
            }
            measured = measure(stage)
            noted = {"made": files, "measured": dataclasses.asdict(measured)}
            write_json(stage / FACTS, made_of | noted | {"digest": _digest(noted)})
        return Conversion(place / name, measured)


def _opened(path: Path, made_of: Mapping[str, Any]) -> Conversion | None:
    """The conversion at `path`, or None where there is none or where it is damaged."""
    if not (path / FACTS).is_file():
        return None
    try:
        facts = read_json(path / FACTS)
        damaged = [
            file
            for file, wanted in facts["made"].items()
            if _sha256(inside(path, file, path=path / FACTS)) != wanted
        ]
        noted = {name: facts[name] for name in ("made", "measured")}
        if (
            damaged
            or facts["digest"] != _digest(noted)
            or any(facts[key] != value for key, value in made_of.items())
        ):
            log.warning("%s: is damaged (%s) and is made again", path, ", ".join(damaged) or FACTS)
            return None
        return Conversion(path, Measured(**facts["measured"]))
    except (InputError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s: could not be read (%s) and is made again", path / FACTS, error)
        return None


def _places(folder: ModelFolder) -> tuple[Path, Path]:
    return folder.path / BESIDE, home() / "conversions"


def _writable(place: Path) -> bool:
    there = next(parent for parent in (place, *place.absolute().parents) if parent.exists())
    # what goes wrong in the cache is told when it is written
    return place.parent == home() or os.access(there, os.W_OK)


def _files(transformer: Path) -> dict[str, str]:
    """SHA-256 of the files that the transformer's states may depend on, its code and its
    tokeniser's too.
    """
    files = sorted(
        file
        for file in transformer.iterdir()
        if file.is_file() and not file.name.startswith(".") and file.suffix != ".md"
    )
    return {file.name: _sha256(file) for file in files}


def _digest(noted: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(noted, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    with open_regular(file) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
