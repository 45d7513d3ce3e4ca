"""What became of the rows of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from nearfield.types.usage import Usage

FAULTS = 5  # of the failed rows, how many are named


@dataclass(frozen=True)
class Account:
    """Each of `rows` was either encoded, and is counted in `usage.items`, or failed.

    `empty` of the encoded texts hold nothing (the first has the id `first_empty`). `cached` of the
    vectors came from the cache and `repeated` were those of an equal text close by; the model made
    the others. `faults` says why the first failed rows failed.
    """

    rows: int = 0
    failed: int = 0
    empty: int = 0
    cached: int = 0
    repeated: int = 0
    usage: Usage = field(default_factory=Usage)
    faults: tuple[str, ...] = ()
    first_empty: str = ""

    def plus(self, later: Account) -> Account:
        """Both together, `later` being of the rows that follow."""
        names = ("rows", "failed", "empty", "cached", "repeated")
        sums = {name: getattr(self, name) + getattr(later, name) for name in names}
        used = {
            name: getattr(self.usage, name) + getattr(later.usage, name)
            for name in (field.name for field in dataclasses.fields(Usage))
        }
        faults = (*self.faults, *later.faults)[:FAULTS]
        first = self.first_empty if self.empty else later.first_empty
        return Account(**sums, usage=Usage(**used), faults=faults, first_empty=first)

    @classmethod
    def of_json(cls, facts: dict[str, Any]) -> Account:
        """An account as it was written to JSON."""
        return cls(**(facts | {"usage": Usage(**facts["usage"]), "faults": tuple(facts["faults"])}))
