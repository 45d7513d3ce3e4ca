"""A large file is read in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEASURED = """
import resource, sys
from nearfield.data.open import open_collection, open_pairs
assert len(open_collection(sys.argv[1]).documents) == len(open_pairs(sys.argv[1])) == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak(folder: Path, rows: int) -> int:
    """MiB that a process takes at most which reads this many rows of 10 kB."""
    path = folder / f"{rows}.jsonl"
    text = "lorem ipsum " * 833
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(
            f'{{"query": "query {number}", "positive": "{number} {text}"}}\n'
            for number in range(rows)
        )
    environment = {
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "NEARFIELD_HOME": str(folder / "home"),
    }
    command = [sys.executable, "-c", MEASURED, str(path), str(rows)]
    return int(
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    )


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kibibytes on Linux only")
def test_reading_100_megabytes_more_takes_few_more(tmp_path: Path) -> None:
    grown = peak(tmp_path, 12_000) - peak(tmp_path, 2_000)
    assert grown < 30, f"memory grew by {grown} MiB"
