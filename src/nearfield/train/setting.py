"""What a run is carried out with, none of which is part of what it is."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.train.engine.group import ALONE, Group
from nearfield.types.progress import Bars, no_bars


@dataclass(frozen=True)
class Setting:
    """`watch(title)` gives each stage its progress; `group` are the processes that train; `source`
    is where the collection came from, for the command that the report shows; `device` is where one
    process trains, as torch names it, "auto" for a GPU where there is one.
    """

    watch: Bars = no_bars
    group: Group = ALONE
    source: str = ""
    device: str = "auto"


UNWATCHED = Setting()
