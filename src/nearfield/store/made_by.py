"""What made the vectors in a vector folder, kept beside them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield.errors import InputError
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_json

FILE = "encoder.json"
FORMAT = 1


@dataclass(frozen=True)
class MadeBy:
    """`model` is the contract's name, `source` what opens it again, `files` the hash of its files,
    `role` what the texts were.

    `adapter` is the hash of the adapter's folder where the model was opened through one, else "",
    as in folders that were written before there were adapters.
    """

    model: str
    source: str
    files: str
    role: str
    adapter: str = ""

    def save(self, folder: Path) -> None:
        """Write it into the vector folder."""
        write_json(folder / FILE, {"format": FORMAT} | dataclasses.asdict(self))

    @classmethod
    def open(cls, folder: Path) -> MadeBy | None:
        """What the vector folder says; None where it says nothing. Raises InputError where that is
        not whole.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        again = InputError(f"is not of format {FORMAT}; encode the texts again", path=path)
        facts = read_json(path)
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise again
        stated: dict[str, Any] = {"adapter": ""} | facts
        values = []
        for field in dataclasses.fields(cls):
            value = stated.get(field.name)
            if not isinstance(value, str):
                raise again
            values.append(value)
        return cls(*values)
