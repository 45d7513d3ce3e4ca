"""Whether other programs took the processors while something was timed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY = (
    "speeds and times were measured while other programs used the processors; on a quiet machine "
    "they are better"
)
SHARE = 0.15  # of all processors' time; what a desktop does at rest is below a tenth
LEAST = 2.0  # seconds: in less, ticks of 10 ms and what was just started decide


@contextmanager
def watched() -> Iterator[list[str]]:
    """A list that holds BUSY at the end where other programs took more than SHARE of the
    processors' time meanwhile. It stays empty where the system does not say (no /proc/stat).
    """
    notes: list[str] = []
    before = _others()
    started = time.monotonic()
    yield notes
    after = _others()
    seconds = time.monotonic() - started
    if before is None or after is None or seconds < LEAST:
        return
    if after - before > SHARE * seconds * (os.cpu_count() or 1):
        notes.append(BUSY)


def _others() -> float | None:
    """Seconds that other programs have used of the processors since the machine was started."""
    try:
        # the first line is of all processors: "cpu", then ticks of each kind (proc(5))
        fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
        # guest time, behind these, is in `user` already; stolen is what other virtual machines took
        user, nice, system, _idle, _iowait, irq, soft, stolen = map(int, fields[1:9])
    except (OSError, ValueError):
        return None
    used = (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    # the times of children are of those that have ended: one that runs counts as another program
    return used - own.user - own.system - own.children_user - own.children_system
