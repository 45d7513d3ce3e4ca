"""A fuzz run: damaged inputs by number and seed, how each ended, and a table of it.

A script calls `main(task, make, ...)`, where `make(number, random, place)` puts the damaged input
of that number into the empty folder `place` and gives the value for the task and what was done;
`--count`, `--seed`, `--start` and `--only` choose.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from fuzz.worker import Canary, Outcome, Worker

Make = Callable[[int, Random, Path], tuple[Any, str]]


def findings(
    task: str,
    make: Make,
    numbers: Iterable[int],
    *,
    seed: int,
    place: Path,
    canary: Canary,
    seconds: float = 30,
) -> tuple[Counter[str], list[str]]:
    """How often each kind of outcome came, and each that is not allowed with its number, what was
    done, and what came of it.
    """
    counts: Counter[str] = Counter()
    found = []
    with canary, Worker(task, seconds=seconds, canary=canary) as worker:
        for number in numbers:
            place.mkdir(parents=True)
            value, what = make(number, Random(f"{seed}-{number}"), place)
            canary.touched()  # what the damage itself has caused
            outcome = worker.run(value)
            counts[outcome.kind] += 1
            if not outcome.allowed:
                found.append(_told(number, what, outcome))
            shutil.rmtree(place)
    return counts, found


def main(
    task: str, make: Make, *, canary: Callable[[Path], Canary] = Canary, seconds: float = 30
) -> int:
    """Run as a script: print the counts, and the findings; 1 where there is one, else 0."""
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=5000, help="how many damaged inputs")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--start", type=int, default=0, help="the number of the first, to go on where a run ended"
    )
    options.add_argument("--only", type=int, help="one number alone, with what came of it")
    asked = options.parse_args()
    numbers = range(asked.start, asked.start + asked.count) if asked.only is None else [asked.only]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        counts, found = findings(
            task,
            make,
            numbers,
            seed=asked.seed,
            place=root / "inside" / "case",
            canary=canary(root / "outside"),
            seconds=seconds,
        )
    for text in found:
        sys.stdout.write(text + "\n\n")
    for kind, count in counts.most_common():
        sys.stdout.write(f"{count:6,}  {kind}\n")
    sys.stdout.write(
        f"{len(found):,} findings in {sum(counts.values()):,} damaged inputs of seed {asked.seed}\n"
    )
    return 1 if found else 0


def _told(number: int, what: str, outcome: Outcome) -> str:
    return f"--only {number}: {what}\n{outcome.kind}: {outcome.said}"
