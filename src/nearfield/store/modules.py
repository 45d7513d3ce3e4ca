"""The modules of a model folder, as sentence-transformers lists them in modules.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearfield.store.fields import read_objects
from nearfield.store.inside import inside

FILE = "modules.json"


@dataclass(frozen=True)
class Module:
    """`type` is its class as the file names it, `folder` where its files lie: within the model's folder, or that itself."""

    type: str
    folder: Path

    @property
    def kind(self) -> str:
        """The last word of its type."""
        return self.type.rsplit(".", 1)[-1]


def read_modules(path: Path) -> list[Module]:
    """The modules of the folder at `path` in their order; none where it has no modules.json.

    Raises InputError where that is no list of modules, or names a folder outside.
    """
    file = path / FILE
    if not file.exists():
        return []
    rows = sorted(read_objects(file), key=lambda row: int(row.integer("idx")))
    return [Module(row.text("type"), inside(path, row.text("path", ""), path=file)) for row in rows]
