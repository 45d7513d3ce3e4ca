"""Peak memory of a training step whose batch is far larger than what fits with its graph: InfoNCE
with one hard negative a pair.

    python benchmarks/train_memory.py [MODEL] [--on stdlib] [--batch 1024] [--max-tokens 128]
        [--graph-tokens 12288]
                                      [--save] [--json]

The step runs in a process of its own; its peak is the kernel's VmHWM, with Python, torch, the
optimiser's state and all else in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from results import circumstances, save
from train_side import Ours, rows_of


def main() -> None:
    asked = _arguments()
    if asked.inside:
        print(json.dumps(step(asked)))
        return
    facts = circumstances()
    words = [sys.executable, __file__, *sys.argv[1:], "--inside"]
    found = json.loads(
        subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    if asked.save:
        print(save("train-memory", facts | found))
    if asked.json:
        print(json.dumps(facts | found, indent=1))
        return
    print(
        "{model}: {pairs} pairs, {tokens:,} tokens, {embedded_twice:,} of them embedded twice; "
        "{seconds:.0f} s a step, loss {loss:.4f}, "
        "peak {peak_gib:.2f} GiB, of which {before_gib:.2f} before the step".format(**found)
    )


def step(asked: argparse.Namespace) -> dict[str, object]:
    """One step, and what it took."""
    rows = rows_of(asked.on, asked.batch, True)
    facts = {
        "precision": "float32",
        "device": "cpu",
        "batch": asked.batch,
        "rate": 2e-5,
        "max_tokens": asked.max_tokens,
        "freeze": True,
        "graph_tokens": asked.graph_tokens,
        "engine": "auto",
    }
    side = Ours(asked.model, rows, facts)
    batch, before, started = next(side.prepared), peak(), time.perf_counter()
    loss = side.trainer.step(1, batch)
    found = {
        "model": asked.model,
        "pairs": len(batch.query),
        "tokens": batch.tokens,
        "embedded_twice": side.trainer.twice(batch),
    }
    return found | {
        "loss": loss,
        "seconds": time.perf_counter() - started,
        "before_gib": before,
        "peak_gib": peak(),
    }


def peak() -> float:
    """The most memory that this process has had, GiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--on", default="stdlib")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--graph-tokens", type=int, default=12288)
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
