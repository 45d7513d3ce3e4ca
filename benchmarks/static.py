"""Static models on a CPU: encode speed beside the transformer they take after and beside model2vec,
and quality beside another's.

    python benchmarks/static.py STATIC... [--teacher minilm] [--on scifact] [--texts 2000] [--rounds
        5] [--save] [--json]

Sides take turns in one process on the same documents. A ratio is the teacher's seconds over a
side's in the same round, and `over_model2vec` model2vec's over ours; the median over rounds is
given with the least and the greatest. The teacher reads every twentieth text, and its seconds are
scaled to all. Quality is `nearfield evaluate STATIC... --on DATA`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from interleave import interleaved, ratios, timed
from model2vec import StaticModel
from results import circumstances, parsed, save

from nearfield import load, open_collection
from nearfield.encoders.text import TextEncoder
from nearfield.train.runs.static import DistilRecipe, distil

SHARE = 20  # the teacher reads one text in so many
OURS, PEER, TEACHER = "nearfield", "model2vec", "teacher"


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    documents = open_collection(arguments.on).document_texts
    texts = [
        documents[int(at)]
        for at in np.linspace(0, len(documents) - 1, min(arguments.texts, len(documents)))
    ]
    result = circumstances() | {"on": arguments.on, "texts": len(texts), "rounds": arguments.rounds}
    teacher = load(arguments.teacher)
    result |= {
        "teacher": f"{arguments.teacher} {teacher.runtime.name} {teacher.precision}",
        "models": {},
    }
    with tempfile.TemporaryDirectory() as work:
        run = Path(work, f"{Path(arguments.teacher).name}-distilled")
        models = arguments.models or [str(run / "model")]
        if not arguments.models:
            recipe = DistilRecipe(dim=min(256, teacher.contract.dim))
            distil(arguments.teacher, to=run, recipe=recipe)
        for path in models:
            result["models"][Path(path).name] = compare(path, teacher, texts, arguments.rounds)
    if arguments.save:
        print(save("static", result))
    print(json.dumps(result, indent=1) if arguments.json else _table(result))


def compare(
    path: str, teacher: TextEncoder[Any], texts: Sequence[str], rounds: int
) -> dict[str, dict[str, Any]]:
    """Texts a second of each side, and its ratio with spread."""
    encoder, peer = load(path), StaticModel.from_pretrained(path)
    read = timed(lambda: teacher.encode(texts[::SHARE], "document"))
    sides: dict[str, Callable[[], float]] = {
        OURS: timed(lambda: encoder.encode(texts, "document")),
        PEER: timed(lambda: peer.encode(texts)),
        TEACHER: lambda: read() * len(texts) / len(texts[::SHARE]),
    }
    for side in sides.values():
        side()  # not counted: the first run warms up
    seconds = interleaved(sides, rounds)
    found: dict[str, dict[str, Any]] = {
        name: dict(row) for name, row in ratios(seconds, TEACHER).items()
    }
    for name, row in found.items():
        row["texts_per_second"] = round(len(texts) / statistics.median(seconds[name]))
    beside = ratios(seconds, PEER)[OURS]
    found[OURS]["over_model2vec"] = "{ratio:.2f} [{least:.2f}, {greatest:.2f}]".format(**beside)
    return found


def _table(result: dict[str, Any]) -> str:
    lines = [
        "{texts} documents of {on}; the seconds of the teacher, {teacher}, over a side's".format(
            **result
        )
    ]
    for model, sides in result["models"].items():
        lines += [
            f"{model} {name:10} {row['texts_per_second']:>12,} texts/s  {row['ratio']:.2f}x "
            f"[{row['least']:.2f}, {row['greatest']:.2f}]"
            + (f"  over model2vec {row['over_model2vec']}" if "over_model2vec" in row else "")
            for name, row in sides.items()
        ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models",
        nargs="*",
        help="static model folders; without one, a model distilled from the teacher now",
    )
    parser.add_argument("--teacher", default="minilm")
    parser.add_argument("--on", default="stdlib")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    return parsed(parser)


if __name__ == "__main__":
    main()
