"""Documents that can be searched: the front door."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

from nearfield.data.collection import Collection
from nearfield.data.open import open_collection
from nearfield.data.stream import Stream
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder, refuse_one_text
from nearfield.encoders.load import load
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.remote.afford import afford
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import InputError
from nearfield.indexes import EXACT, INDEXES
from nearfield.indexes.recall import RECALL
from nearfield.retrieval.bm25 import BM25, bm25
from nearfield.retrieval.explain import Explanation
from nearfield.retrieval.first_stage import FirstStage
from nearfield.retrieval.indexed import indexed, refuse_kind
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.rerank import DEPTH
from nearfield.retrieval.retriever import Retriever, reach
from nearfield.retrieval.vector_folder import VectorFolder, files_of
from nearfield.runtimes.proof import Proof
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.open import open_embeddings
from nearfield.store.made_by import MadeBy
from nearfield.types.arrays import Mask
from nearfield.types.progress import Bars, no_bars
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT
from nearfield.vectors.request import Request

DEFAULT = "minilm"
K = 10


@dataclass(frozen=True)
class Plan:
    """How documents are searched.

    `fuse` adds BM25 to the model. `index` is a name of `INDEXES`, whose shortlists are as long as
    it takes to find the share `recall` of the exact `k` best. `rerank` orders each query's first
    `depth` results again.
    """

    fuse: bool = False
    index: str = EXACT
    recall: float = RECALL
    k: int = K
    rerank: PairScorer | None = None
    depth: int = DEPTH

    @property
    def reach(self) -> int:
        """How many results of an index are looked at for `k` of them in the end."""
        return reach(self.k, reranked=self.depth if self.rerank else 0, fused=self.fuse)


@dataclass(frozen=True)
class Hit:
    """A document that was found. `ranks` are its ranks in the rankings that were fused or
    re-ranked, None where one does not hold it.
    """

    rank: int
    score: float
    id: str
    title: str
    text: str
    ranks: Mapping[str, int | None]
    _explain: Callable[[], dict[str, Explanation]] = field(repr=False, compare=False)

    @cached_property
    def why(self) -> dict[str, Explanation]:
        """What the score is made of, by each model that took part and can tell."""
        return self._explain()


@dataclass(frozen=True)
class Searchable:
    """The documents of a collection and what finds them."""

    collection: Collection
    retriever: Retriever

    def search(
        self, query: str, k: int = K, *, where: Mask | None = None, bars: Bars = no_bars
    ) -> list[Hit]:
        """The k best documents for a query, best first; `where`: (m,) bool, True for a document
        that may be found.
        """
        return self.search_each([query], k, where=where, bars=bars)[0]

    def search_each(
        self, queries: Sequence[str], k: int = K, *, where: Mask | None = None, bars: Bars = no_bars
    ) -> list[list[Hit]]:
        """What `search` finds for each of the queries, which are encoded together."""
        refuse_one_text(queries)
        if not queries:
            return []
        ranking = self.retriever.search(Queries.of_texts(queries), k, where=where, bars=bars)
        return [self._hits(ranking, at, query) for at, query in enumerate(queries)]

    def _hits(self, ranking: Ranking, at: int, query: str) -> list[Hit]:
        """The results of the query at `at`."""
        found = {name: part.documents[at].tolist() for name, part in ranking.parts.items()}
        explain = self.retriever.explainer(query)
        hits = []
        for rank, (key, score) in enumerate(ranking.of(at), 1):
            position = int(ranking.documents[at, rank - 1])
            ranks: dict[str, int | None] = dict.fromkeys(found)
            for name, documents in found.items():
                if position in documents:
                    ranks[name] = documents.index(position) + 1
            row = self.collection.documents.slice(position, 1).to_pylist()[0]
            # explained when it is asked for, which may take encoding the document again
            why = partial(explain, position)
            hits.append(Hit(rank, score, key, row["title"], row["text"], ranks, why))
        return hits

    def stopped(self, query: str) -> dict[str, list[str]]:
        """The words of the query that each first stage leaves out, where it leaves out any."""
        words = {stage.name: stage.encoder.stopped(query) for stage in self.retriever.stages}
        return {name: left_out for name, left_out in words.items() if left_out}


def index(
    model: str | Path | Encoder[Any] | None,
    documents: object,
    path: str | Path | None = None,
    plan: Plan = Plan(),
    *,
    vectors: Path | None = None,
    load: Callable[..., Encoder[Any]] = load,
    bars: Bars = no_bars,
) -> Searchable:
    """Make documents searchable by a model, or by "bm25".

    `model` is a spec (`minilm`, `./tuned@int8`) or an encoder; what made the `vectors` when None.
    `documents` are what `open_collection` takes: a path, a list of texts or of dicts with `text`,
    `id` and `title`, a table, or a collection. In the folder `path` documents and vectors are kept
    for `open_index`: the same call takes up an interrupted one, and encodes only texts that have
    changed. `vectors` is a folder by `nearfield encode` to search instead. `load` opens a spec,
    given texts to prove a conversion on as `proof`. Raises InputError and ContractError for what
    does not fit together.
    """
    _check(model, plan, vectors, path)
    folder = None
    if vectors is not None:
        folder = VectorFolder.of(vectors, None if model is None else str(model))
        model = folder.model
    if model is None:
        model = DEFAULT
    home = None if path is None else Path(path)
    collection = open_collection(documents)
    texts = collection.document_texts
    stages = []
    if model != BM25:
        # the vectors' fit with the documents is told before a model is opened, which takes seconds
        stored = None if folder is None else folder.documents(collection)
        name, encoder = _opened(model, collection, load)
        if folder is not None:
            folder.check(encoder)
        refuse_kind(plan.index, encoder.contract.kind)
        if home is not None:
            vectors = home / "vectors"
            stored = _kept_vectors(vectors, collection, encoder, name, bars)
        if stored is None:
            # a vendor's price is held against the budget before the first text is paid
            afford([encoder], {DOCUMENT: texts})
            with bars(f"encoding with {name}") as progress:
                stored = encoded(encoder, texts, DOCUMENT, progress=progress)
        made = indexed(stored, plan.index, k=plan.reach, recall=plan.recall, folder=vectors)
        stages.append(FirstStage(name, encoder, made, stored))
    if plan.fuse or model == BM25:
        stages.append(bm25(texts))
    if home is not None:  # last, as vectors that may not be replaced are an error
        _keep(collection, home / "documents")
    ids = collection.document_ids
    retriever = Retriever(ids, texts, stages, rerank=plan.rerank, depth=plan.depth)
    return Searchable(collection, retriever)


def open_index(path: str | Path, plan: Plan = Plan()) -> Searchable:
    """What `index` has kept in the folder `path`, searched by the same model. Raises InputError
    where the folder holds none.
    """
    path = Path(path)
    vectors = path / "vectors"
    made = MadeBy.open(vectors)
    # an index of words alone keeps no vectors
    if made is None and vectors.exists():
        raise InputError("does not say which model made its vectors; call index", path=vectors)
    model = BM25 if made is None else made.source
    return index(model, Collection.open(path / "documents"), path, plan)


@overload
def search(
    model: str | Path | Encoder[Any], documents: object, query: str, k: int = ..., plan: Plan = ...
) -> list[Hit]: ...


@overload
def search(
    model: str | Path | Encoder[Any],
    documents: object,
    query: list[str],
    k: int = ...,
    plan: Plan = ...,
) -> list[list[Hit]]: ...


def search(
    model: str | Path | Encoder[Any],
    documents: object,
    query: str | list[str],
    k: int = K,
    plan: Plan = Plan(),
) -> list[Hit] | list[list[Hit]]:
    """The k best of the documents for one query, or for each of a list; see `index`."""
    found = index(model, documents, plan=plan)
    if isinstance(query, str):
        return found.search(query, k)
    return found.search_each(query, k)


def _check(
    model: str | Path | Encoder[Any] | None,
    plan: Plan,
    vectors: Path | None,
    path: str | Path | None,
) -> None:
    """Raise InputError for what cannot be searched, before anything is opened."""
    if plan.index != EXACT:
        INDEXES[plan.index]  # raises for an unknown name
    if model == BM25 and plan.fuse:
        raise InputError(
            "there is nothing to fuse: a fusion adds bm25 to a model, and the model is "
            "bm25; leave it out"
        )
    if model == BM25 and path is not None and Path(path, "vectors").exists():
        raise InputError("holds an index by a model's vectors; give bm25 its own place", path=path)
    if model == BM25 and vectors is not None:
        raise InputError(
            "bm25 reads words and no vectors; leave out the vectors, or name the model "
            "that made them (a fusion adds bm25)"
        )


def _opened(
    model: str | Path | Encoder[Any], collection: Collection, load: Callable[..., Encoder[Any]]
) -> tuple[str, Encoder[Any]]:
    """What the model is called, and its encoder."""
    if isinstance(model, Encoder):
        return model.contract.name, model
    return str(model), load(str(model), proof=Proof.on(collection.document_texts))


def _keep(collection: Collection, place: Path) -> None:
    """Save the collection at `place`, unless it lies there."""
    if place.exists() and Collection.open(place).fingerprint == collection.fingerprint:
        return
    collection.save(place)


def _kept_vectors(
    folder: Path, collection: Collection, encoder: Encoder[Any], name: str, bars: Bars
) -> Embeddings:
    """The documents' vectors in `folder`, made where they are not there or of other texts."""
    made = MadeBy.open(folder)
    if made is not None and made.files == files_of(encoder):
        try:
            # sure, as the maker's files were compared just now
            return VectorFolder(folder, name, True).documents(collection)
        except InputError:
            pass  # other texts: those that are new are encoded
    # nothing else here writes a vector folder, and a search should start soon
    from nearfield.vectors.encode_to import encode_to

    stream = Stream.of(collection.document_texts, ids=collection.document_ids, name=collection.name)
    # strict, since a document without a vector could not be found
    request = Request(strict=True, source=ModelSpec.parse(name).lasting)
    with bars(f"encoding with {name}") as progress:
        # an interrupted job is taken up, and texts whose vectors lie there are not encoded again
        encode_to(encoder, stream, folder, request, progress=progress)
    return open_embeddings(folder)
