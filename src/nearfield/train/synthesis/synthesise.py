"""From documents to queries for them that a model can be tuned on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield.data.collection import JUDGEMENTS, QUERIES, Collection
from nearfield.data.export import write_beir, write_rows
from nearfield.data.kept_split import with_judged_splits
from nearfield.data.open import open_collection
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.remote.budget import BUDGET
from nearfield.errors import CollectionError, InputError
from nearfield.store.atomic import check_new
from nearfield.train.data.leakage import (
    TRAIN,
    held_out_documents,
    held_out_queries,
    held_out_splits,
    relevance_by_position,
)
from nearfield.train.synthesis import WRITERS
from nearfield.train.synthesis.gates import Passed, Standard, Written, through_gates
from nearfield.train.synthesis.kept_queries import KeptQueries
from nearfield.train.synthesis.matched import Likeness
from nearfield.train.synthesis.templates import NAME as TEMPLATES
from nearfield.train.synthesis.writer import Document, Means, Order, Queries, Writer
from nearfield.types.arrays import Positions
from nearfield.types.figures import worded
from nearfield.types.progress import Progress, silent

_SAMPLE = 20_000  # documents whose words say which are common


@dataclass(frozen=True)
class Selection:
    """What of the data is written for, and what of that is kept: `documents` of them, drawn, 0 for
    all; `examples` real queries are shown to a model; all gates hold but those in `without`. The
    others are as in `Standard`.
    """

    documents: int = 0
    examples: int = 3
    top: int = 10
    overlap: float = 0.5
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Synthetic:
    """`kept` of the `written` queries for `documents` are at `path`; `held_out` documents are
    judged by a held-out split and got none, `unanswered` got none from the writer, and `fewer` got
    fewer than were ordered.

    `gates` is what each did, in order, and `styles` how many queries of each are kept. `before` and
    `after` compare what came to the gates, and what they kept, with real queries; None where there
    are none.
    """

    path: Path
    documents: int
    held_out: int
    unanswered: int
    fewer: int
    written: int
    kept: int
    gates: tuple[Passed, ...]
    styles: dict[str, int]
    before: Likeness | None
    after: Likeness | None
    notes: tuple[str, ...]


def synthesise(
    data: object,
    to: str | Path,
    *,
    writer: str = "templates",
    order: Order = Order(),  # noqa: B008 - frozen
    selection: Selection = Selection(),
    retriever: Encoder[Any] | None = None,
    price: tuple[float, float] | None = None,
    progress: Progress = silent,
) -> Synthetic:
    """Write queries for the documents of `data`, which `open_collection` takes, and keep those that
    pass the gates, at `to`: pairs (query, positive, style) in a JSON lines file, or else a BEIR
    folder of the collection with the queries in its train split. Nothing there is replaced.

    `writer` is `templates`, a local model's name or folder, or the address of a model behind an API
    (see `open_writer`). Of the data's own queries, those that no held-out split asks are real
    ones: examples of them are shown to the writer, unless the order has its own, and the gate
    like-real compares with them. A document that a held-out split judges, or nearly the same, gets
    no query. What a model wrote is kept in the cache, so that a run that was killed, or one with
    other gates, does not have it written, or paid for, again.

    Raises InputError, CollectionError where nothing is left, BudgetError before more is asked for
    than may be paid, VendorError where an API does not answer.
    """
    check_new(to)
    collection, notes = _split(open_collection(data))
    real = _real_queries(collection)
    if not order.examples:  # before the writer is opened: what it wrote is kept by its order
        examples = _examples(collection, selection.examples, order.seed)
        order = replace(order, examples=examples)
    author = open_writer(writer, order, Means(_sample(collection), price))
    standard = Standard(
        collection,
        real,
        retriever,
        selection.top,
        selection.overlap,
        seed=order.seed,
    )
    # a gate's wrong name is said before anything is written, or paid for
    through_gates(Written(np.empty(0, np.int64), (), ()), standard, selection.without)
    places, held = _chosen(collection, selection.documents, order.seed)
    found = _written(collection, places, author, progress)
    written = _listed(places, found)
    kept, gates = through_gates(written, standard, selection.without)
    if not len(kept):
        raise CollectionError(
            f"{collection.name}: none of {len(written):,} queries for {len(places):,} documents "
            "passed the gates; leave one out, or have more written"
        )
    _write(collection, kept, Path(to))
    return Synthetic(
        path=Path(to),
        documents=len(places),
        held_out=held,
        unanswered=sum(not each for each in found),
        fewer=sum(0 < len(each) < order.per_document for each in found),
        written=len(written),
        kept=len(kept),
        gates=tuple(gates),
        styles=dict(Counter(kept.styles).most_common()),
        before=Likeness.of(written.texts, real) if real else None,
        after=Likeness.of(kept.texts, real) if real else None,
        notes=notes,
    )


def open_writer(name: str, order: Order, means: Means) -> Writer:
    """The writer of this name. Raises InputError where nothing is called so, and as `Writer.open`
    does.
    """
    for kind in WRITERS:
        found = WRITERS[kind].open(name, order, means)
        if found is not None:
            return found
    raise InputError(
        f"nothing that writes queries is called {name!r}; wanted {TEMPLATES}, a folder or a name "
        "of a local model, or an address such as http://host:8000/v1#model"
    )


def with_queries(collection: Collection, written: Written) -> Collection:
    """The collection with the queries in its train split, each one's id that of its document, `#q`
    and a number.
    """
    numbers: Counter[int] = Counter()
    ids = collection.document_ids
    queries = []
    judged = []
    for place, text in zip(written.documents.tolist(), written.texts, strict=True):
        name = f"{ids[place]}#q{numbers[place]}"
        numbers[place] += 1
        queries.append({"id": name, "text": text, "group": ""})
        judged.append({"query": name, "document": ids[place], "relevance": 1, "split": TRAIN})
    more = pa.Table.from_pylist
    return replace(
        collection,
        queries=pa.concat_tables([collection.queries, more(queries, QUERIES)]),
        judgements=pa.concat_tables([collection.judgements, more(judged, JUDGEMENTS)]),
        documents_only=False,
    )


def _sample(collection: Collection) -> Sequence[str]:
    """Texts of documents that lie evenly spread."""
    texts = collection.document_texts
    spread = np.linspace(0, len(texts) - 1, min(_SAMPLE, len(texts)))
    return texts[np.unique(spread.astype(np.int64))]


def _split(collection: Collection) -> tuple[Collection, tuple[str, ...]]:
    """The collection in the splits that a tune on it measures with, and what was done."""
    if not collection.splits or "test" in collection.splits:
        return collection, ()
    return with_judged_splits(collection, seed=0)


def _real_queries(collection: Collection) -> list[str]:
    """All queries that no held-out split asks."""
    texts = collection.query_texts
    if not len(texts):
        return []
    _, held = held_out_queries(collection, texts)
    return [texts[row] for row in np.flatnonzero(~held).tolist()]


def _examples(collection: Collection, count: int, seed: int) -> tuple[tuple[str, str], ...]:
    """Queries of train, each with the first document that it finds relevant."""
    if TRAIN not in collection.splits:
        return ()
    train = collection.split(TRAIN)
    _, held = held_out_queries(collection, train.query_texts)
    relevant = relevance_by_position(collection, train)
    usable = [row for row, judged in enumerate(relevant) if judged and not held[row]]
    rows = np.random.default_rng(seed).permutation(usable)[:count].tolist()
    texts = collection.document_texts
    return tuple((train.query_texts[row], texts[min(relevant[row])]) for row in rows)


def _chosen(collection: Collection, most: int, seed: int) -> tuple[Positions, int]:
    """Positions of the documents that are written for, ascending, and how many are held out."""
    texts = collection.document_texts
    held = np.zeros(len(texts), bool)
    if held_out_splits(collection):
        _, held = held_out_documents(collection, texts)
    free = np.flatnonzero(~held)
    if not len(free):
        raise CollectionError(
            f"{collection.name}: a held-out split judges each of its {len(texts):,} documents, so "
            "that none is left to write queries for"
        )
    if most and most < len(free):
        free = np.sort(np.random.default_rng(seed).choice(free, most, replace=False))
    return free, int(held.sum())


def _written(
    collection: Collection, places: Positions, writer: Writer, progress: Progress
) -> list[Queries]:
    """What was written for each of the documents, now or before."""
    titles = collection.documents["title"]
    texts = collection.documents["text"]

    def document(at: int) -> Document:
        return Document(titles[at].as_py(), worded(texts[at].as_py()))

    everything: list[Queries] = []
    with nullcontext() if writer.facts is None else KeptQueries.of(writer.facts) as kept:
        held = {} if kept is None else kept.found
        # the price of all that is left, before the first of it is asked for
        unwritten = (each for each in map(document, places.tolist()) if each.key not in held)
        forecast = writer.forecast(unwritten)
        if forecast is not None:
            BUDGET.get().afford([forecast])
        for start in range(0, len(places), writer.block):
            block = [document(at) for at in places[start : start + writer.block].tolist()]
            found = _of_block(block, writer, kept)
            everything += [found[each.key] for each in block]
            progress(len(everything), len(places))
    return everything


def _of_block(
    block: Sequence[Document], writer: Writer, kept: KeptQueries | None
) -> dict[str, Queries]:
    """The queries of each of the documents, by its key: those that are kept, and of the others what
    the writer writes, kept as it comes.
    """
    found: dict[str, Queries] = {}
    missing: dict[str, Document] = {}  # equal documents once
    for each in block:
        if kept is not None and each.key in kept.found:
            found[each.key] = kept.found[each.key]
        else:
            missing[each.key] = each
    keys = list(missing)

    def keep(some: Mapping[int, Queries]) -> None:
        named = {keys[at]: queries for at, queries in some.items()}
        found.update(named)
        if kept is not None:
            kept.add(named)

    if missing:
        writer.write(list(missing.values()), keep)
    return found


def _listed(places: Positions, found: Sequence[Queries]) -> Written:
    listed = [query for queries in found for query in queries]
    documents = np.repeat(places, [*map(len, found)])
    return Written(documents, [style for style, _ in listed], [text for _, text in listed])


def _write(collection: Collection, written: Written, to: Path) -> None:
    if to.suffix.lower() == ".jsonl":
        write_rows(to, _pairs(collection, written))
    else:
        write_beir(with_queries(collection, written), to)


def _pairs(collection: Collection, written: Written) -> Iterator[dict[str, str]]:
    texts = collection.document_texts
    rows = zip(written.documents.tolist(), written.styles, written.texts, strict=True)
    for place, style, text in rows:
        yield {"query": text, "positive": texts[place], "style": style}
