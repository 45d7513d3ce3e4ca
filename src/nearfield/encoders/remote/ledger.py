"""What was asked of vendors and what it cost: one line of JSON per answer, which is only ever
appended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

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
                yield Entry(**{name: value for name, value in stated.items() if name in known})
            except (ValueError, TypeError, AttributeError):
                continue
