"""Encoding, training and whole tuning runs on a busy machine, beside sentence-transformers under
the same load.

    python benchmarks/load.py [MODEL] [--parts encode,train,tune] [--busy 0,1,3] [--rounds 5]
        [--tunes 1] [--texts 128] [--batch 64]
                              [--pairs 700] [--peer PYTHON] [--save] [--json]

Beside a side N other processes compute without a pause, N being each of `--busy`. In each round
each side runs once at each N, in turn. `encode` takes paragraphs and `train` one step, both sides
in processes that stay (see encode_side.py and train_side.py). `tune` runs `nearfield tune` with a
guard on pairs of the standard library from beginning to end, and SentenceTransformerTrainer on the
pairs that it trains on (see tune_side.py), in processes of their own, `--tunes` times. PYTHON runs
that last side and needs `datasets`.

A slowdown is a side's seconds at N over its seconds at the first N in the same round; `beside` is
the peer's slowdown over ours in the same round: above 1 where ours is the smaller. The CPU of a
whole run is that of its process and of all that it began, user and system.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from interleave import REST, Child
from results import circumstances, parsed, save
from texts import timed_texts
from train_side import rows_of

from nearfield.formats.model_folder import read_model_folder
from nearfield.models.find import model_path

HERE = Path(__file__).resolve().parent
OURS, THEIRS = "nearfield", "sentence-transformers"
Run = Callable[[], dict[str, float]]
"""Runs a side once and gives its seconds, and what else it measured."""


def main() -> None:
    asked = _arguments()
    result = circumstances() | {
        "model": Path(asked.model).name,
        "rounds": asked.rounds,
        "parts": {},
        "not_run": {},
    }
    levels = [int(word) for word in asked.busy.split(",")]
    parts = {
        "encode": (encoding, asked.rounds),
        "train": (training, asked.rounds),
        "tune": (tuning, asked.tunes),
    }
    with tempfile.TemporaryDirectory() as work:
        for name in asked.parts.split(","):
            part, rounds = parts[name]
            with part(asked, Path(work)) as sides:
                measured = in_turn(sides, levels, rounds)
            result["parts"][name] = compared(measured, levels)
    if asked.save:
        print(save(f"load-{result['model']}", result))
    print(json.dumps(result, indent=1) if asked.json else table(result))


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that compute without a pause, until the block ends."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(REST)
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def in_turn(
    sides: dict[str, Run], levels: Sequence[int], rounds: int
) -> dict[str, dict[int, list[dict[str, float]]]]:
    """What each side measured at each level in each round; the order of the sides is turned round
    after each.
    """
    measured: dict[str, dict[int, list[dict[str, float]]]] = {
        name: {level: [] for level in levels} for name in sides
    }
    for at in range(rounds):
        for level in levels:
            for name in list(sides)[:: -1 if (at + level) % 2 else 1]:
                with busy(level):
                    measured[name][level].append(sides[name]())
                print(
                    f"round {at + 1} beside {level}: {name} {measured[name][level][-1]}",
                    file=sys.stderr,
                )
    return measured


def compared(
    measured: dict[str, dict[int, list[dict[str, float]]]], levels: Sequence[int]
) -> dict[str, Any]:
    """By level: each side's median seconds (and CPU seconds), its slowdown, and the ratios of the
    two sides, with their spread.
    """
    seconds = {
        name: {level: [row["seconds"] for row in rows] for level, rows in by.items()}
        for name, by in measured.items()
    }
    slow = {
        name: {level: _over(by[level], by[levels[0]]) for level in levels}
        for name, by in seconds.items()
    }
    found: dict[str, Any] = {}
    for level in levels:
        row: dict[str, Any] = {
            "faster": _spread(_over(seconds[THEIRS][level], seconds[OURS][level]))
        }
        row["beside"] = _spread(_over(slow[THEIRS][level], slow[OURS][level]))
        for name in measured:
            row[name] = {
                "seconds": round(statistics.median(seconds[name][level]), 3),
                "slowdown": _spread(slow[name][level]),
            }
        if "cpu" in measured[OURS][level][0]:
            cpu = {name: [run["cpu"] for run in measured[name][level]] for name in measured}
            row["cpu"] = {name: round(statistics.median(values), 1) for name, values in cpu.items()}
            row["cpu"]["ratio"] = _spread(_over(cpu[OURS], cpu[THEIRS]))
        found[str(level)] = row
    return found


def _over(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(above, below, strict=True)]


def _spread(ratios: Sequence[float]) -> dict[str, float]:
    return {
        "ratio": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "greatest": round(max(ratios), 3),
    }


@contextlib.contextmanager
def encoding(asked: argparse.Namespace, work: Path) -> Iterator[dict[str, Run]]:
    """Both sides with the model loaded, on the same paragraphs."""
    path = model_path(asked.model)
    contract = read_model_folder(path).contract
    texts = work / "texts.json"
    texts.write_text(json.dumps(timed_texts(asked.texts)[0]["paragraphs"]), encoding="utf-8")
    prompts = {"document": contract.prompt("document"), "query": contract.prompt("query")}
    children = {}
    try:
        for side, engine in ((THEIRS, "torch"), (OURS, "auto")):
            children[side] = Child(
                [sys.executable, str(HERE / "encode_side.py")], environment={"HF_HUB_OFFLINE": "1"}
            )
            words = {"library": side, "model": str(path), "engine": engine, "precision": "float32"}
            children[side].ask(do="load", **words, graph="", prompts=prompts)

        def run(side: str) -> Run:
            request = {"do": "run", "texts": str(texts), "role": "document", "vectors": None}
            children[side].ask(**request)
            return lambda: {"seconds": children[side].ask(**request)["seconds"]}

        yield {side: run(side) for side in children}
    finally:
        for child in children.values():
            child.close()


@contextlib.contextmanager
def training(asked: argparse.Namespace, work: Path) -> Iterator[dict[str, Run]]:
    """Both sides with the model in training on the same rows; ours keeps the token embeddings, as
    `nearfield tune` does.
    """
    steps = 1 + asked.rounds * len(asked.busy.split(","))
    facts = {
        "do": "open",
        "model": asked.model,
        "collection": asked.on,
        "steps": steps,
        "device": "cpu",
        "batch": asked.batch,
    }
    facts |= {
        "max_tokens": 128,
        "graph_tokens": 12288,
        "negatives": False,
        "rate": 2e-5,
        "precision": "float32",
        "engine": "auto",
    }
    children = {}
    try:
        for side in (THEIRS, OURS):
            children[side] = Child(
                [sys.executable, str(HERE / "train_side.py")], environment={"HF_HUB_OFFLINE": "1"}
            )
            children[side].ask(**facts, side=side, freeze=side == OURS)
            children[side].ask(do="steps", count=1)
        yield {side: _step(child) for side, child in children.items()}
    finally:
        for child in children.values():
            child.close()


def _step(child: Child) -> Run:
    return lambda: {"seconds": child.ask(do="steps", count=1)["seconds"]}


@contextlib.contextmanager
def tuning(asked: argparse.Namespace, work: Path) -> Iterator[dict[str, Run]]:
    """Whole runs: ours with negatives, guard, merge and verdict; the peer's training alone, on the
    pairs that ours trains on.
    """
    path = model_path(asked.model)
    source, pairs = work / "pairs.csv", work / "pairs.json"
    with open(source, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("query", "positive"), *_different(rows_of(asked.on, asked.pairs, negatives=False))]
        )
    pairs.write_text(json.dumps(_trained_on(source)), encoding="utf-8")
    guard = ["--guard", asked.guard] if asked.guard else []
    allowed = ["--allow", asked.allow] if asked.allow else []
    runs = iter(range(1_000_000))

    def ours() -> dict[str, float]:
        command = [
            str(Path(sys.executable).with_name("nearfield")),
            "tune",
            str(path),
            "--on",
            str(source),
            *guard,
            *allowed,
        ]
        return whole([*command, "--to", str(work / f"run-{next(runs)}")])

    def theirs() -> dict[str, float]:
        side = str(HERE / "tune_side.py")
        return whole([asked.peer, side, str(path), str(pairs), str(work / f"peer-{next(runs)}")])

    yield {THEIRS: theirs, OURS: ours}


def _different(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    return list(dict.fromkeys(tuple(row) for row in rows))


def _trained_on(source: Path) -> list[tuple[str, str]]:
    """The pairs of the train split that `nearfield tune` cuts of the file by its default recipe."""
    from nearfield import open_collection
    from nearfield.data.kept_split import with_all_splits

    cut, _ = with_all_splits(open_collection(str(source)), seed=0)
    split, texts = cut.split("train"), dict(zip(cut.document_ids, cut.document_texts, strict=True))
    queries = zip(split.query_ids, split.query_texts, strict=True)
    return [
        (text, texts[document])
        for query, text in queries
        for document, grade in split.relevance[query].items()
        if grade > 0
    ]


def whole(command: Sequence[str]) -> dict[str, float]:
    """Wall-clock and CPU seconds of a command and of all processes that it waited for. Ends this
    program where the command fails.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert process.stderr
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{Path(command[1]).name} ended with {process.returncode}:\n{said[-2000:]}")
    return {"seconds": round(seconds, 3), "cpu": round(used.ru_utime + used.ru_stime, 3)}


