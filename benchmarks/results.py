"""A benchmark's result as JSON, with the machine, the versions and the command that made it."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from pathlib import Path
from typing import Any

from machine import machine, slug, versions

from nearfield.store.atomic import write_json

FOLDER = Path(__file__).resolve().parent / "results"


def circumstances() -> dict[str, Any]:
    """Machine, versions, command (of a path from the root its name) and date, and the mean number
    of running processes in the last minute (a busy machine is no evidence).
    """
    words = (Path(word).name if os.path.isabs(word) else word for word in sys.argv[1:])
    command = ["python", f"benchmarks/{Path(sys.argv[0]).name}", *words]
    load = round(os.getloadavg()[0], 2)
    return {
        "machine": machine(),
        "versions": versions(),
        "command": " ".join(command),
        "date": datetime.date.today().isoformat(),
        "load_before": load,
    }


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command's arguments, with `--save` and `--json`, which say what becomes of the result."""
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def save(name: str, result: dict[str, Any], folder: Path | None = None) -> Path:
    """Write `result` (which holds `circumstances()`) to NAME.json in `folder`, by default
    results/MACHINE; gives the path.
    """
    path = (folder or FOLDER / slug(result["machine"])) / f"{name}.json"
    write_json(path, result)
    return path
