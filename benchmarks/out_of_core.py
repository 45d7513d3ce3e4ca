"""Encoding many short texts: peak memory at two sizes, and a run that is killed twice and loses
nothing.

    python benchmarks/out_of_core.py [MODEL] [--rows 1000000] [--small 10000] [--kills 2]
        [--unbroken] [--save] [--json]

The texts are all windows of five to eight words of the collection `stdlib`, in a fixed shuffled
order. Each run is the command `nearfield encode` in a process of its own, with an empty cache of
vectors; its peak is the greatest resident set that the system saw (ru_maxrss). The large run is
killed (SIGKILL) at random moments and begun again; then every row of its manifest is checked
against the input, and a sample of its vectors against the model. `--unbroken` also makes it once
without kills and compares the files byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from results import circumstances, save

from nearfield import load, open_collection
from nearfield.store.home import models_folder
from nearfield.vectors.job import MARK, job_folder

WORDS = (5, 6, 7, 8)
# larger than any number of windows and no divisor of one: multiples of it visit every window once
PRIME = 982_451_653
SAMPLE = 256


def main() -> None:
    arguments = _arguments()
    facts = circumstances()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="out-of-core-", dir=arguments.folder) as folder:
        place = Path(folder)
        small = _run(
            arguments.model,
            _write(place / "small.txt", arguments.small),
            place / "small",
            place / "home-small",
        )
        source = _write(place / "large.txt", arguments.rows)
        runs = [
            _run(
                arguments.model,
                source,
                place / "large",
                place / "home",
                kill=_moment(chance, arguments),
            )
            for _ in range(arguments.kills)
        ]
        runs.append(_run(arguments.model, source, place / "large", place / "home"))
        checked = _check(place / "large", source, arguments.model)
        if arguments.unbroken:
            _run(arguments.model, source, place / "unbroken", place / "home-unbroken")
            names = ("vectors.npy", "ids.jsonl", "manifest.parquet")
            checked["equal to an unbroken run"] = all(
                _digest(place / "large" / name) == _digest(place / "unbroken" / name)
                for name in names
            )
    peaks = {"small": small["peak_mib"], "large": max(run["peak_mib"] for run in runs)}
    facts |= {
        "model": Path(arguments.model).name,
        "rows": {"small": arguments.small, "large": arguments.rows},
        "peak_mib": peaks,
    }
    facts |= {
        "ratio": round(peaks["large"] / peaks["small"], 3),
        "runs": [small, *runs],
        "checked": checked,
    }
    if arguments.save:
        print(save("out-of-core", facts))
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return
    for run in (small, *runs):
        print(
            "{rows_done:>10,} rows done after {seconds:7.1f} s, "
            "peak {peak_mib:6.0f} MiB{end}".format(**run)
        )
    print(
        f"peak {peaks['large']:.0f} MiB at {arguments.rows:,} rows, {peaks['small']:.0f} at "
        f"{arguments.small:,}: {facts['ratio']:.3f}"
    )
    print(", ".join(f"{name}: {value}" for name, value in checked.items()))


def texts(count: int) -> Iterator[str]:
    """So many windows of words, each another one while there are any."""
    words = [text.split() for text in open_collection("stdlib").document_texts]
    starts = np.cumsum([0, *(max(0, len(row) - max(WORDS) + 1) * len(WORDS) for row in words)])
    for number in range(count):
        window = number * PRIME % int(starts[-1])
        row = int(np.searchsorted(starts, window, side="right")) - 1
        at, size = divmod(window - int(starts[row]), len(WORDS))
        yield " ".join(words[row][at : at + WORDS[size]])


def _write(path: Path, count: int) -> Path:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(text + "\n" for text in texts(count))
    return path


def _run(
    model: str, source: Path, to: Path, home: Path, *, kill: tuple[int, float] | None = None
) -> dict[str, Any]:
    """One process of the command; killed, where asked, so many seconds after so many shards more
    were done than at its start.
    """
    home.mkdir(exist_ok=True)
    if not (home / "models").exists():
        (home / "models").symlink_to(models_folder(), target_is_directory=True)
    command = [
        sys.executable,
        "-m",
        "nearfield.cli.app",
        "encode",
        model,
        str(source),
        "--to",
        str(to),
    ]
    before, started = _shards(to), time.perf_counter()
    running = subprocess.Popen(
        command,
        env=os.environ | {"NEARFIELD_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if kill is not None:
        while _shards(to) < before + kill[0] and not _ended(running.pid):
            time.sleep(0.01)
        time.sleep(kill[1])
        os.kill(running.pid, signal.SIGKILL)
    assert running.stderr is not None
    said = running.stderr.read().decode()
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(said)
    done = _lines(source) if running.returncode == 0 else _rows(to)
    end = ", killed" if running.returncode else ""
    return {
        "rows_done": done,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
        "end": end,
    }


def _ended(process: int) -> bool:
    """Whether it has ended; it is left to be waited for, and until then a signal to it reaches
    nothing and no other process.
    """
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _lines(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _moment(chance: random.Random, arguments: argparse.Namespace) -> tuple[int, float]:
    """How many shards after its start a run is killed, and how many seconds after that."""
    return chance.randint(
        1, max(1, arguments.rows // 8192 // (arguments.kills + 1))
    ), chance.uniform(0, 2)


def _shards(to: Path) -> int:
    return len(list((job_folder(to) / "shards").glob("*.npz")))


def _rows(to: Path) -> int:
    done = 0
    for file in (job_folder(to) / "shards").glob("*.npz"):
        with np.load(file) as members:
            done += int(json.loads(members[MARK].tobytes())["account"]["rows"])
    return done


def _check(folder: Path, source: Path, model: str) -> dict[str, Any]:
    """Every row of the input is in the manifest once, in order, with its own text's hash and the
    next vector.
    """
    lines = (line.rstrip("\n") for line in open(source, encoding="utf-8"))  # noqa: SIM115 - read to its end
    manifest = pq.ParquetFile(folder / "manifest.parquet")
    table = (row for batch in manifest.iter_batches(batch_size=8192) for row in batch.to_pylist())
    ids = (json.loads(line) for line in open(folder / "ids.jsonl", encoding="utf-8"))  # noqa: SIM115
    wrong = count = 0
    sample: dict[int, str] = {}
    keep = max(1, manifest.metadata.num_rows // SAMPLE)
    for number, (line, row, key) in enumerate(zip_longest(lines, table, ids), 1):
        if line is None or row is None or key is None:
            wrong += 1
            continue
        digest = hashlib.blake2b(line.encode(), digest_size=16).digest()
        held = (row["row"], row["id"], key, row["vector"], row["hash"])
        wrong += (
            held != (number, str(number), str(number), number - 1, digest)
            or row["state"] == "failed"
        )
        count += 1
        if number % keep == 0:
            sample[number - 1] = line
    direct = load(model).encode(list(sample.values()), "document").floats()
    stored = np.load(folder / "vectors.npy", mmap_mode="r")[list(sample)]
    cosines = (
        (direct * stored).sum(1) / np.linalg.norm(direct, axis=1) / np.linalg.norm(stored, axis=1)
    )
    vectors = len(np.load(folder / "vectors.npy", mmap_mode="r"))
    return {
        "rows": count,
        "vectors": vectors,
        "lost, twice or out of order": wrong,
        "least cosine of a sample": round(float(cosines.min()), 7),
    }


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folder",
        help="where the texts, vectors and caches lie meanwhile (some 4 GB for a "
        "million rows of 384 dimensions)",
    )
    parser.add_argument("--unbroken", action="store_true")
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
