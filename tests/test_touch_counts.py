"""A new loss, head, task, index, source, runtime, storage type, dialect, two-tower layout and
command are each one file behind a seam and one line in its table, and work end to end.

The additions of tests/additions are put into a copy of the package, and a process that imports the
copy uses each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "src" / "nearfield"
SEAMS = {
    # what is added: its file, the table's file, and the line in the table
    "index": (
        "indexes/brute.py",
        "indexes/__init__.py",
        '"brute": "nearfield.indexes.brute:Brute",',
    ),
    "task": (
        "evaluate/tasks/retranslation.py",
        "evaluate/tasks/__init__.py",
        '"retranslation": "nearfield.evaluate.tasks.retranslation:Retranslation",',
    ),
    "source": (
        "data/sources/arrows.py",
        "data/sources/__init__.py",
        '"arrows": "nearfield.data.sources.arrows:ARROWS",',
    ),
    "storage": (
        "similarity/bfloat16.py",
        "similarity/storages.py",
        '"bfloat16": "nearfield.similarity.bfloat16:STORAGE",',
    ),
    "runtime": (
        "runtimes/slow.py",
        "runtimes/__init__.py",
        '"slow": "nearfield.runtimes.slow:SlowRuntime",',
    ),
    "dialect": (
        "serve/dialects/plain.py",
        "serve/dialects/__init__.py",
        '"plain": "nearfield.serve.dialects.plain:DIALECT",',
    ),
    "command": ("cli/hello.py", "cli/app.py", '"hello": "nearfield.cli.hello:hello",'),
    "loss": (
        "train/objectives/label_contrast.py",
        "train/objectives/__init__.py",
        '"label-contrast": "nearfield.train.objectives.label_contrast:LabelContrast",',
    ),
    "head": (
        "models/heads/first_and_mean.py",
        "models/heads/__init__.py",
        '"first-and-mean": "nearfield.models.heads.first_and_mean:FirstAndMean",',
    ),
    "towers": (
        "formats/towers/pair_towers.py",
        "formats/towers/__init__.py",
        '"pair": "nearfield.formats.towers.pair_towers:LAYOUT",',
    ),
    "format": (
        "formats/first_and_mean_folder.py",
        "formats/__init__.py",
        '"first-and-mean": "nearfield.formats.first_and_mean_folder:LAYOUT",',
    ),
}


def source(name: str) -> str:
    """What the added file holds. The head is that of docs/extending.md."""
    if name != "first_and_mean.py":
        return (TESTS / "additions" / name).read_text(encoding="utf-8")
    text = (TESTS.parent / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = text.split("```python\n")[1:]
    (head,) = (block for block in blocks if "class FirstAndMean" in block)
    return head.partition("```")[0]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package that has all additions."""
    folder = tmp_path_factory.mktemp("grown")
    copy = folder / "nearfield"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file, table, line in SEAMS.values():
        assert not (copy / file).exists()
        (copy / file).write_text(source(Path(file).name), encoding="utf-8")
        text = (copy / table).read_text(encoding="utf-8")
        # the first entry of the table is where a line with "name": "place:attribute" begins
        first = next(
            at
            for at, row in enumerate(text.splitlines())
            if row.startswith('        "') and ":" in row
        )
        rows = text.splitlines()
        rows.insert(first, f"        {line}")
        (copy / table).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_each_addition_works(grown: Path, tmp_path: Path) -> None:
    """All in one process, each in a folder of its own."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(grown), str(TESTS)]),
        "NEARFIELD_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
    }
    words = [sys.executable, "-W", "ignore", str(TESTS / "additions" / "use.py"), *SEAMS]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    used = [line for line in done.stdout.splitlines() if line.startswith("used ")]
    assert used == [f"used {addition}" for addition in SEAMS], done.stderr