def table(result: dict[str, Any]) -> str:
    """The result in lines of text."""
    lines = [
        f"{result['model']}: slowdown beside busy processes, ours and {THEIRS}'; theirs over "
        "ours [least, greatest]"
    ]
    for part, levels in result["parts"].items():
        for level, row in levels.items():
            beside, faster = row["beside"], row["faster"]
            line = f"{part:7} beside {level}: " + ", ".join(
                f"{name} {row[name]['slowdown']['ratio']:.2f}x ({row[name]['seconds']:.2f} s)"
                for name in (OURS, THEIRS)
            )
            line += (
                f"; theirs over ours {beside['ratio']:.2f} [{beside['least']:.2f}, "
                f"{beside['greatest']:.2f}]"
            )
            line += f"; {faster['ratio']:.2f}x as fast"
            if "cpu" in row:
                line += (
                    f"; CPU {row['cpu'][OURS]:.0f} s to {row['cpu'][THEIRS]:.0f} s, "
                    f"{row['cpu']['ratio']['ratio']:.2f}x"
                )
            lines.append(line)
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--parts", default="encode,train,tune")
    parser.add_argument(
        "--busy",
        default="0,1,3",
        help="how many busy processes, commas between; slowdowns are over the first",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of encode and train")
    parser.add_argument("--tunes", type=int, default=1, help="rounds of tune")
    parser.add_argument("--texts", type=int, default=128)
    parser.add_argument(
        "--batch", type=int, default=64, help="of train; tune has the default recipe's 64"
    )
    parser.add_argument("--pairs", type=int, default=700)
    parser.add_argument(
        "--on", default="stdlib", help="where the pairs that are trained on come from"
    )
    parser.add_argument("--guard", default="pydoc-topics", help="of tune; none where empty")
    parser.add_argument("--allow", default="", help="an error of the doctor that tune goes on with")
    parser.add_argument(
        "--peer", default=sys.executable, help="the Python with sentence-transformers and datasets"
    )
    return parsed(parser)


if __name__ == "__main__":
    main()
