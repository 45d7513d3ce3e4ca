"""What was asked of vendors and what it cost: one line of JSON per answer, which is only ever
appended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime
from pathlib import Path

from nearfield.errors import InputError
from nearfield.store.atomic import storage
from nearfield.store.home import home

ANSWERED, WRONG, LOST = "answered", "wrong", "lost"


@dataclass(frozen=True)
class Entry:
    """One request.

    `tokens` are those billed, and `estimated` where the vendor does not say. `price` is in US
    dollars, None where none is known. `outcome` is answered; wrong, where some of the answer could
    not be used; or lost, where no whole answer came and the vendor may have billed one
    nevertheless.
    """

    vendor: str
    model: str
    work: str
    items: int
    tokens: int
    price: float | None
    seconds: float
    request: str = ""
    outcome: str = ANSWERED
    estimated: bool = False
    time: str = ""


@dataclass(frozen=True)
class Account:
    """What was asked of one model: `items` and `tokens` of the `requests` that were answered, and
    how many requests were `lost`. `estimated`: some of the tokens are. `price` is None where none
    is known.
    """

    model: str
    requests: int = 0
    lost: int = 0
    items: int = 0
    tokens: int = 0
    price: float | None = None
    estimated: bool = False

    def with_entry(self, entry: Entry) -> Account:
        """The account with one entry more."""
        if entry.outcome == LOST:
            return replace(self, lost=self.lost + 1)
        price = self.price
        if entry.price is not None:
            price = (price or 0.0) + entry.price
        return replace(
            self,
            requests=self.requests + 1,
            items=self.items + entry.items,
            tokens=self.tokens + entry.tokens,
            price=price,
            estimated=self.estimated or entry.estimated,
        )


def accounts(since: str = "") -> list[Account]:
    """What was asked of each model from the day `since` (yyyy-mm-dd) on, by name. Raises InputError
    for another day.
    """
    if since:
        try:
            date.fromisoformat(since)
        except ValueError as error:
            raise InputError(f"{since!r} is no day; wanted one like 2026-11-30") from error
    found: dict[str, Account] = {}
    for entry in entries():
        # both in ISO 8601, whose order as text is that in time; UTC
        if entry.time >= since:
            name = f"{entry.vendor}:{entry.model}"
            found[name] = found.get(name, Account(name)).with_entry(entry)
    return [found[name] for name in sorted(found)]


def ledger_path() -> Path:
    """Where the ledger is."""
    return home() / "api-ledger.jsonl"


def note(entry: Entry) -> None:
    """Append the entry with the time. Several processes may do so at once."""
    stated = asdict(entry) | {"time": datetime.now(UTC).isoformat(timespec="seconds")}
    path = ledger_path()
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # one write of a line to the end, which no other writer's can come between
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, (json.dumps(stated) + "\n").encode())
        finally:
            os.close(file)


def entries() -> Iterator[Entry]:
    """All entries, oldest first; a line that a full disk has cut off is passed over."""
    path = ledger_path()
    if not path.exists():
        return
    known = {item.name for item in fields(Entry)}
    with storage(path), open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                stated = json.loads(line)
                # fields of a later version are left out, those of an earlier one have their
                # defaults
                yield Entry(**{name: value for name, value in stated.items() if name in known})
            except (ValueError, TypeError, AttributeError):
                continue
