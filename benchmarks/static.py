"""Static models on a CPU: encode speed beside the transformer they take after and beside model2vec, and quality beside another's.

    python benchmarks/static.py STATIC... [--teacher minilm] [--on scifact] [--texts 2000] [--rounds 5] [--json]

Sides take turns in one process on the same documents. A ratio is the teacher's (or model2vec's) seconds over ours in the same round;
the median over rounds is given with the least and the greatest. The teacher reads every twentieth text, and its seconds are
scaled to all. Quality is `nearfield evaluate STATIC... --on DATA`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from model2vec import StaticModel

from nearfield import load_encoder, open_collection
from nearfield.train.distil.static import distil
from nearfield.train.environment import environment

SHARE = 20  # the teacher reads one text in so many


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    documents = open_collection(arguments.on).document_texts
    texts = [documents[int(at)] for at in np.linspace(0, len(documents) - 1, min(arguments.texts, len(documents)))]
    teacher = load_encoder(arguments.teacher)
    rows = []
    if not arguments.models:
        arguments.models = [str(Path(tempfile.mkdtemp(), f"{Path(arguments.teacher).name}-distilled"))]
        distil(arguments.teacher, to=arguments.models[0])
    for path in arguments.models:
        encoder, peer = load_encoder(path), StaticModel.from_pretrained(path)
        sides: dict[str, Callable[[], object]] = {
            "ours": lambda: encoder.encode(texts, "document"),  # noqa: B023
            "model2vec": lambda: peer.encode(texts),  # noqa: B023
            "teacher": lambda: teacher.encode(texts[::SHARE], "document"),
        }
        rounds = [{name: _seconds(side) for name, side in sides.items()} for _ in range(arguments.rounds + 1)][1:]
        scale = len(texts) / len(texts[::SHARE])
        row: dict[str, object] = {
            "model": Path(path).name,
            "texts_per_second": round(len(texts) / statistics.median(r["ours"] for r in rounds)),
        }
        for name, factor in (("model2vec", 1.0), ("teacher", scale)):
            ratios = [factor * r[name] / r["ours"] for r in rounds]
            row[name] = [round(value, 2) for value in (statistics.median(ratios), min(ratios), max(ratios))]
        rows.append(row)
    if arguments.json:
        facts = {"teacher": arguments.teacher, "runtime": teacher.runtime.name, "on": arguments.on, "texts": len(texts)}
        print(json.dumps(facts | {"rounds": arguments.rounds, "machine": environment("auto"), "results": rows}, indent=1))
        return
    print(
        f"{len(texts)} documents of {arguments.on}; others' seconds over ours, median [least, greatest]; teacher on {teacher.runtime.name}"
    )
    for row in rows:
        shown = ", ".join(f"{name} {row[name][0]}x [{row[name][1]}, {row[name][2]}]" for name in ("model2vec", "teacher"))  # type: ignore[index]
        print(f"{row['model']}: {row['texts_per_second']:,} texts/s; {shown}")


def _seconds(side: Callable[[], object]) -> float:
    started = time.perf_counter()
    side()
    return time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="static model folders; without one, a model distilled from the teacher now")
    parser.add_argument("--teacher", default="minilm")
    parser.add_argument("--on", default="stdlib")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
