"""What the data doctor found."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    `check` is the name that `--allow` takes; `severity` is error, warning or note; `count` of
    `total` items are affected; `example` shows one of them, and `fix` says what to do.
    """

    check: str
    severity: str
    count: int
    total: int
    example: str
    fix: str

    def __str__(self) -> str:
        return f"{self.check} ({self.count:,} of {self.total:,}): {self.example}; {self.fix}"


class Findings(tuple[Finding, ...]):
    """Findings in the order of their severity; printed, one on each line."""

    __slots__ = ()

    def __str__(self) -> str:
        if not self:
            return "The doctor found nothing to fix."
        return "\n".join(f"{finding.severity}: {finding}" for finding in self)
