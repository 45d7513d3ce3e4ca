"""Mining hard negatives among many documents: peak memory, and a run that is killed and goes on.

    python benchmarks/mine.py [MODEL] [--documents 1000000] [--queries 20000] [--save] [--json]

Each document is four windows of ten words of the collection `stdlib`, drawn; a query is six words
of its document, and dev and test have a thousand each. Each run is the command `nearfield mine` in
a process of its own; its peak is the greatest resident set that the system saw (ru_maxrss), pages
of mapped files included. The first run is killed (SIGKILL) when its vectors are
written and some blocks are mined, and the second goes on; with `--unbroken` a third is made without
a kill, and the files are compared byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from results import circumstances, parsed, save

from nearfield import open_collection

WORDS, WINDOWS, ASKED, HELD = 10, 4, 6, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="potion-base-8m")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--source", action="append", help="bm25, model; both when not given")
    parser.add_argument("--unbroken", action="store_true")
    parser.add_argument("--folder", help="where the data lie meanwhile")
    arguments = parsed(parser)
    facts = circumstances()
    with tempfile.TemporaryDirectory(prefix="mine-", dir=arguments.folder) as folder:
        place = Path(folder)
        write_data(place / "data", arguments.documents, arguments.queries)
        more = [word for each in arguments.source or () for word in ("--from", each)]
        command = [sys.executable, "-m", "nearfield.cli.app", "mine", str(place / "data")]
        command += ["--model", arguments.model, "--per-query", "3", *more, "--json"]
        runs = [run([*command, "--to", str(place / "mined.jsonl")], kill=True)]
        runs.append(run([*command, "--to", str(place / "mined.jsonl")]))
        if arguments.unbroken:
            runs.append(run([*command, "--to", str(place / "whole.jsonl")]))
            files = [(place / name).read_bytes() for name in ("mined.jsonl", "whole.jsonl")]
            facts["equal to an unbroken run"] = files[0] == files[1]
        with open(place / "mined.jsonl", encoding="utf-8") as file:
            facts["mined"] = sum(1 for _ in file)
    facts |= {"documents": arguments.documents, "queries": arguments.queries, "runs": runs}
    if arguments.save:
        print(save("mine", facts))
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return
    for each in runs:
        print("{seconds:7.1f} s, peak {peak_mib:6.0f} MiB{end}".format(**each))
    print(f"{facts['mined']:,} pairs with three negatives each")


def write_data(folder: Path, documents: int, queries: int) -> None:
    """A BEIR folder."""
    texts = [text.split() for text in open_collection("stdlib").document_texts]
    starts = np.cumsum([0, *(max(0, len(row) - WORDS + 1) for row in texts)])
    (folder / "qrels").mkdir(parents=True)
    drawn = np.random.default_rng(0)
    asked = drawn.choice(documents, queries + 2 * HELD, replace=False)
    split = dict.fromkeys(asked[:HELD].tolist(), "test") | dict.fromkeys(
        asked[HELD : 2 * HELD].tolist(), "dev"
    )
    split |= dict.fromkeys(asked[2 * HELD :].tolist(), "train")
    judged: dict[str, list[str]] = {name: [] for name in ("train", "dev", "test")}
    with (
        open(folder / "corpus.jsonl", "w", encoding="utf-8") as corpus,
        open(folder / "queries.jsonl", "w", encoding="utf-8") as query,
    ):
        for number in range(documents):
            words = []
            for window in drawn.integers(starts[-1], size=WINDOWS).tolist():
                row = int(np.searchsorted(starts, window, side="right")) - 1
                at = window - int(starts[row])
                words += texts[row][at : at + WORDS]
            corpus.write(json.dumps({"_id": f"d{number}", "text": " ".join(words)}) + "\n")
            if number in split:
                chosen = words[:: len(words) // ASKED][:ASKED]
                query.write(json.dumps({"_id": f"q{number}", "text": " ".join(chosen)}) + "\n")
                judged[split[number]].append(f"q{number}\td{number}\t1\n")
    for name, lines in judged.items():
        head = "query-id\tcorpus-id\tscore\n"
        (folder / "qrels" / f"{name}.tsv").write_text(head + "".join(lines), encoding="utf-8")


def run(command: list[str], *, kill: bool = False) -> dict[str, Any]:
    """One process of the command, killed, where asked, after two blocks of pairs are on disk."""
    started, work = time.perf_counter(), Path(f"{command[-1]}.mining")
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while kill and len(list(work.glob("[0-9]*.npy"))) < 2 and not ended(running.pid):
        time.sleep(0.05)
    if kill:
        os.kill(running.pid, signal.SIGKILL)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(running.returncode)
    end = f", killed after {len(list(work.glob('[0-9]*.npy')))} blocks" if kill else ""
    seconds = round(time.perf_counter() - started, 1)
    return {"seconds": seconds, "peak_mib": round(usage.ru_maxrss / 1024, 1), "end": end}


def ended(process: int) -> bool:
    """Whether it has ended; it is left to be waited for."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


if __name__ == "__main__":
    main()
