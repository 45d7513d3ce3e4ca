"""Sides of a comparison run in turn, so that what disturbs the machine disturbs all of them, and
their ratios with spread.

A side is any callable that runs its work once and returns its seconds. `Child` makes one of another
process, with its own Python, thread pools and allocator, which stays alive between its turns; the
program that it runs answers through `serve`. This module needs the standard library alone, so that
a peer's own environment can run it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# seconds between turns: OpenMP's threads spin up to 0.2 s after their last work and would take the
# next side's cores
REST = 0.25


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """A side of this process: the seconds that `call` takes."""

    def run() -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return run


def interleaved(
    sides: Mapping[str, Callable[[], float]], rounds: int, *, rest: float = REST
) -> dict[str, list[float]]:
    """Seconds of each side in each of `rounds` rounds; the order is turned round after each, so
    that none always follows the same.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for at in range(rounds):
        for name in list(sides)[:: -1 if at % 2 else 1]:
            time.sleep(rest)
            seconds[name].append(sides[name]())
    return seconds


def ratios(seconds: Mapping[str, Sequence[float]], reference: str) -> dict[str, dict[str, float]]:
    """How many times faster than `reference` each side was: the median over rounds of the ratio
    within a round, least and greatest.
    """
    found = {}
    for name, own in seconds.items():
        each = [theirs / ours for theirs, ours in zip(seconds[reference], own, strict=True)]
        found[name] = {
            "ratio": round(statistics.median(each), 3),
            "least": round(min(each), 3),
            "greatest": round(max(each), 3),
        }
    return found


class SideError(Exception):
    """A side could not do what it was asked; the message is what it said."""


class Child:
    """A process that answers one line of JSON for each line that it is asked, until it is
    closed.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to `request`. Raises SideError where the side failed or ended."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SideError(f"the process ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer each request on standard input until it ends; what libraries print goes to standard
    error.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # whatever a peer raises is what it has to say
            reply = {
                "error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
            }
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
