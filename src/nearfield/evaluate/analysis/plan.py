"""What models take at a size that is not there yet, from what they take on a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nearfield.data.open import open_collection
from nearfield.encoders.encoded import encoded, seconds_alone
from nearfield.encoders.load import load
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.counting import estimated
from nearfield.encoders.remote.known import contract_of, price_of
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import InputError
from nearfield.evaluate.encode_pass import TIMED, speed_of
from nearfield.evaluate.encoders import LEXICAL, row_names
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.evaluation.plan import Load, Planned
from nearfield.types.progress import Bars, no_bars
from nearfield.types.role import DOCUMENT, QUERY

SAMPLE = 256  # documents that are read
MONTH = 30 * 24 * 3600.0  # seconds


def plan(
    models: Sequence[str], data: object, want: Load, *, seed: int = 0, bars: Bars = no_bars
) -> list[Planned]:
    """Each model under the load `want`, from a sample of the documents and queries of `data`.

    A model that runs here is measured here: what it takes for the documents, and for one query at a
    time, each machine answering one at a time. One behind an API is not asked: its dim and price
    are its card's, and tokens are estimated. Raises InputError for a load that is not positive,
    and as `load` does.
    """
    if want.documents < 1 or not 0 < want.queries < math.inf or not 0 <= want.hour < math.inf:
        raise InputError(
            f"got {want.documents} documents, {want.queries:g} queries per second and "
            f"${want.hour:g} an hour; wanted numbers above 0, of dollars 0 or more"
        )
    collection = open_collection(data)
    random = np.random.default_rng(seed)
    texts = collection.document_texts
    drawn = random.permutation(len(texts))[:SAMPLE]
    sample = [texts[int(at)] for at in drawn]
    # data that has no queries yet is timed on beginnings of its documents
    asked = list(collection.query_texts[:TIMED]) or [text[:100] for text in sample[:TIMED]]
    found = []
    for name, model in row_names(models).items():
        if model in LEXICAL:
            raise InputError(f"{model} makes no vectors, of which a plan is; leave it out")
        address = Address.parse(ModelSpec.parse(model).name)
        if address is not None:
            found.append(_behind_api(model, address, sample, asked, want))
            continue
        with bars(f"measuring {name}"):
            found.append(replace(_here(model, sample, asked, want), model=name))
    return found


def _here(model: str, sample: Sequence[str], asked: Sequence[str], want: Load) -> Planned:
    encoder = load(model)
    documents = encoded(encoder, sample, DOCUMENT)
    waits = seconds_alone(encoder, asked, QUERY)
    wait = float(np.nanmedian(waits))
    # arrivals per second times seconds each: how many are in work at once (Little 1961)
    machines = max(1, math.ceil(want.queries * wait))
    planned = Planned(
        model,
        encoder.contract.dim,
        _bytes(documents, want),
        want.documents * documents.usage.tokens / len(sample),
        query_milliseconds=1000 * wait,
        machines=machines,
        dollars_a_month=machines * want.hour * MONTH / 3600,
    )
    speed = speed_of([documents])
    if speed is None:
        return planned
    hours = want.documents / speed / 3600
    return replace(planned, documents_per_second=speed, hours=hours, dollars=hours * want.hour)


def _behind_api(
    model: str, address: Address, sample: Sequence[str], asked: Sequence[str], want: Load
) -> Planned:
    spec = ModelSpec.parse(model)
    if address.card is None and spec.dim is None:
        raise InputError(f"{model}: its dimensions are not known; say them, as {model}@dim=1024")
    contract = contract_of(spec, address.card)
    # its numbers do not matter: each storage type is asked how large it is
    one = Dense.under(contract, np.zeros((1, contract.dim), np.float32))
    of_documents = want.documents * _mean_tokens(sample)
    planned = Planned(model, contract.dim, _bytes(one, want), of_documents)
    million = price_of(address).per_million
    if million is None:
        return planned
    of_queries = want.queries * MONTH * _mean_tokens(asked)
    return replace(
        planned, dollars=million * of_documents / 1e6, dollars_a_month=million * of_queries / 1e6
    )


def _mean_tokens(texts: Sequence[str]) -> float:
    return sum(map(estimated, texts)) / len(texts)


def _bytes(vectors: Embeddings, want: Load) -> dict[str, float]:
    return {
        storage: want.documents * vectors.quantise(storage).bytes_per_item
        for storage in vectors.storages
    }
