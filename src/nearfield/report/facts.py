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
FILES = {"folder": "", "about": "", "training": "", "findings": "doctor.json"}
"""The file of each part of RunFacts, where it is not called as the part; "" where it is read on
its own.
"""


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
class RunFacts:
    """What a run folder holds; None or empty where the run has not (yet) written that part."""

    folder: Path
    about: About
    recipe: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
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
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(RunFacts).items():
        path = folder / FILES.get(name, f"{name}.json")
        if path.suffix == ".json" and path.is_file():
            found[name] = decode(kind, read_json(path), Place(path))
    return RunFacts(
        folder=folder,
        about=_about(folder),
        training=tuple(_steps(folder / "training.jsonl")),
        **found,
    )


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
    """A last line that was cut off while it was written is left out; any other broken line is an
    error.
    """
    if not path.is_file():
        return
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                return
            raise InputError("is not a JSON object", path=path, line=number) from error
        yield decode(Step, value, Place(path, number))
