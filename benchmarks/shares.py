"""Shares of a model's quality, with 95 % intervals over the queries (percentiles of resampled
ratios): what cut vectors keep of whole ones, and what a student regains of its teacher's advantage.

    python benchmarks/shares.py cut runs/matryoshka
    python benchmarks/shares.py regained mpnet minilm-l3 runs/distilled/model --on stdlib

`cut` reads the table of dims that `nearfield tune` left in its run folder. `regained` asks the test
queries of the teacher, the student as it was, and the distilled student.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield import compare, open_collection
from nearfield.evaluate.task import Options
from nearfield.report.facts import read_run

Floats = npt.NDArray[np.float64]
RESAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    cut = what.add_parser("cut")
    cut.add_argument("run", type=Path)
    regained = what.add_parser("regained")
    for model in ("teacher", "student", "distilled"):
        regained.add_argument(model)
    regained.add_argument("--on", required=True)
    asked = parser.parse_args()
    if asked.what == "cut":
        show_cuts(asked.run)
    else:
        show_regained(asked.teacher, asked.student, asked.distilled, on=asked.on)


def show_cuts(run: Path) -> None:
    """A line for each dim of the base and of the tuned model, at float32."""
    storage = read_run(run).storage
    if storage is None:
        raise SystemExit(f"{run}: has no table of dims")
    for model in ("base", "tuned"):
        rows = [row for row in storage.rows if (row.model, row.storage) == (model, "float32")]
        rows.sort(key=lambda row: -row.dim)
        whole = np.array(rows[0].per_query)
        for row in rows:
            values = np.array(row.per_query)
            kept = share(values, whole, np.zeros(len(whole)))
            print(f"{model:6} {row.dim:4}  {values.mean():.4f}  keeps {kept}")


def show_regained(teacher: str, student: str, distilled: str, *, on: str) -> None:
    """The three means and the share."""
    split = open_collection(on).split("test")
    values = {}
    for model in (teacher, student, distilled):
        (row,) = compare([model], split, options=Options(bm25=False)).rows
        values[model] = np.array(row.per_query)
        print(f"{model}: {row.estimate.mean:.4f} [{row.estimate.low:.4f}, {row.estimate.high:.4f}]")
    print("regained", share(values[distilled], values[teacher], values[student]))


def share(part: Floats, whole: Floats, floor: Floats) -> str:
    """(part - floor) / (whole - floor) of means over queries, (n,) each, with its interval."""
    draw = np.random.default_rng(0)
    gains = np.stack([part - floor, whole - floor])
    found = [gains[:, draw.integers(len(part), size=len(part))].mean(1) for _ in range(RESAMPLES)]
    low, high = np.percentile([own / all_ for own, all_ in found], [2.5, 97.5])
    own, all_ = gains.mean(1)
    return f"{own / all_:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
