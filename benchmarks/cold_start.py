"""From nothing to the first vector: a new process a side and a round, from the interpreter's start
to one query encoded.

    python benchmarks/cold_start.py [MODEL] [--rounds 7] [--peers FOLDER] [--save] [--json]

A ratio is sentence-transformers' seconds over a side's in the same round. FOLDER is as in
encode_cpu.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from interleave import interleaved, ratios
from results import circumstances, save

from nearfield.models.find import model_path

QUERY = "how do I reset a forgotten password"
REFERENCE = "sentence-transformers torch"
_TRANSFORMER = "from sentence_transformers import SentenceTransformer as S; "
PROGRAMS = {
    REFERENCE: ("peers", _TRANSFORMER + "v = S(model, device='cpu').encode([text])"),
    "sentence-transformers openvino": (
        "optimum",
        _TRANSFORMER + "v = S(model, backend='openvino', device='cpu').encode([text])",
    ),
    "nearfield auto": (
        "",
        "from nearfield import load; v = load(model).encode([text], 'query').vectors",
    ),
    "nearfield torch": (
        "",
        "from nearfield import load; v = load(model, "
        "runtime='torch').encode([text], 'query').vectors",
    ),
}
"""Each side's environment in --peers, "" for this one, and its program, of `model` and `text`."""


def main() -> None:
    arguments = _arguments()
    path = str(model_path(arguments.model).resolve())
    sides: dict[str, Callable[[], float]] = {}
    result = circumstances() | {"model": arguments.model, "rounds": arguments.rounds, "not_run": {}}
    for side, (environment, program) in PROGRAMS.items():
        python = (
            str(Path(arguments.peers, environment, "bin", "python"))
            if environment and arguments.peers
            else sys.executable
        )
        if environment not in ("", "peers") and not (arguments.peers and Path(python).exists()):
            result["not_run"][side] = "no environment for it in --peers"
            continue
        run = _side(
            [
                python,
                "-W",
                "ignore",
                "-c",
                f"model, text = {path!r}, {QUERY!r}; {program}; assert v.shape[0] == 1",
            ]
        )
        try:
            run()  # not timed: byte code is compiled and files are read into memory
        except subprocess.CalledProcessError as error:
            result["not_run"][side] = (error.stderr.strip().splitlines() or ["it failed"])[-1]
            continue
        sides[side] = run
    seconds = interleaved(sides, arguments.rounds)
    found = ratios(seconds, REFERENCE)
    result["sides"] = {
        side: {
            **found[side],
            "median_seconds": round(statistics.median(own), 3),
            "seconds": [round(second, 3) for second in own],
        }
        for side, own in seconds.items()
    }
    if arguments.save:
        print(save("cold-start", result))
    print(json.dumps(result, indent=1) if arguments.json else _table(result))


def _side(command: list[str]) -> Callable[[], float]:
    def run() -> float:
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, text=True, check=True)
        return time.perf_counter() - started

    return run


def _table(result: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = [
        f"{side:32} {row['median_seconds']:7.3f} s  {row['ratio']:6.2f}x [{row['least']:.2f}, "
        f"{row['greatest']:.2f}]"
        for side, row in result["sides"].items()
    ]
    return "\n".join(
        [*rows, *(f"not run: {side}: {why}" for side, why in result["not_run"].items())]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default="", help="the folder with the peers' environments")
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
