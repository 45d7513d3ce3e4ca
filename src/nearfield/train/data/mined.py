"""Hard negatives in a file that other tools train on, too: documents' vectors and finished blocks
of pairs lie on disk meanwhile.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.data.collection import Collection
from nearfield.data.kept_split import with_all_splits, with_enough_dev
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.errors import InputError
from nearfield.store.atomic import check_new, staged_file
from nearfield.store.run import RunFolder
from nearfield.train.data.mining import mine
from nearfield.train.data.prepare import open_corpus
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.recipe import Negatives, Recipe
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress, silent


@dataclass(frozen=True)
class Mined:
    """`rows` were written to `path`; `left_out` pairs had fewer negatives than were asked for."""

    path: Path
    rows: int
    left_out: int
    notes: tuple[str, ...]


def mine_to(
    path: str | Path,
    encoder: Encoder[Any],
    collection: Collection,
    negatives: Negatives,
    *,
    gap: float = 0.0,
    judge: PairScorer | None = None,
    progress: Progress = silent,
) -> Mined:
    """Write the train split's pairs with `negatives.per_query` hard negatives each to `path`, whole
    or not at all: JSON lines of `query`, `positive`, `negative_1` to `negative_n`, which
    sentence-transformers takes as they are.

    The splits are those of `nearfield tune`, and what dev or test judges is no negative. `gap` and
    `judge`: see `nearfield.train.data.mining.mine`. What is done lies in the folder `path` +
    `.mining` until the file is written: the same call after a kill goes on there, another one
    begins again. Raises InputError where something is at `path` or no pair has enough negatives.
    """
    check_new(path)
    recipe = Recipe(negatives=negatives)
    whole, notes = with_enough_dev(*with_all_splits(collection, seed=recipe.seed), seed=recipe.seed)
    with RunFolder(Path(path).with_name(f"{Path(path).name}.mining")).locked() as folder:
        # the mark of a run's folder, by which a later process knows it
        folder.once("environment.json", dict)
        facts = {
            "model": encoder.contract.name,
            **(encoder.identity or {}),
            "judge": "" if judge is None else judge.name,
            "collection": whole.fingerprint,
            "negatives": asdict(negatives),
            "gap": gap,
        }
        _begin_again_unless(folder, facts)
        vectors = folder.path / "vectors"
        corpus = open_corpus(encoder, whole, progress=progress, folder=vectors)
        keep = partial(_kept, folder.path)
        pairs = mine(encoder, corpus, recipe, gap=gap, judge=judge, keep=keep)
        # sentence-transformers takes columns of equal length
        full = np.flatnonzero((pairs.negatives >= 0).all(1))
        if len(full):
            _write(path, pairs, full, whole)
    # once the lock is let go of, which lies in it
    shutil.rmtree(folder.path)
    if not len(full):
        raise InputError(
            f"{whole.name}: none of {len(pairs):,} pairs has {negatives.per_query} negatives; "
            "ask for fewer per query, look deeper, or allow a smaller margin"
        )
    return Mined(Path(path), len(full), len(pairs) - len(full), notes)


def _begin_again_unless(folder: RunFolder, facts: dict[str, Any]) -> None:
    """Remove what is in the folder unless it was begun with these facts."""
    facts = json.loads(json.dumps(facts))  # tuples become lists, as those that are read are
    if not folder.has("data.json") or folder.read("data.json") != facts:
        shutil.rmtree(folder.path / "vectors", ignore_errors=True)
        for block in folder.path.glob("*.npy"):
            block.unlink()
        folder.write("data.json", facts)


def _kept(folder: Path, number: int, found: Callable[[], Positions]) -> Positions:
    """The negatives of a block, from its file where there is one."""
    file = folder / f"{number:06d}.npy"
    if not file.exists():
        with staged_file(file) as stage, open(stage, "wb") as out:
            np.save(out, found())
    negatives: Positions = np.load(file)
    return negatives


def _write(path: str | Path, pairs: TrainingPairs, rows: Positions, whole: Collection) -> None:
    queries = whole.split("train").query_texts
    documents = whole.document_texts
    with staged_file(path) as stage, open(stage, "w", encoding="utf-8") as file:
        for at in rows.tolist():
            texts = [documents[place] for place in pairs.negatives[at].tolist()]
            row = _row(queries[int(pairs.query[at])], documents[int(pairs.positive[at])], texts)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _row(query: str, positive: str, negatives: Sequence[str]) -> dict[str, str]:
    numbered = {f"negative_{number}": text for number, text in enumerate(negatives, 1)}
    return {"query": query, "positive": positive, **numbered}
