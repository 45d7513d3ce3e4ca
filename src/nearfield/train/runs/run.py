"""A run: a list of stages in a folder, each done once, and the verdict at their end.

Every command that trains something is a subclass of `Run` in a file of its own. What they share is
here: the splits and the leakage rule, the doctor, the guards, and the test split, which is measured
once.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Names
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nearfield.data.collection import Collection, Split
from nearfield.data.doctor.examine import examine, refuse
from nearfield.data.doctor.subject import ModelFacts
from nearfield.data.kept_split import split_of_run, with_all_splits, with_enough_dev
from nearfield.data.open import open_collection
from nearfield.data.pairs import Pairs
from nearfield.data.trained_on import TrainedOn, TrainingRun
from nearfield.errors import TruncationWarning
from nearfield.evaluate.compare import compare
from nearfield.evaluate.systems import System
from nearfield.evaluate.trained import TRAINED_ON, refuse_seen
from nearfield.retrieval.bm25 import first_found
from nearfield.store.run import RunFolder, refuse_within
from nearfield.train.data.leakage import train_positives, without_leaks
from nearfield.train.engine.environment import device_here, environment, same_environment
from nearfield.train.recipe import Recipe
from nearfield.train.runs.candidate import Candidate
from nearfield.train.runs.conclude import Measured, conclude, forgotten, verdict_of
from nearfield.train.runs.guard import BUILT_IN, Guard, GuardRule, guard_values, guards_of
from nearfield.train.runs.merge import Merged, search
from nearfield.train.runs.outlook import Outlook
from nearfield.train.setting import Setting
from nearfield.types.comparison import Comparison
from nearfield.types.finding import Finding
from nearfield.types.progress import Progress
from nearfield.types.verdict import Verdict

VERDICT = "verdict.json"
MADE = ("merge.json", "model")
"""The parts with which nothing is left to train."""
_FEW = 0.01  # of the held-out queries; published splits leak .3 % (scifact, wikiqa)


@dataclass(frozen=True)
class Stage:
    """A step of a run. `do` writes its parts into the run folder whole, and goes on from those that
    are there. `until` are the parts with which nothing is left to do; a stage without any is done
    whenever a later one is.
    """

    name: str
    do: Callable[[Progress], None]
    until: tuple[str, ...] = ()


def data_of(data: object) -> Collection:
    """The collection that `data` is, or that `open_collection` makes of it."""
    if isinstance(data, Collection):
        return data
    return open_collection(data)


@contextmanager
def locked_run(path: str | Path, *models: str | Path | None) -> Iterator[RunFolder]:
    """The run folder at `path` of what is made of these models, for one process at a time. Raises
    InputError as RunFolder does, and where it lies within the folder of a model.
    """
    refuse_within(path, *models)
    with RunFolder(path).locked() as folder, warnings.catch_warnings():
        # the doctor's findings and the comparison's notes say what was cut
        warnings.simplefilter("ignore", TruncationWarning)
        yield folder


def _settled(finding: Finding) -> bool:
    """Whether leaving a few train queries out, which the run does and says, settles the finding; a
    split that leaks more was not cut with care.
    """
    return finding.check == "leaked-queries" and finding.count < _FEW * finding.total


class Run(ABC):
    """A run in `folder`. A killed one goes on from the parts that are there, to the same result;
    the verdict is the last part.

    `nouns` are what is trained and what it is compared with. `given` is the data in the run's own
    splits, which the folder keeps; `collection` is that without the train queries that leak.
    `notes` say in words what was done to the data. `known`: what the models at hand were trained
    on, by name. A guard may lose up to `margin`, measured by `measure` in a pool of up to
    `pool_limit` documents; of the built-in one `guard_queries` of each half, where that is given.
    """

    nouns: tuple[str, str]
    given: Collection
    collection: Collection
    notes: tuple[str, ...]
    known: Mapping[str, TrainedOn]
    measure = Recipe().measure
    pool_limit = Recipe().pool
    margin = Recipe().merge.margin
    guard_queries: int | None = None

    def __init__(
        self, folder: RunFolder, setting: Setting, recipe: Any, *, precision: str = "float32"
    ) -> None:
        self.folder = folder
        self.setting = setting
        self.recipe = recipe
        folder.told = setting.rows
        self.device = device_here(setting.device, setting.group)
        here = environment(precision, self.device) | {"processes": setting.group.size}
        # a resumed run keeps the precision that it was begun with, also on another processor
        self.precision = same_environment(folder.once("environment.json", lambda: here), here)
        self.guards: list[Guard] = []

    def take(self, collection: Collection, *, leaks: bool = True) -> None:
        """Cut the collection as this run wants it, or as the folder keeps it, and leave out the
        train queries that are held out, too.
        """
        self.given, self.notes = split_of_run(
            self.folder.path / "split.json", collection, lambda: self.cut(collection)
        )
        self.collection = self.given
        if leaks:
            self.collection, left_out = without_leaks(self.given)
            self.notes = (*self.notes, *left_out)

    def cut(self, given: Collection) -> tuple[Collection, tuple[str, ...]]:
        """Train, dev and test where they are missing, a larger dev where it is too small, and what
        was done, in words.
        """
        seed = self.recipe.seed
        return with_enough_dev(*with_all_splits(given, seed=seed), seed=seed)

    @abstractmethod
    def stages(self, allow: Names[str]) -> list[Stage]:
        """What the run goes through."""

    @abstractmethod
    def measure_test(self, split: Split, progress: Progress) -> Measured:
        """Measure the test split."""

    def compared(self, systems: Sequence[System], split: Split) -> Comparison:
        """These rows on the split, by the run's measure first."""
        # the doctor's stage has refused what was trained on the split, or was told to go on
        return compare(systems, split, measure=self.measure, allow=(TRAINED_ON,))

    def work(self) -> Mapping[str, float]:
        """About what each stage takes, in texts to encode (see `Outlook`)."""
        return {}

    @property
    def held(self) -> list[Split]:
        """The splits that this run measures, as far as the data has them."""
        data = self.collection
        return [data.split(name) for name in ("dev", "test") if name in data.splits]

    @property
    def dev_queries(self) -> int:
        """How many queries choose what is kept."""
        return len(self.collection.split("dev").query_ids)

    def queries_learned(self) -> Sequence[str]:
        """The texts of the queries that are learned from."""
        return self.collection.split("train").query_texts

    def documents_learned(self) -> Sequence[str]:
        """The texts of the documents that are learned from, of any number."""
        return self.collection.document_texts[sorted(train_positives(self.collection))]

    @property
    def learnt(self) -> TrainingRun:
        """The queries that this run trains on, chooses with and is measured on."""
        held = {split.name: split.query_texts for split in self.held}
        return TrainingRun.of(self.queries_learned(), **held)

    def identify(
        self, guards: Sequence[str] | None, facts: Mapping[str, Any], about: Mapping[str, Any]
    ) -> None:
        """Write what decides the result, or raise InputError where the folder holds another run.
        `facts` say which models it is of, `about` what a report says besides. `guards` of None is
        the built-in one, where this run leaves enough of it.
        """
        data = self.collection
        trained = TrainedOn((self.learnt,))
        for each in self.known.values():
            trained = each | trained
        if isinstance(guards, str):
            guards = (guards,)
        built_in = guards is None
        rule = GuardRule(
            self.measure,
            self.pool_limit,
            data.split("test").query_texts if "test" in data.splits else (),
            trained,
            # all of these are read, which a run without a guard has no use for
            self.documents_learned() if guards or built_in else (),
            self.guard_queries if built_in else None,
        )
        self.guards, left_out = guards_of(guards, rule)
        if left_out:
            self.notes = (*self.notes, left_out)
        named = guards
        if built_in:
            named = () if left_out else BUILT_IN
        # what decides the result: with another value it is another run
        decides = {
            **facts,
            "collection": self.given.name,
            "fingerprint": data.fingerprint,
            "guards": {guard.name: guard.fingerprint for guard in self.guards},
            "notes": list(self.notes),
        }
        self.folder.identify("recipe.json", dataclasses.asdict(self.recipe))
        self.folder.identify("data.json", decides)
        # what a report says besides, which no resumed run is refused for
        said = {
            "format": 1,
            "collection": data.name,
            "split_sizes": {name: len(data.split(name).query_ids) for name in data.splits},
            "documents": len(data.documents),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "notes": list(self.notes),
            "to": str(self.folder.path),
            "source": self.setting.source or data.name,
            "guards": list(named or ()),
        }
        self.folder.once("run.json", lambda: said | dict(about))

    def verdict(self, title: str, allow: Names[str]) -> Verdict:
        """Go through the stages that are left, and give the verdict on data with a test split."""
        found = self.verdict_if_judged(title, allow)
        assert found is not None
        return found

    def verdict_if_judged(self, title: str, allow: Names[str]) -> Verdict | None:
        """As `verdict`; None where the data has no test split."""
        stages = self.stages(allow)
        undone = [stage for stage in stages if not all(map(self.folder.has, stage.until))]
        if undone:
            # what leaves no part leaves something in memory, which a later stage needs
            left = [stage for stage in stages if stage in undone or not stage.until]
            with self.setting.watch(title) as watched:
                work = self.work()
                expected = {stage.name: work.get(stage.name, 0.0) for stage in left}
                outlook = Outlook(expected, watched)
                for stage in left:
                    self._go_through(stage, outlook)
        held = self.folder.read(VERDICT)
        return None if held is None else verdict_of(held)

    def _go_through(self, stage: Stage, outlook: Outlook) -> None:
        """Do one stage, and add its seconds to run.json."""
        started = time.perf_counter()
        with outlook.stage(stage.name) as progress:
            stage.do(progress)
        about = self.folder.read("run.json")
        seconds = about.setdefault("seconds", {})
        before = seconds.get(stage.name, 0.0)  # a resumed run goes through some stages again
        seconds[stage.name] = round(before + time.perf_counter() - started, 1)
        self.folder.write("run.json", about)

    def doctor(
        self, allow: Names[str], model: ModelFacts | None, *more: Collection | Pairs
    ) -> Stage:
        """The first stage, which stops where the doctor finds an error that is not allowed, and
        where a model was trained on what it is measured on.
        """

        def found(progress: Progress) -> list[Finding]:
            findings: list[Finding] = []
            for data in (self.given, *more):
                findings += examine(data, model=model, first=first_found, progress=progress)
            return findings

        def ask(progress: Progress) -> None:
            seen = [name for name in allow if name == TRAINED_ON]
            refuse_seen(self.known, *self.held, allow=seen)
            kept = self.folder.once("doctor.json", lambda: found(progress))
            findings = [Finding(**finding) for finding in kept]
            others = [name for name in allow if name != TRAINED_ON]
            if self.collection is not self.given:  # without the train queries that are held out
                others += [each.check for each in findings if _settled(each)]
            refuse(findings, allow=others)

        return Stage("doctor", ask)

    def test(self, *others: str) -> Stage:
        """The last stage, which measures the test split, once, and leaves `others` beside the
        comparison and the verdict.
        """

        if "test" not in self.collection.splits:
            return Stage("test", lambda progress: self.folder.write(VERDICT, None), (VERDICT,))
        parts = [f"{name}.json" for name in ("comparison", *others)]
        return Stage("test", self._measure_and_conclude, (*parts, VERDICT))

    def _measure_and_conclude(self, progress: Progress) -> None:
        found = self.measure_test(self.collection.split("test"), progress)
        self.folder.write("comparison.json", found.comparison)
        for name, part in found.others.items():
            self.folder.write(f"{name}.json", part)
        before = self.folder.read("baseline.json")["reported"]
        after = guard_values(self.guards, found.made, reporting=True)
        lost = forgotten(self.guards, before, after, self.margin)
        verdict = conclude(found, self.nouns, forgotten=lost, dev_queries=self.dev_queries)
        # last, as a run with a verdict is finished
        self.folder.write(VERDICT, verdict)

    def back_off(
        self,
        shares: Sequence[float],
        known: dict[float, float],
        *,
        put: Callable[[float], Candidate],
        dev: Callable[[float], float],
        progress: Progress,
    ) -> None:
        """Keep in merge.json which of the `shares` of what was trained is taken (see `search`).
        `dev` gives what chooses at a share, `known` what of it is known, at 0 at least; `put` gives
        what a guard is measured with.
        """

        def measured(share: float) -> float:
            progress(len(known), len(shares), f"dev at tuned share {share:g}")
            if share not in known:
                known[share] = dev(share)
            return known[share]

        def guarded(share: float) -> Mapping[str, float]:
            progress(len(shares), len(shares), f"guards at tuned share {share:g}")
            return guard_values(self.guards, put(share))

        def found() -> list[Merged]:
            frozen = self.folder.read("baseline.json")["guards"]
            base = Merged(0.0, known[0.0], frozen, allowed=True)
            return search(base, shares, dev=measured, guards=guarded, margin=self.margin)

        self.folder.once("merge.json", found)

    @property
    def taken(self) -> Merged:
        """What merge.json has of the share of what was trained that was taken."""
        rows = [Merged(**row) for row in self.folder.read("merge.json")]
        (found,) = [row for row in rows if row.chosen]
        return found

    @property
    def chosen(self) -> float:
        """The share of what was trained that was taken."""
        return self.taken.ratio

    def guards_before(
        self, base: Candidate, progress: Progress, *, reported: Candidate | None = None
    ) -> dict[str, dict[str, float]]:
        """What `base` reaches on each guard's halves: `guards` to choose with, `reported` for the
        verdict, this by another candidate where one is given.
        """
        guards = guard_values(self.guards, base, progress=progress)
        after = base if reported is None else reported
        before = guard_values(self.guards, after, reporting=True, progress=progress)
        return {"guards": guards, "reported": before}
