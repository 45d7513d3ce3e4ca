"""Columns of the data that are not used, where another may have been meant."""

from __future__ import annotations

from pathlib import Path

from nearfield.data.doctor.check import BOTH, Found, check
from nearfield.data.doctor.subject import Subject
from nearfield.types.finding import NOTE


@check(
    BOTH,
    fix=(
        "nothing, where that is meant; else name the columns that are to be used query and positive"
    ),
)
def unused_columns(subject: Subject) -> Found | None:
    """Columns that could be of a pair and are not, as a more telling name was preferred; counted
    over all files of the data.
    """
    unused = subject.data.unused
    if not unused:
        return None
    count = sum(len(each.names) for each in unused)
    total = sum(each.total for each in unused)
    example = f"{Path(unused[0].source).name}: {unused[0]}"
    return Found(NOTE, count, total, example)
