"""What a run is carried out with, none of which is part of what it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nearfield.errors import InputError
from nearfield.train.engine.group import ALONE, Group
from nearfield.types.progress import Bars, Rows, no_bars, no_rows


@dataclass(frozen=True)
class Setting:
    """`watch(title)` gives each stage its progress; `group` are the processes that train; `source`
    is where the collection came from, for the command that the report shows; `device` is where one
    process trains, as torch names it, "auto" for a GPU where there is one; `rows` takes each row
    of training.jsonl as it is written.
    """

    watch: Bars = no_bars
    group: Group = ALONE
    source: str = ""
    device: str = "auto"
    rows: Rows = no_rows

    def refuse_group(self, what: str) -> None:
        """Raise InputError for several processes, where `what` is trained by one."""
        if self.group.size > 1:
            raise InputError(
                f"{what} is trained in one process; the setting has a group of {self.group.size}"
            )

    def with_source(self, data: object) -> Setting:
        """The same, which says where the data came from if that is a path or a name."""
        if self.source or not isinstance(data, str | Path):
            return self
        return replace(self, source=str(data))


UNWATCHED = Setting()
