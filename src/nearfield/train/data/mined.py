"""Hard negatives in a file that other tools train on, too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.data.collection import Collection
from nearfield.data.kept_split import with_all_splits, with_enough_dev
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.errors import InputError
from nearfield.store.atomic import check_new, staged_file
from nearfield.train.data.prepare import mine, open_corpus
from nearfield.train.recipe import Negatives, Recipe
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
    `judge`: see `nearfield.train.data.prepare.mine`. Raises InputError where something is at `path`
    or no pair has enough negatives.
    """
    check_new(path)
    recipe = Recipe(negatives=negatives)
    whole, notes = with_enough_dev(*with_all_splits(collection, seed=recipe.seed), seed=recipe.seed)
    corpus = open_corpus(encoder, whole, progress=progress)
    pairs = mine(encoder, corpus, recipe, gap=gap, judge=judge)
    full = (pairs.negatives >= 0).all(1)
    if not full.any():
        raise InputError(
            f"{whole.name}: none of {len(pairs):,} pairs has {negatives.per_query} negatives; "
            "ask for fewer per query, look deeper, or allow a smaller margin"
        )
    queries = whole.split("train").query_texts
    documents = whole.document_texts
    with staged_file(path) as stage, open(stage, "w", encoding="utf-8") as file:
        for at in np.flatnonzero(full).tolist():
            texts = [documents[place] for place in pairs.negatives[at].tolist()]
            row = _row(queries[int(pairs.query[at])], documents[int(pairs.positive[at])], texts)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return Mined(Path(path), int(full.sum()), int((~full).sum()), notes)


def _row(query: str, positive: str, negatives: Sequence[str]) -> dict[str, str]:
    numbered = {f"negative_{number}": text for number, text in enumerate(negatives, 1)}
    return {"query": query, "positive": positive, **numbered}
