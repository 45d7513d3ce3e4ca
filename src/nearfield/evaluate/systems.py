"""What is compared: a model at a dimension and a storage type, BM25, or a fusion; its ranking of a
split and what it costs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from nearfield.data.collection import Split
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.lexical import BagOfWords
from nearfield.errors import ContractError, MatryoshkaWarning, MetricWarning
from nearfield.evaluate.busy import watched
from nearfield.evaluate.encode_pass import Cut, EncodePass, seconds_each
from nearfield.evaluate.trained import trained_queries
from nearfield.retrieval.bm25 import bm25, bytes_per_document
from nearfield.retrieval.fuse import reciprocal_rank_fusion
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retriever import Retriever
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.functions import similarity as known_similarity
from nearfield.similarity.storages import STORAGES
from nearfield.types.contract import Contract
from nearfield.types.price import Price
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking
from nearfield.types.usage import Usage

DEPTH = 100  # results per query; R@100 and AP@100 look no deeper
MEASURED = "what that costs is measured"


@dataclass(frozen=True)
class Deviation:
    """A use that departs from the model's contract, in words, and the ranking of the use
    `instead_of` which it is.
    """

    what: str
    instead_of: str
    reference: Ranking


@dataclass(frozen=True)
class System:
    """A row to be: `ranking` holds the split's queries.

    `bytes_per_document` is what the index holds per document, `documents_per_second` the speed of
    the pass that made it, `query_milliseconds` the median time from one query's text to its
    results. `notes` are facts worth a line. `trained_on`: the queries, by id, that the model was
    trained on. `price`: what a vendor is paid, None where nobody is.
    """

    name: str
    model: str
    dim: int | None
    storage: str
    ranking: Ranking
    bytes_per_document: float
    documents_per_second: float | None
    query_milliseconds: float | None
    notes: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    trained_on: frozenset[str] = frozenset()
    price: Price | None = None


def model_systems(
    encoder: Encoder[Any],
    split: Split,
    *,
    name: str,
    dims: Sequence[float] = (),
    storages: Sequence[str] = ("float32",),
    similarity: str | None = None,
    depth: int = DEPTH,
    progress: Progress = silent,
) -> list[System]:
    """A system for each of `dims` x `storages`, all cut from one encode pass; no dims is the whole
    vector, and a dim that is a float is a share of it.

    The storage type `binary+int8` finds by binary vectors at the dim and scores what is found again
    by whole int8 vectors; where these would not be the larger ones, the system is left out.

    Documents are stored at the storage type, int8 with ranges taken from the documents; queries
    stay float32, since a query is encoded when it is asked and takes no room. A model whose
    embeddings are not dense has no dims to cut; one that makes several kinds in one pass is given
    by its fused score first, and then by each kind alone. `similarity` of None is the contract's.
    Warns with MatryoshkaWarning for a dim that the model was not trained for and with MetricWarning
    for another similarity; `compare` measures what either costs. Dims that the model does not have
    are left out, with a note; where it has none of them, the whole vector is taken. Raises
    ContractError, before anything is encoded, for a dim below 1 and an impossible storage type or
    similarity.
    """
    contract = encoder.contract
    cuts = cuts_of(contract, dims, storages, similarity)
    with watched() as busy:
        # `busy` is filled when the block ends
        whole = EncodePass.of(encoder, split, progress=progress)
    notes = (*busy, *truncation_notes(name, whole.documents.usage, contract))
    notes += dims_left_out(contract, dims, name)
    if whole.documents.size_note:
        notes += (f"{name}: {whole.documents.size_note}",)
    seen = trained_queries(encoder.trained_on, split)
    read = whole.documents.usage
    price = Price.of(contract.terms.price_per_million_tokens, read)
    systems = []
    for head, encoded in whole.heads().items():
        # several cuts depart from the same use, which is ranked once
        reference = cache(partial(_ranked, encoded, depth))
        for cut in cuts:
            words = [name, head]
            if len(cuts) > 1:
                words += [str(cut.dim or ""), cut.stored_as]
            system = cut_system(encoded, cut, depth, name=" ".join(filter(None, words)), model=name)
            # each row has all the notes, of which `compare` keeps every line once
            facts = replace(system, notes=notes, trained_on=seen, price=price)
            departures = _deviations(contract, cut, reference)
            systems.append(replace(facts, deviations=departures))
    return systems


def cut_system(encoded: EncodePass, cut: Cut, depth: int, *, name: str, model: str) -> System:
    """What is searched at one cut of an encode pass."""
    searched = encoded.at(cut)
    return System(
        name=name,
        model=model,
        dim=cut.dim,
        storage=cut.stored_as,
        ranking=searched.ranking(depth),
        bytes_per_document=searched.bytes_per_document,
        documents_per_second=encoded.documents_per_second,
        query_milliseconds=searched.query_milliseconds(depth),
    )


def bm25_system(split: Split, *, depth: int = DEPTH) -> System:
    """BM25 on the split's collection, the baseline; its documents per second are those of
    indexing.
    """
    collection = split.collection
    texts = split.query_texts
    started = time.perf_counter()
    stage = bm25(collection.document_texts, BagOfWords())
    speed = len(stage.index) / max(time.perf_counter() - started, 1e-9)
    retriever = Retriever(collection.document_ids, collection.document_texts, [stage])
    alone = seconds_each(lambda row: stage.find(texts[row : row + 1], depth), len(texts))
    return System(
        name="bm25",
        model="bm25",
        dim=None,
        storage="",
        ranking=retriever.search(Queries.of(split), depth),
        bytes_per_document=bytes_per_document(stage),
        documents_per_second=speed,
        query_milliseconds=1000 * float(np.median(alone)),
    )


def fused_system(a: System, b: System, *, name: str | None = None) -> System:
    """The reciprocal-rank fusion of two systems; it holds both indexes and takes the time
    of both.
    """
    depth = max(a.ranking.documents.shape[1], b.ranking.documents.shape[1])
    price = a.price or b.price
    if a.price and b.price:
        price = a.price + b.price
    speed = None
    wait = None
    if a.documents_per_second and b.documents_per_second:
        # each document goes through both, one after the other
        speed = 1 / (1 / a.documents_per_second + 1 / b.documents_per_second)
    if a.query_milliseconds is not None and b.query_milliseconds is not None:
        wait = a.query_milliseconds + b.query_milliseconds
    return System(
        name=name or f"{a.name} + {b.name} (fused)",
        model=f"{a.model} + {b.model}",
        dim=None,
        storage="",
        ranking=reciprocal_rank_fusion((a.ranking, b.ranking), k=depth),
        bytes_per_document=a.bytes_per_document + b.bytes_per_document,
        documents_per_second=speed,
        query_milliseconds=wait,
        notes=tuple(dict.fromkeys(a.notes + b.notes)),
        trained_on=a.trained_on | b.trained_on,
        price=price,
    )


def cuts_of(
    contract: Contract, dims: Sequence[float], storages: Sequence[str], similarity: str | None
) -> list[Cut]:
    """Every one of `dims` x `storages`, checked against the contract. Warns and raises as
    `model_systems` says.
    """
    name = contract.name
    chosen = similarity or contract.similarity
    known = [dim for dim in _whole_dims(contract, dims) if dim <= contract.dim]
    asked: list[int | None] = [*known] or [contract.dim]
    if EMBEDDINGS[contract.kind].one_vector:
        known_similarity(chosen)
    else:
        if chosen != contract.similarity:
            raise ContractError(
                f"{name}: its embeddings are {contract.kind}, and the similarity {chosen} was "
                "asked for; leave that out"
            )
        asked = [None]
    for storage in storages:
        _check_storage(contract, storage)
    cuts = []
    for dim in dict.fromkeys(asked):
        for storage in dict.fromkeys(storages):
            small, _, whole = storage.partition("+")
            cut = Cut(dim, small, chosen, whole)
            if _rescores_by_larger(contract, cut):
                cuts.append(cut)
    if not cuts:
        raise ContractError(
            f"{name}: {', '.join(storages)} scores again by vectors no larger than those that "
            "find; wanted larger ones, as binary+int8"
        )
    short = dict.fromkeys(str(cut.dim) for cut in cuts if untrained(contract, cut))
    if short:
        trained = ", ".join(map(str, contract.matryoshka_dims)) or "none"
        cut_to = f"{name} is cut to {', '.join(short)} dimensions"
        message = f"{cut_to} and was trained for {trained}; {MEASURED}"
        warnings.warn(message, MatryoshkaWarning, stacklevel=3)
    if chosen != contract.similarity:
        message = f"{name} is made for {contract.similarity} and used with {chosen}; {MEASURED}"
        warnings.warn(message, MetricWarning, stacklevel=3)
    return cuts


def _check_storage(contract: Contract, storage: str) -> None:
    """Raise ContractError for a storage type that the model's embeddings cannot have."""
    kind = EMBEDDINGS[contract.kind]
    small, _, whole = storage.partition("+")
    if whole and not kind.one_vector:
        raise ContractError(
            f"{contract.name}: its embeddings are {contract.kind}, which are not scored again; got "
            f"{storage!r}"
        )
    for part in filter(None, (small, whole)):
        kind.check_storage(part)


