from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nearfield.errors import InputError
from nearfield.report.facts import read_run
from nearfield.types.verdict import BETTER

PARTS = [
    ("recipe", "recipe.json"),
    ("environment", "environment.json"),
    ("data", "data.json"),
    ("findings", "doctor.json"),
    ("comparison", "comparison.json"),
    ("storage", "storage.json"),
    ("training", "training.jsonl"),
    ("merge", "merge.json"),
    ("verdict", "verdict.json"),
    ("queries", "queries.json"),
    ("examples", "examples.json"),
]


def change(path: Path, edit: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))


def test_a_whole_run_is_read(run_folder: Path) -> None:
    facts = read_run(run_folder)
    assert facts.verdict
    assert facts.verdict.outcome == BETTER
    assert facts.comparison
    assert facts.comparison.rows[0].name == "minilm tuned"
    assert len(facts.comparison.rows[0].per_query) == len(facts.queries) == 400
    assert facts.training[0].dev == 0.548
    assert facts.examples[0].after_ranking[0].relevance in (0, 1)


@pytest.mark.parametrize(("part", "file"), PARTS)
def test_each_part_but_the_first_may_be_missing(
    make_run: Callable[..., Path], tmp_path: Path, part: str, file: str
) -> None:
    folder = make_run(tmp_path / "run", n=20)
    (folder / file).unlink()
    facts = read_run(folder)
    assert not vars(facts).get(part)
    assert not vars(facts.origin).get(part)
    assert part in {*vars(facts), *vars(facts.origin)}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing: is not a folder"):
        read_run(tmp_path / "missing")
    with pytest.raises(InputError, match=r"holds no run\.json"):
        read_run(tmp_path)


BROKEN: list[tuple[str, Callable[[Any], Any], str]] = [
    (
        "run.json",
        lambda run: {**run, "format": 2},
        r"run\.json: has format 2; this nearfield "
        r"reads format 1",
    ),
    ("run.json", lambda run: [], r"run\.json: is '\[\]'; wanted an object"),
    (
        "verdict.json",
        lambda v: {**v, "p": "small"},
        r"verdict\.json: p: is 'small'; wanted a "
        r"number",
    ),
    (
        "verdict.json",
        lambda v: {**v, "queries": 2.5},
        r"verdict\.json: queries: is '2\.5'; wanted "
        r"a whole number",
    ),
    (
        "verdict.json",
        lambda v: {k: v[k] for k in ("p", "queries")},
        r"verdict\.json: lacks 'outcome'; it has p, queries",
    ),
    (
        "comparison.json",
        lambda c: {
            **c,
            "rows": [{**c["rows"][0], "estimate": {"mean": 1, "low": None, "high": 2}}],
        },
        r"rows\[0\]\.estimate\.low: is null",
    ),
    (
        "merge.json",
        lambda m: [{**m[0], "allowed": 1}],
        r"\[0\]\.allowed: is '1'; wanted true or "
        r"false",
    ),
    ("queries.json", lambda q: {"a": 1}, r"queries\.json: is .*; wanted a list"),
]


@pytest.mark.parametrize(("file", "edit", "message"), BROKEN)
def test_a_broken_part_is_named(
    make_run: Callable[..., Path],
    tmp_path: Path,
    file: str,
    edit: Callable[[Any], Any],
    message: str,
) -> None:
    folder = make_run(tmp_path / "run", n=20)
    change(folder / file, edit)
    with pytest.raises(InputError, match=message):
        read_run(folder)


def test_half_a_json_names_file_and_line(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n=20)
    text = (folder / "queries.json").read_text()
    (folder / "queries.json").write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"queries\.json:\d+: is not JSON"):
        read_run(folder)


def test_training_lines(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n=20)
    path = folder / "training.jsonl"
    path.write_text('{"step": 1, "loss": NaN, "later": 3}\n{"step": 2, "lo')
    (only,) = read_run(folder).training
    assert only.loss is not None
    assert math.isnan(only.loss)
    path.write_text('{"step": 1}\n{"st\n{"step": 2}\n')
    with pytest.raises(InputError, match=r"training\.jsonl:2: is not a JSON object"):
        read_run(folder)
    path.write_text('{"step": 1}\n7\n')
    with pytest.raises(InputError, match=r"training\.jsonl:2: is '7'; wanted an object"):
        read_run(folder)
