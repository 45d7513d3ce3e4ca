"""What the cache holds: each model, collection, file of vectors and conversion in it, its size and
when it was last used.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield.errors import InputError, StorageError, nearest
from nearfield.store.atomic import storage
from nearfield.store.fields import read_json
from nearfield.store.home import home, models_folder
from nearfield.store.vector_cache import kept_vectors, remove_file


@dataclass(frozen=True)
class Cached:
    """One thing in the cache.

    `model` is the one that it is or was made with, "" where there is none; `about` says in words
    what it is. `size` is in bytes, `used` in seconds since 1970: of vectors when they were last
    used, of all else when it was made.
    """

    kind: str
    name: str
    model: str
    about: str
    path: Path
    size: int
    used: float

    def remove(self) -> None:
        """Remove it. A process that has it open keeps what it has until it ends. Raises
        StorageError where that fails.
        """
        with storage(self.path):
            if self.path.is_dir():
                shutil.rmtree(self.path)
            else:
                remove_file(self.path)


def cached(kinds: Sequence[str] = ()) -> list[Cached]:
    """What there is of these kinds (all of KINDS by default), the largest of each kind first.

    Raises InputError for an unknown kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(
                f"the cache holds no {kind!r}; wanted some of "
                f"{', '.join(KINDS)}.{nearest(kind, KINDS)}"
            )
    found = []
    for kind, find in KINDS.items():
        if kind in (kinds or KINDS):
            found += sorted(find(), key=lambda item: -item.size)
    return found


def _vectors() -> Iterator[Cached]:
    for kept in kept_vectors():
        try:
            facts = kept.facts()
        # a damaged file is shown as well, so that it can be removed
        except StorageError:
            facts = {}
        model = facts.get("model") or facts.get("files", "")[:12]
        about = _vectors_in_words(facts) if facts else "damaged"
        yield Cached("vectors", kept.path.stem, model, about, kept.path, kept.size, kept.used)


def _vectors_in_words(facts: Mapping[str, str]) -> str:
    prompt = f", prompt {facts['prompt']!r}" if facts.get("prompt") else ""
    ran = " ".join(facts[name] for name in ("runtime", "precision") if name in facts)
    kind = f"{facts['kind']} " if "kind" in facts else ""
    return (
        f"{kind}vectors of {int(facts['vectors']):,} texts, {facts.get('dim', '?')} "
        f"dimensions, {ran}{prompt}"
    )


def _collections() -> Iterator[Cached]:
    for folder in _folders(home() / "collections"):
        what = "a collection"
        manifest = folder / "collection.json"
        if not manifest.is_file() and (folder / "pairs.json").is_file():
            what = "pairs"
            manifest = folder / "pairs.json"
        yield _folder("collections", folder, "", f"{what}, converted: {_fact(manifest, 'name')}")


def _merged() -> Iterator[Cached]:
    for folder in _folders(home() / "merged"):
        yield _folder("merged", folder, folder.name.rpartition("-")[0], "an adapter with its base")


def _tensors() -> Iterator[Cached]:
    for folder in _folders(home() / "tensors"):
        yield _folder("tensors", folder, "", "tensors that torch saved, converted")


def _words() -> Iterator[Cached]:
    for folder in _folders(home() / "words"):
        name = _fact(folder / "nearfield.json", "contract", "name")
        yield _folder("words", folder, name, "word vectors, converted")


def _queries() -> Iterator[Cached]:
    for file in sorted((home() / "queries").glob("*.jsonl")):
        about = "queries that a model wrote"
        found = file.stat()
        yield Cached("queries", file.stem, "", about, file, found.st_size, found.st_mtime)


def _conversions() -> Iterator[Cached]:
    for folder in _folders(home() / "conversions"):
        model = _fact(folder / "conversion.json", "model")
        made_for = " ".join(folder.name.split("-")[:2])
        yield _folder("conversions", folder, model, f"for {made_for}")


def _models() -> Iterator[Cached]:
    for folder in _folders(models_folder()):
        yield _folder("models", folder, folder.name, "fetched; got again when it is wanted")


KINDS: dict[str, Callable[[], Iterator[Cached]]] = {
    "models": _models,
    "conversions": _conversions,
    "merged": _merged,
    "tensors": _tensors,
    "vectors": _vectors,
    "collections": _collections,
    "words": _words,
    "queries": _queries,
}
"""What the cache holds, and what finds it."""


def _folder(kind: str, folder: Path, model: str, about: str) -> Cached:
    files = [file.stat() for file in folder.rglob("*") if file.is_file()]
    size = sum(file.st_size for file in files)
    used = max((file.st_mtime for file in files), default=folder.stat().st_mtime)
    return Cached(kind, folder.name, model, about, folder, size, used)


def _folders(place: Path) -> list[Path]:
    """The finished folders in `place`: what is still being written has a leading dot."""
    return sorted(path for path in place.glob("[!.]*") if path.is_dir())


def _fact(file: Path, *names: str) -> str:
    """What the JSON file says under `names`, each within the one before; "unknown" where it says
    nothing of them, "damaged" where it cannot be read.
    """
    try:
        found: Any = read_json(file)
    except InputError:
        return "damaged"
    for name in names:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return str(found or "unknown")