def _whole_dims(contract: Contract, dims: Sequence[float]) -> list[int]:
    """`dims`, a float as the share of the whole vector that it is."""
    whole = []
    for dim in dims:
        if isinstance(dim, float) and dim > 0:
            whole.append(max(1, round(dim * contract.dim)))
        elif dim < 1:
            raise ContractError(f"{dim} dimensions were asked for; wanted 1 or more")
        else:
            whole.append(int(dim))
    return whole


def _rescores_by_larger(contract: Contract, cut: Cut) -> bool:
    """Whether a cut that scores again does so by larger vectors than those that find."""
    if not cut.rescore or cut.dim not in (None, contract.dim):
        return True
    exactness = list(STORAGES)  # the most exact first
    return exactness.index(cut.rescore) < exactness.index(cut.storage)


def dims_left_out(contract: Contract, dims: Sequence[float], name: str) -> tuple[str, ...]:
    """Which of the asked dims the model does not have, in words; none where it has them all."""
    one_vector = EMBEDDINGS[contract.kind].one_vector
    stated = dict.fromkeys(dim for dim in dims if not isinstance(dim, float))
    missing = [str(dim) for dim in stated if dim > contract.dim or not one_vector]
    if not missing:
        return ()
    has = f"its vectors have {contract.dim}" if one_vector else "it has no vector to cut"
    return (f"{name}: {', '.join(missing)} dimensions were left out, as {has}",)


