"""Text Embeddings Inference, which names no model: the first that can do it answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from nearfield.batch.tokens import Tokeniser
from nearfield.encoders.text import TextEncoder
from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.kept_rows import Row
from nearfield.serve.ranked import ranked
from nearfield.serve.refusal import FAILED, INVALID, TOO_LARGE, UNAVAILABLE, UNKNOWN, Refusal
from nearfield.serve.texts import Given, cut, texts_of
from nearfield.serve.vectors import joined, part, token_vectors, vectors
from nearfield.similarity.functions import unit

MOST_INPUTS = 1024
_DENSE = "one_vector"
_STATUSES = {INVALID: 422, UNKNOWN: 422, FAILED: 424, UNAVAILABLE: 424}
_KINDS = {413: "Validation", 422: "Validation", 424: "Backend", 429: "Overloaded"}


class Embed(BaseModel):
    """The body of `/embed`; `prompt_name` is the role."""

    inputs: Given
    normalize: bool = True
    truncate: bool | None = False
    truncation_direction: Literal["left", "right", "Left", "Right"] = "right"
    prompt_name: str | None = None
    dimensions: int | None = Field(None, ge=1)


class Rerank(BaseModel):
    """The body of `/rerank`."""

    query: str
    texts: list[str] = Field(min_length=1, max_length=MOST_INPUTS)
    raw_scores: bool = False
    return_text: bool = False
    truncate: bool | None = False


Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class Predict(BaseModel):
    """The body of `/predict`, for a reranker: pairs of texts."""

    inputs: Pair | Annotated[list[Pair], Field(min_length=1)]
    raw_scores: bool = False


class Sentences(BaseModel):
    """One text, and those that it is compared with."""

    source_sentence: str
    sentences: list[str] = Field(min_length=1, max_length=MOST_INPUTS)


class Similarity(BaseModel):
    """The body of `/similarity`."""

    inputs: Sentences


class Whichever(RootModel[Similarity | Rerank | Embed]):
    """The body of `/`, which is any of these."""


class Tokenize(BaseModel):
    """The body of `/tokenize`."""

    inputs: str | list[str]
    add_special_tokens: bool = True
    prompt_name: str | None = None


class Decode(BaseModel):
    """The body of `/decode`."""

    ids: list[int] | list[list[int]]
    skip_special_tokens: bool = True


async def _rows(call: Call, body: Embed, ability: str) -> list[Row]:
    """The embeddings by the first model whose embeddings have the ability."""
    name = call.models.first(ability)
    texts = await texts_of(call, name, body.inputs)
    if not texts:
        raise Refusal(INVALID, "`inputs` cannot be empty")
    if len(texts) > MOST_INPUTS:
        message = f"batch size {len(texts)} > maximum allowed batch size {MOST_INPUTS}"
        raise Refusal(TOO_LARGE, message)
    # the model cuts the right end itself
    if body.truncate and body.truncation_direction.lower() == "left":
        texts = await cut(call, name, texts, body.prompt_name, start=True)
    return await call.rows(name, texts, body.prompt_name, whole=not body.truncate)


async def _embed(call: Call, body: Embed) -> Any:
    found = vectors(call, await _rows(call, body, _DENSE), body.dimensions)
    return unit(found) if body.normalize else found


async def _embed_all(call: Call, body: Embed) -> list[Any]:
    return token_vectors(call, await _rows(call, body, "merges_tokens"))


async def _embed_sparse(call: Call, body: Embed) -> list[Any]:
    sparse = part(joined(await _rows(call, body, "has_terms")), "has_terms")
    if sparse is None:
        raise Refusal(424, f"{call.contract} does not make sparse embeddings")
    rows = []
    for at in range(len(sparse)):
        terms = _terms(sparse, at)
        rows.append([{"index": term, "value": weight} for term, weight in terms])
    return rows


async def _rerank(call: Call, body: Rerank) -> list[dict[str, Any]]:
    pairs = [(body.query, text) for text in body.texts]
    scores = await call.scores(call.models.judge(), pairs, raw=body.raw_scores)
    besides = {"text": body.texts} if body.return_text else {}
    return ranked(scores, score="score", besides=besides)


async def _predict(call: Call, body: Predict) -> Any:
    alone = isinstance(body.inputs[0], str)
    pairs: Any = [body.inputs] if alone else body.inputs
    scores = await call.scores(call.models.judge(), pairs, raw=body.raw_scores)
    # the one label of a cross-encoder, as transformers calls it
    found = [[{"score": score, "label": "LABEL_0"}] for score in scores]
    return found[0] if alone else found


async def _similarity(call: Call, body: Similarity) -> list[float]:
    texts = [body.inputs.source_sentence, *body.inputs.sentences]
    made = joined(await call.rows(call.models.first(_DENSE), texts, whole=True))
    scores: list[float] = made[:1].scores(made[1:])[0].tolist()
    return scores


async def _whichever(call: Call, body: Whichever) -> Any:
    answers: Any = {Similarity: _similarity, Rerank: _rerank, Embed: _embed}
    return await answers[type(body.root)](call, body.root)


async def _tokenize(call: Call, body: Tokenize) -> list[list[dict[str, Any]]]:
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    tokeniser = await _tokeniser(call)
    specials = tokeniser.special_ids
    before: list[int] = []
    after: list[int] = []
    if body.add_special_tokens:
        before, after = tokeniser.around()
    found = []
    for text, pieces in zip(texts, tokeniser.pieces(texts), strict=True):
        rows = [_token(tokeniser, id_, specials) for id_ in before]
        ids = tokeniser.bare([text]).ids.tolist()
        for id_, (start, stop, _) in zip(ids, pieces, strict=True):
            rows.append(_token(tokeniser, id_, specials, start, stop))
        rows += [_token(tokeniser, id_, specials) for id_ in after]
        found.append(rows)
    return found


async def _decode(call: Call, body: Decode) -> list[str]:
    ids: Any = [body.ids] if body.ids and isinstance(body.ids[0], int) else body.ids
    return await texts_of(call, call.models.first(_DENSE), ids)


async def _info(call: Call, _: object) -> dict[str, Any]:
    model, encoder, _role = await call.encoder(call.models.first(_DENSE))
    contract = encoder.contract
    return {
        "model_id": model.name,
        "model_sha": None,
        "model_dtype": "float32",
        "model_type": {"embedding": {"pooling": contract.pooling}},
        "prompts": dict(contract.prompts),
        "max_concurrent_requests": 512,
        "max_input_length": contract.max_tokens,
        "max_batch_tokens": call.models.limits.queue_tokens,
        "max_client_batch_size": MOST_INPUTS,
        "auto_truncate": False,
        "version": "nearfield",
    }


async def _tokeniser(call: Call) -> Tokeniser:
    _, encoder, _ = await call.encoder(call.models.first(_DENSE))
    if not isinstance(encoder, TextEncoder):
        raise Refusal(424, f"{call.contract} has no tokeniser here")
    return encoder.tokeniser


def _token(
    tokeniser: Tokeniser,
    id_: int,
    specials: frozenset[int],
    start: int | None = None,
    stop: int | None = None,
) -> dict[str, Any]:
    text = tokeniser.token_of(id_)
    return {"id": id_, "text": text, "special": id_ in specials, "start": start, "stop": stop}


def _terms(sparse: Any, at: int) -> list[tuple[int, float]]:
    own = slice(sparse.offsets[at], sparse.offsets[at + 1])
    return list(zip(sparse.terms[own].tolist(), sparse.weights[own].tolist(), strict=True))


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """TEI's error and its type; what is invalid is 422 there, and a failing model 424."""
    status = _STATUSES.get(refusal.status, refusal.status)
    return status, {"error": str(refusal), "error_type": _KINDS.get(status, "Backend")}


DIALECT = Dialect(
    "tei",
    (
        Route("/", _whichever, Whichever),
        Route("/embed", _embed, Embed),
        Route("/embed_all", _embed_all, Embed),
        Route("/embed_sparse", _embed_sparse, Embed),
        Route("/rerank", _rerank, Rerank),
        Route("/predict", _predict, Predict),
        Route("/similarity", _similarity, Similarity),
        Route("/tokenize", _tokenize, Tokenize),
        Route("/decode", _decode, Decode),
        Route("/info", _info),
    ),
    error,
)
