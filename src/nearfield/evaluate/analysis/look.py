"""A look into models: what their vectors are like, and what makes some of their scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.evaluate.analysis.related import Related
from nearfield.evaluate.encoders import LEXICAL, open_encoders
from nearfield.evaluate.open_task import open_task
from nearfield.evaluate.task import DEFAULT, Options
from nearfield.retrieval.explain import Asked
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.functions import unit
from nearfield.statistics import geometry
from nearfield.types.arrays import Floats, Integers
from nearfield.types.evaluation.look import EDGES, Attributed, InCommon, Inside, Look, Map
from nearfield.types.item import is_image_url
from nearfield.types.progress import Bars, no_bars

NEIGHBOURS = 10
QUERIES = 6  # whose scores are taken apart
PERPLEXITY = 30.0


def look(
    models: Sequence[Any],
    data: object,
    *,
    task: str | None = None,
    options: Options = DEFAULT,
    seed: int = 0,
    bars: Bars = no_bars,
) -> Look:
    """The models, best first, on up to 1,000 texts of the data and 500 pairs of these that belong
    together; `options` say how data and models are opened. Empty for a task without such pairs.

    Texts that `compare` has encoded come from the vector cache. Raises as `compare` does.
    """
    asked = open_task(data, task, options=options, models=models)
    related = asked.related(np.random.default_rng(seed))
    named = [model for model in models if not (isinstance(model, str) and model in LEXICAL)]
    if related is None or len(related.documents) <= NEIGHBOURS or not len(related.together):
        return Look(0)
    trust = Options(trust_remote_code=options.trust_remote_code)
    seen: dict[str, tuple[Embeddings, Embeddings]] = {}
    attributed: list[Attributed] = []
    for name, encoder in open_encoders(named, related.documents, trust).items():
        with bars(f"looking into {name}") as progress:
            asking, asked_of = related.roles(encoder.contract)
            queries = encoded(encoder, related.queries, asking, progress=progress)
            documents = encoded(encoder, related.documents, asked_of, progress=progress)
        if not attributed:  # the best model's whose scores have parts
            attributed = list(_attributed(name, encoder, related, queries, documents))
        if EMBEDDINGS[encoder.contract.kind].one_vector:
            seen[name] = queries, documents
    return _look(seen, related, tuple(attributed))


def _look(
    seen: Mapping[str, tuple[Embeddings, Embeddings]],
    related: Related,
    attributed: tuple[Attributed, ...],
) -> Look:
    insides = []
    near = {}
    shown = None
    for name, sides in seen.items():
        queries, documents = (unit(side.as_dense("a look").floats()) for side in sides)
        near[name] = geometry.nearest_neighbours(documents @ documents.T, NEIGHBOURS)
        insides.append(_inside(name, queries, documents, near[name], related))
        if shown is None:  # the best model's
            shown = _map(name, documents, related)
    shared = []
    for a, b in combinations(near, 2):
        shared.append(InCommon(a, b, geometry.in_common(near[a], near[b])))
    return Look(len(related.documents), tuple(insides), tuple(shared), shown, attributed)


def _inside(
    name: str, queries: Floats, documents: Floats, near: Integers, related: Related
) -> Inside:
    asking, asked_of = related.together.T
    products = documents @ documents.T
    return Inside(
        model=name,
        dim=documents.shape[1],
        alignment=geometry.alignment(queries[asking], documents[asked_of]),
        uniformity=geometry.uniformity(products),
        effective_rank=geometry.effective_rank(documents),
        anisotropy=geometry.anisotropy(products),
        hubness=geometry.hubness(near),
        together=_shares(queries, documents, related.together),
        apart=_shares(queries, documents, related.apart),
    )


def _shares(queries: Floats, documents: Floats, pairs: Integers) -> tuple[float, ...]:
    """The share of `pairs: (k, 2)` whose cosine lies between each two of EDGES."""
    # rounding may take a cosine past 1, which no bin holds
    similar = (queries[pairs[:, 0]] * documents[pairs[:, 1]]).sum(1).clip(-1, 1)
    counts = np.histogram(similar, EDGES)[0]
    return tuple((counts / max(1, len(pairs))).tolist())


def _map(name: str, documents: Floats, related: Related) -> Map:
    """By t-SNE (van der Maaten and Hinton 2008), from the first two principal components."""
    from sklearn.manifold import TSNE

    # t-SNE looks at three times as many neighbours of each point as its perplexity
    perplexity = min(PERPLEXITY, (len(documents) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(documents)
    texts = []
    for text in related.documents:
        texts.append("(image)" if is_image_url(text) else text[:200])
    x, y = plane.T.tolist()
    return Map(name, tuple(x), tuple(y), tuple(texts), related.groups)


def _attributed(
    name: str, encoder: Encoder[Any], related: Related, queries: Any, documents: Any
) -> Iterator[Attributed]:
    """For some queries the document that belongs to each and the closest one that does not."""
    known: dict[int, list[int]] = {}
    for query, document in related.together.tolist():
        known.setdefault(query, []).append(document)
    for at in list(known)[:QUERIES]:
        query = related.queries[at]
        asked = Asked(encoder, query, queries[[at]])
        scores = asked.embeddings.scores(documents)[0].copy()
        # what belongs to the query is no example of what does not
        scores[[related.belong(at, row) for row in range(len(scores))]] = -np.inf
        shown = [(known[at][0], True)]
        closest = int(scores.argmax())
        if scores[closest] > -np.inf:  # else all documents belong to it
            shown.append((closest, False))
        for row, relevant in shown:
            text = related.documents[row]
            matches = asked.explain(documents[[row]], text).matches
            parts = [(match.name, match.score) for match in matches]
            if parts:
                yield Attributed(name, query, text, relevant, tuple(parts))
