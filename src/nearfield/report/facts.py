"""A run folder read and checked, once, for the page and the model card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from nearfield.errors import InputError
from nearfield.report.decode import Place, decode
from nearfield.store.fields import read_json
from nearfield.types.comparison import Comparison
from nearfield.types.finding import Finding
from nearfield.types.verdict import Verdict

FORMAT = 1


@dataclass(frozen=True)
class About:
    """run.json: what was tuned on what; `kind` is that of the model's embeddings. `seconds` holds
    each stage's time; `source`, `guards` and `to` are the command's arguments.
    """

    model: str
    collection: str
    format: int = FORMAT
    split_sizes: Mapping[str, int] = field(default_factory=dict)
    documents: int = 0
    started: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: str = ""
    guards: tuple[str, ...] = ()
    to: str = ""
    kind: str = "dense"


@dataclass(frozen=True)
class Step:
    """One line of training.jsonl: a step with its loss, or an evaluation with `dev`."""

    step: int
    loss: float | None = None
    rate: float | None = None
    pairs_per_second: float | None = None
    dev: float | None = None
    measure: str = ""


@dataclass(frozen=True)
class MergeChoice:
    """One mix of tuned and base weights; `ratio` is the share of tuned weights."""

    ratio: float
    dev: float
    guards: Mapping[str, float]
    allowed: bool
    chosen: bool


@dataclass(frozen=True)
class QueryChange:
    """A test query and the main measure before and after tuning."""

    id: str
    text: str
    before: float
    after: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


@dataclass(frozen=True)
class Hit:
    """A document that a ranking returned; relevant where `relevance` is above 0."""

    id: str
    text: str
    score: float
    relevance: int
    title: str = ""


@dataclass(frozen=True)
class Example:
    """A query with its first results before and after tuning."""

    id: str
    text: str
    before: float
    after: float
    before_ranking: tuple[Hit, ...]
    after_ranking: tuple[Hit, ...]


@dataclass(frozen=True)
class FusionChoice:
    """What the score of each head counts for, by kind, and dev's mean with the weights of before
    and with these.
    """

    weights: Mapping[str, float]
    before: float
    dev: float


@dataclass(frozen=True)
class Origin:
    """What a run was made of, so that it can be made again: its recipe, the fingerprints of its
    model and data, and the versions and machine.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFacts:
    """What a run folder holds; None or empty where the run has not (yet) written that part."""

    folder: Path
    about: About
    origin: Origin = field(default_factory=Origin)
    findings: tuple[Finding, ...] | None = None
    comparison: Comparison | None = None
    storage: Comparison | None = None
    training: tuple[Step, ...] = ()
    merge: tuple[MergeChoice, ...] = ()
    fusion: FusionChoice | None = None
    verdict: Verdict | None = None
    queries: tuple[QueryChange, ...] = ()
    examples: tuple[Example, ...] = ()


def read_run(folder: str | Path) -> RunFacts:
    """The facts in the run folder at `folder`. Parts that are not there are left empty; run.json
    must be there.

    Raises InputError that names the file, and the field or line, where something is broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            "is not a folder; give the folder of a run, as `nearfield tune` printed it", path=folder
        )
    if not (folder / "run.json").is_file():
        raise InputError("holds no run.json, so `nearfield tune` did not write it", path=folder)
    return RunFacts(
        folder=folder,
        about=_about(folder),
        origin=Origin(**_parts(folder, Origin, _ORIGIN)),
        training=tuple(_steps(folder / "training.jsonl")),
        **_parts(folder, RunFacts, _RESULTS),
    )


_ORIGIN = {"recipe": "recipe.json", "data": "data.json", "environment": "environment.json"}
_RESULTS = {
    "findings": "doctor.json",
    "comparison": "comparison.json",
    "storage": "storage.json",
    "merge": "merge.json",
    "fusion": "fusion.json",
    "verdict": "verdict.json",
    "queries": "queries.json",
    "examples": "examples.json",
}


def _parts(folder: Path, facts: type, files: Mapping[str, str]) -> dict[str, Any]:
    """The fields of `facts` whose file is in the folder: `files` by field."""
    hints = get_type_hints(facts)
    found = {}
    for name, file in files.items():
        path = folder / file
        if path.is_file():
            found[name] = decode(hints[name], read_json(path), Place(path))
    return found


def _about(folder: Path) -> About:
    path = folder / "run.json"
    about: About = decode(About, read_json(path), Place(path))
    if about.format != FORMAT:
        raise InputError(
            f"has format {about.format}; this nearfield reads format {FORMAT}: use "
            "the version that wrote it",
            path=path,
        )
    return about


def _steps(path: Path) -> Iterator[Step]:
    """The lines of training.jsonl; none where there is no such file."""
    if not path.is_file():
        return
    # a whole file ends in an empty part here: one that is not empty is a line that was cut off
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            # a run that was killed while it wrote leaves the last line without its newline
            if number == len(lines):
                return
            raise InputError("is not a JSON object", path=path, line=number) from error
        yield decode(Step, value, Place(path, number))
