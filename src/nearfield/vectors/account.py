"""What became of the rows of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfield.types.usage import NOTHING_READ, Usage

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
    usage: Usage = NOTHING_READ
    faults: tuple[str, ...] = ()
    first_empty: str = ""

    def plus(self, later: Account) -> Account:
        """Both together, `later` being of the rows that follow."""
        return Account(
            self.rows + later.rows,
            self.failed + later.failed,
            self.empty + later.empty,
            self.cached + later.cached,
            self.repeated + later.repeated,
            self.usage + later.usage,
            (self.faults + later.faults)[:FAULTS],
            self.first_empty if self.empty else later.first_empty,
        )

    @classmethod
    def of_json(cls, facts: dict[str, Any]) -> Account:
        """An account as it was written to JSON."""
        facts = facts | {"usage": Usage(**facts["usage"]), "faults": tuple(facts["faults"])}
        return cls(**facts)