def untrained(contract: Contract, cut: Cut) -> bool:
    """Whether the model was not trained to be cut to this dim."""
    return cut.dim not in (None, contract.dim) and cut.dim not in contract.matryoshka_dims


def _ranked(encoded: EncodePass, depth: int, cut: Cut) -> Ranking:
    return encoded.at(cut).ranking(depth)


def _deviations(
    contract: Contract, cut: Cut, ranked: Callable[[Cut], Ranking]
) -> tuple[Deviation, ...]:
    found = []
    if untrained(contract, cut):
        what = f"cut to {cut.dim} dimensions, which {contract.name} was not trained for"
        # all else stays as it is, so that the difference is this departure's alone
        reference = ranked(replace(cut, dim=contract.dim))
        found.append(Deviation(what, f"all {contract.dim}", reference))
    own = contract.similarity
    if cut.similarity != own:
        reference = ranked(replace(cut, similarity=own))
        found.append(Deviation(f"scored by {cut.similarity}", f"its contract's {own}", reference))
    return tuple(found)


def truncation_notes(name: str, usage: Usage, contract: Contract) -> tuple[str, ...]:
    """What a reader must know of documents that are longer than the model reads, in words; none
    where none is.
    """
    if not usage.truncated:
        return ()
    share = usage.tokens_lost / max(usage.tokens + usage.tokens_lost, 1)
    cut = (
        f"{usage.truncated:,} of {usage.items:,} documents are longer than "
        f"{contract.max_tokens} tokens"
    )
    return (f"{name}: {cut}; {share:.1%} of all tokens were not read",)
