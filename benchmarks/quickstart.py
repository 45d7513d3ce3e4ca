"""The quickstart's commands, run one after the other as a user would, each with its time.

    python benchmarks/quickstart.py [FOLDER] [--rows 1200] [--models minilm potion-base-8m] [--save]
        [--json]

They run in FOLDER (a temporary one by default) with caches of their own, so that nothing is kept
from before; models are fetched first and not counted. For each command: seconds by the clock,
seconds of processor time, and what it printed to a terminal of 80 columns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results import circumstances, parsed, save

from nearfield.models.find import model_path
from nearfield.store.home import home

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MODELS = ("minilm", "potion-base-8m")


def main() -> None:
    sys.path.insert(0, str(EXAMPLES))
    import python_questions

    arguments = _arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        python_questions.write(str(folder / "questions.csv"), arguments.rows)
        for model in arguments.models:
            model_path(model)  # fetched where it is not here
        result = circumstances() | {"rows": arguments.rows}
        result |= {"commands": run(folder, commands(arguments.models))}
    if arguments.save:
        print(save("quickstart", result))
    print(json.dumps(result, indent=1) if arguments.json else _shown(result["commands"]))


def commands(models: Sequence[str]) -> tuple[str, ...]:
    """Those of the quickstart, without `nearfield`; `models` are compared and the first is
    tuned.
    """
    first = shlex.quote(models[0])
    return (
        "data show questions.csv",
        f"evaluate {shlex.join(models)} --on questions.csv",
        f"tune {first} --on questions.csv --to runs/first",
        'search questions.csv "shortest path between two nodes" --model runs/first/model -k 3',
    )


def run(folder: Path, lines: Sequence[str]) -> list[dict[str, Any]]:
    """The words, seconds, processor seconds and output of each command line, in order, in `folder`
    with caches of its own but for the fetched models. Raises CalledProcessError where one is
    refused.
    """
    own = folder / "home"
    own.mkdir()
    (own / "models").symlink_to(home() / "models")
    return [_timed(f"nearfield {command}", folder) for command in lines]


def _timed(command: str, folder: Path) -> dict[str, Any]:
    environment = os.environ | {"COLUMNS": "80", "NEARFIELD_HOME": str(folder / "home")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [Path(sys.executable).with_name("nearfield"), *shlex.split(command)[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "command": command,
        "seconds": round(seconds, 1),
        "processor_seconds": round(used, 1),
        "output": done.stdout,
    }


def _shown(commands: Sequence[dict[str, Any]]) -> str:
    lines = []
    for each in commands:
        lines += [f"$ {each['command']}", each["output"]]
        lines += ["({seconds} s, {processor_seconds} s of processor time)\n".format(**each)]
    total = sum(each["processor_seconds"] for each in commands)
    return "\n".join([*lines, f"{total:.0f} s of processor time in all"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--models", nargs="+", default=MODELS)
    return parsed(parser)


if __name__ == "__main__":
    main()
