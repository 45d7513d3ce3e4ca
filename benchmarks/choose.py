"""`choose` against the whole grid: is the same row taken, and for how much of the encoding?

    python benchmarks/choose.py minilm minilm-l3 potion-base-8m --on ../shared/data/scifact

prints a row for each seed: what is taken, how that compares with the grid's choice (paired test,
not corrected), and the share of the grid's encode time. Vectors come from the vector cache where it
has them, with the time that making them took.
"""

from __future__ import annotations

import argparse

import numpy as np

from nearfield.evaluate.analysis.choose import GRID, choose
from nearfield.evaluate.compare import compare
from nearfield.evaluate.decide import decide
from nearfield.statistics.differences import mean_difference
from nearfield.types.comparison import Comparison
from nearfield.types.numbers import changed, estimated, p_value


def verdict(grid: Comparison, best: str, taken: str) -> str:
    """How the row `taken` compares with the grid's own choice, on all of the data."""
    rows = {row.name: np.array(row.per_query) for row in grid.rows}
    if taken == best:
        return "the same"
    behind, p = mean_difference(rows[best] - rows[taken])
    return f"{changed(behind)} behind, {p_value(p)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--on", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    grid = compare(asked.models, asked.on, measure="nDCG@10", measures=["nDCG@10"], options=GRID)
    own = decide(grid).take
    assert own is not None
    print(f"the whole grid, {len(grid.rows)} rows: {own.name}, {estimated(own.estimate)}")
    print("| seed | taken | against the grid's choice | encode time |")
    print("| --- | --- | --- | --- |")
    for seed in range(asked.seeds):
        found = choose(asked.models, asked.on, seed=seed)
        decision = found.comparison.decision
        assert decision is not None
        assert decision.take is not None
        taken = decision.take.name
        said = verdict(grid, own.name, taken)
        print(f"| {seed} | {taken} | {said} | {found.work:.0%} |", flush=True)


if __name__ == "__main__":
    main()
