"""The worker tells each way to end from the others, and the canary what was done to it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from fuzz.worker import Canary, Outcome, Worker
from nearfield.errors import ModelError

OUTSIDE = "config.json"


def ends(how: str) -> None:
    """The task: `how` it ends."""
    if how == "refuses":
        raise ModelError("damaged")
    if how == "raises":
        raise KeyError(how)
    if how == "crashes":
        os.abort()
    if how == "hangs":
        time.sleep(60)
    if how == "is greedy":
        bytearray(1 << 40)
    if how.startswith("reads "):
        Path(how.removeprefix("reads ")).read_bytes()
    if how.startswith("writes "):
        Path(how.removeprefix("writes ")).write_bytes(b"x")


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="inotify, which sees what is read, is Linux's"
)
def test_each_end_is_told_from_the_others(tmp_path: Path) -> None:
    with (
        Canary(tmp_path / "outside") as canary,
        Worker("fuzz.test_worker:ends", seconds=2, canary=canary) as worker,
    ):
        file = canary.path / OUTSIDE
        ends_as = {
            "fine": "works",
            "refuses": "ModelError",
            "raises": "traceback",
            "crashes": "crash",
            "hangs": "hang",
            "is greedy": "traceback",
            f"reads {file}": "outside",
            f"writes {file}": "outside",
        }
        assert {how: worker.run(how).kind for how in ends_as} == ends_as
        assert worker.run("fine") == Outcome("works")
    assert [Outcome(kind).allowed for kind in ("works", "ModelError", "crash", "outside")] == [
        True,
        True,
        False,
        False,
    ]
