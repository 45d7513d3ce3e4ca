"""Intervals of a mean paired difference by simulation: coverage, width, and whether they agree with
the paired test.

    python benchmarks/intervals.py [--repeats 2000]

Differences as those of nDCG@10 are: discrete, many of them 0, skewed. Beside the interval that is
used (`mean_differences`) Student's, the symmetric bootstrap-t, and the means that the test would
not reject. `agrees` is the share of samples in which the interval holds 0 exactly where the test's
p is 5 % or more. The last column is the share of samples shown at 5 % of as many queries as
`queries_needed` says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearfield.statistics.bootstrap import mean_intervals
from nearfield.statistics.differences import mean_differences
from nearfield.statistics.power import queries_needed
from nearfield.statistics.randomisation import paired_tests

Floats = npt.NDArray[np.float64]
Ends = tuple[Floats, Floats]
QUERIES = (8, 10, 13, 20, 30, 50)
BLOCK = 100  # samples that share resamples and flips
GAINS = 1 / np.log2(np.arange(2, 12))  # nDCG@10 of one relevant document at ranks 1 to 10


def ndcg(random: np.random.Generator, size: tuple[int, ...], zero: float, one: float) -> Floats:
    """nDCG@10 with one relevant document: 0, 1, or that of another rank."""
    place = random.random(size)
    return np.where(
        place < zero, 0, np.where(place < zero + one, 1, GAINS[random.integers(1, 10, size)])
    )


def of_two(same: float, better: float) -> Callable[[np.random.Generator, tuple[int, ...]], Floats]:
    """Differences of two systems that give a share of queries the `same`; the second finds more by
    `better`.
    """

    def draw(random: np.random.Generator, size: tuple[int, ...]) -> Floats:
        first, second = (
            ndcg(random, size, 0.22, 0.4),
            ndcg(random, size, 0.22 - better, 0.4 + better),
        )
        return np.where(random.random(size) < same, 0, second - first)

    return draw


def skewed(random: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Three in four are 0, and four gains come to one small loss."""
    place = random.random(size)
    gains, losses = GAINS[random.integers(0, 10, size)], GAINS[random.integers(3, 10, size)]
    return np.where(place < 0.75, 0, np.where(place < 0.95, gains, -losses))


def of_beta(random: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Three in five are 0, the rest any number; gains are twice as frequent as losses."""
    place, value = random.random(size), random.beta(1.5, 3, size)
    return np.where(place < 0.6, 0, np.where(place < 0.87, value, -value))


FAMILIES = {
    "60 % alike": of_two(0.6, 0.15),
    "30 % alike": of_two(0.3, 0.15),
    "60 % zero, gains 2:1": of_beta,
    "75 % zero, gains 4:1": skewed,
    "30 % alike, no difference": of_two(0.3, 0.0),
}


def student(table: Floats) -> Ends:
    """Student's interval of each row."""
    n = table.shape[1]
    half = stats.t.ppf(0.975, n - 1) * table.std(1, ddof=1) / np.sqrt(n)
    return np.maximum(table.mean(1) - half, -1), np.minimum(table.mean(1) + half, 1)


def bootstrap_t(table: Floats, seed: int) -> Ends:
    """The symmetric bootstrap-t interval, at least Student's, of each row."""
    found = mean_intervals(table, resamples=1_000, seed=seed, bounds=(-1, 1))
    return np.array([each.low for each in found]), np.array([each.high for each in found])


def unrejected(table: Floats, seed: int) -> Ends:
    """The means of each row that the sign-flip test would not reject."""
    n, random = table.shape[1], np.random.default_rng(seed)
    every = ((np.arange(2 ** min(n, 13))[:, None] >> np.arange(min(n, 13))) & 1).astype(float)
    flipped = every if n <= 13 else random.integers(0, 2, (2_000, n)).astype(float)
    count, total = flipped.sum(1)[:, None], flipped @ table.T
    with np.errstate(invalid="ignore", divide="ignore"):
        ends = np.stack([total / count, (table.sum(1) - total) / (n - count)])
    low, high = np.nanmin(ends, axis=0), np.nanmax(ends, axis=0)
    none = (count[:, 0] == 0) | (count[:, 0] == n)
    low[none], high[none] = -1, 1
    place = int(np.ceil(0.05 * len(flipped))) - 1
    return np.sort(low, axis=0)[place], -np.sort(-high, axis=0)[place]


def used(table: Floats) -> Ends:
    """The interval that is used."""
    found, _ = mean_differences(table)
    return np.array([each.low for each in found]), np.array([each.high for each in found])


def measured(
    draw: Callable[..., Floats], n: int, truth: float, repeats: int
) -> dict[str, tuple[float, float, float]]:
    """Coverage, mean width and agreement with the test of each interval."""
    random, rows = np.random.default_rng(n), {}
    for block in range(repeats // BLOCK):
        table = draw(random, (BLOCK, n))
        shown = paired_tests(table) < 0.05
        intervals = {
            "used": used(table),
            "Student": student(table),
            "bootstrap-t": bootstrap_t(table, block),
        }
        for name, (low, high) in (intervals | {"unrejected": unrejected(table, block)}).items():
            covered, excluded = (low <= truth) & (truth <= high), (low > 0) | (high < 0)
            rows.setdefault(name, []).append(np.stack([covered, high - low, excluded == shown]))
    return {name: tuple(np.concatenate(parts, axis=1).mean(1)) for name, parts in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=2_000)
    repeats = parser.parse_args().repeats
    print(
        "| differences | n | interval | coverage | width | agrees |\n| --- | --- | --- | --- | "
        "--- | --- |"
    )
    for name, draw in FAMILIES.items():
        population = draw(np.random.default_rng(0), (4_000_000,))
        truth = 0.0 if "no difference" in name else float(population.mean())
        for n in QUERIES:
            for method, (covered, width, agrees) in measured(draw, n, truth, repeats).items():
                print(
                    f"| {name} | {n} | {method} | {covered:.3f} | {width:.3f} | {agrees:.3f} |",
                    flush=True,
                )
        needed = None if truth == 0 else queries_needed(population)
        if needed is not None:
            shown = (
                paired_tests(draw(np.random.default_rng(1), (repeats, needed)), permutations=1_999)
                < 0.05
            )
            print(
                f"| {name} | {needed} needed | shown in {shown.mean():.3f} of samples | | | |",
                flush=True,
            )


if __name__ == "__main__":
    main()
