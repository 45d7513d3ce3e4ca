"""The modules of a model folder, as sentence-transformers lists them in modules.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import InputError, ModelError
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_objects
from nearfield.store.inside import inside

FILE = "modules.json"
# Kinds of modules by their names in older folders.
_OLDER = {"MLMTransformer": "Transformer", "Asym": "Router"}


@dataclass(frozen=True)
class Module:
    """`type` is its class as the file names it, `folder` where its files lie: within the model's
    folder, or that itself.
    """

    type: str
    folder: Path

    @property
    def kind(self) -> str:
        """The last word of its type, as sentence-transformers calls it now."""
        name = self.type.rsplit(".", 1)[-1]
        return _OLDER.get(name, name)


def read_modules(path: Path) -> list[Module]:
    """The modules of the folder at `path` in their order; none where it has no modules.json.

    Raises InputError where that is no list of modules, names a folder outside, or leaves open what
    runs: sentence-transformers goes by the order of the list, and a module replaces an earlier one
    of its name.
    """
    file = path / FILE
    if not file.exists():
        return []
    rows = read_objects(file)
    numbers = [row.integer("idx") for row in rows]
    if numbers != sorted(numbers):
        raise InputError(
            f"lists modules whose idx are {numbers}; wanted them in the order in which they run",
            path=file,
        )
    names = [row.text("name", None) for row in rows]
    twice = [name for name in names if name is not None and names.count(name) > 1]
    if twice:
        raise InputError(
            f"names two modules {twice[0]!r}; wanted a name of its own for each", path=file
        )
    modules = []
    for row in rows:
        folder = inside(path, row.text("path", ""), path=file)
        modules.append(Module(row.text("type"), folder))
    return modules


def add_dense(path: Path) -> Path:
    """Put a further Dense module behind those of the folder at `path` that pool or project, and
    return the folder for its files. Raises ModelError where none of them does.
    """
    kinds = [module.kind for module in read_modules(path)]
    places = [at for at, kind in enumerate(kinds, 1) if kind in ("Pooling", "Dense")]
    if not places:
        raise ModelError(f"{path / FILE}: no module pools to one vector, which could be projected")
    number = len(kinds)
    while (path / f"{number}_Dense").exists():
        number += 1
    name = f"{number}_Dense"
    rows = [dict(row) for row in read_objects(path / FILE)]
    new = {"name": name, "path": name, "type": "sentence_transformers.models.Dense"}
    rows.insert(places[-1], new)
    write_json(path / FILE, [row | {"idx": at} for at, row in enumerate(rows)])
    return path / name


def write_modules(path: Path, modules: Iterable[tuple[str, str]]) -> None:
    """Write modules.json into the folder at `path`, with a folder for each module. `modules`: the
    folder of each and its type, as it is called within sentence_transformers, in their order.
    """
    rows = []
    for at, (folder, kind) in enumerate(modules):
        (path / folder).mkdir(exist_ok=True)
        row = {"idx": at, "name": str(at), "path": folder, "type": f"sentence_transformers.{kind}"}
        rows.append(row)
    write_json(path / FILE, rows)
