"""The vendors' own clients, pointed at the server, get the model's own vectors and their own
errors.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

import nearfield as nf
from nearfield.similarity.functions import unit
from serving import models_of, serving
from tiny import tiny_model

pytestmark = [
    pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning"),
    # the vendors' clients leave their sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
TEXTS = ["a cat", "the dog , the sun and the rain", "naïve\nüber 東京 🎉", "list " * 200]
QUERY, DOCUMENT = "query", "document"


@pytest.fixture(autouse=True, scope="module")
def no_sockets_left() -> Iterator[None]:
    """They go here, where a socket that was left open is allowed."""
    yield
    gc.collect()


def same(found: Any, served: Any, role: str, texts: list[str] = TEXTS) -> None:
    wanted = np.asarray(served.model.encode(texts, role))
    np.testing.assert_allclose(np.asarray(found, np.float32), wanted, atol=2e-6)


def test_openai(served: Any) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-tiny", max_retries=0)
    made = client.embeddings.create(model="tiny:query", input=TEXTS)  # in base64 behind the scenes
    same([row.embedding for row in made.data], served, QUERY)
    assert [row.index for row in made.data] == [0, 1, 2, 3]
    assert made.usage.total_tokens == made.usage.prompt_tokens > 64
    plain = client.embeddings.create(model="tiny:query", input="a cat", encoding_format="float")
    same([plain.data[0].embedding], served, QUERY, ["a cat"])
    cut = client.embeddings.create(model="tiny:query", input=["a cat"], dimensions=8)
    whole = np.array(plain.data[0].embedding[:8])
    np.testing.assert_allclose(cut.data[0].embedding, whole / np.linalg.norm(whole), atol=1e-6)
    ids = served.model.tokeniser.bare(["the cat is red"]).ids.tolist()
    asked = client.embeddings.create(model="tiny:query", input=[ids, ids])
    same([asked.data[1].embedding], served, QUERY, ["the cat is red"])
    assert [model.id for model in client.models.list()] == ["tiny", "judge"]
    assert client.models.retrieve("judge").id == "judge"
    for wrong, error in (
        ({"input": ""}, openai.BadRequestError),
        ({"input": []}, openai.BadRequestError),
        ({"input": ["a"] * 2049}, openai.BadRequestError),
        ({"input": [[10**6]]}, openai.BadRequestError),
        ({"input": "a", "dimensions": 4096}, openai.BadRequestError),
        ({"input": "a", "model": "other"}, openai.NotFoundError),
        ({"input": "a", "model": "judge"}, openai.BadRequestError),
    ):
        with pytest.raises(error) as caught:
            client.embeddings.create(**{"model": "tiny", **wrong})
        assert caught.value.body["message"]
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk", max_retries=0).models.list()


def test_what_was_used_is_in_the_headers(served: Any) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-tiny", max_retries=0)
    create = client.embeddings.with_raw_response.create
    headers = create(model="tiny", input=TEXTS).headers
    assert headers["x-nearfield-truncated"] == "1"
    assert headers["x-nearfield-contract"] == "tiny"
    assert headers["x-nearfield-role"] == "document"
    assert "state query or document" in headers["x-nearfield-warning"]
    assert "x-nearfield-warning" not in create(model="tiny:document", input=TEXTS).headers


def test_cohere(served: Any) -> None:
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(api_key="sk-tiny", base_url=served.url)
    embed: Callable[..., Any] = client.embed
    made = embed(
        model="tiny",
        texts=TEXTS,
        input_type="search_query",
        embedding_types=["float", "int8", "uint8", "binary", "ubinary"],
    )
    same(made.embeddings.float_, served, QUERY)
    floats = np.array(made.embeddings.float_)
    codes = np.array(made.embeddings.int8)
    np.testing.assert_allclose(
        np.einsum("ij,ij->i", unit(codes.astype(float)), floats), 1, atol=1e-3
    )
    assert (np.array(made.embeddings.uint8) == codes + 128).all()
    bits = np.array(made.embeddings.ubinary, np.uint8)
    assert (np.unpackbits(bits, axis=1) == (floats > 0)).all()
    assert (np.array(made.embeddings.binary) + 128 == bits).all()
    assert made.meta.billed_units.input_tokens > 64
    made = embed(model="tiny", texts=["a cat"], input_type="search_document", output_dimension=8)
    assert len(made.embeddings.float_[0]) == 8
    start = embed(
        model="tiny", texts=["cat " * 90 + "dog"], input_type="search_query", truncate="START"
    )
    same(start.embeddings.float_, served, QUERY, ["cat " * 59 + "dog"])
    ranked = client.rerank(
        model="judge", query="a cat", documents=["a cat", "law", "rain"], top_n=2
    )
    scores = nf.Reranker.open(served.judge).score("a cat", ["a cat", "law", "rain"])
    assert [row.index for row in ranked.results] == np.argsort(-scores)[:2].tolist()
    assert 0 <= ranked.results[1].relevance_score <= ranked.results[0].relevance_score <= 1
    for wrong in (
        {"texts": []},
        {"texts": ["a"] * 97},
        {"texts": ["list " * 99], "truncate": "NONE"},
    ):
        with pytest.raises(cohere.errors.BadRequestError):
            embed(**{"model": "tiny", "input_type": "search_query", **wrong})
    with pytest.raises(cohere.errors.NotFoundError):
        embed(model="other", texts=["a"], input_type="search_query")


def test_a_query_is_cut_beside_its_own_prompt(tmp_path: Path) -> None:
    prompts = {"document": "passage : "}  # of two tokens; queries have none
    folder = tiny_model(tmp_path / "tiny", config_sentence_transformers={"prompts": prompts})
    body = {"model": "tiny", "texts": ["cat " * 90 + "dog"], "input_type": "search_query"}
    with serving(models_of([str(folder)])) as url:
        answer = httpx2.post(
            f"{url}/v2/embed", json=body | {"truncate": "START"}, timeout=60
        ).json()
    wanted = nf.load(folder).encode(["cat " * 61 + "dog"], QUERY)
    np.testing.assert_allclose(answer["embeddings"]["float"], np.asarray(wanted), atol=2e-6)


def test_voyage(served: Any) -> None:
    voyageai = pytest.importorskip("voyageai", reason="voyageai brings langchain and is not light")
    client = voyageai.Client(api_key="sk-tiny", base_url=f"{served.url}/v1")
    made = client.embed(TEXTS, model="tiny", input_type="document")
    same(made.embeddings, served, DOCUMENT)
    assert made.total_tokens > 64
    codes = client.embed(
        ["a cat"], model="tiny", input_type="query", output_dtype="int8"
    ).embeddings
    assert all(isinstance(value, int) for value in codes[0])
    ranked = client.rerank("a cat", ["law", "a cat"], model="judge", top_k=1)
    assert len(ranked.results) == 1
    with pytest.raises(voyageai.error.InvalidRequestError):
        client.embed(["list " * 99], model="tiny", input_type="query", truncation=False)
    with pytest.raises(voyageai.error.AuthenticationError):
        voyageai.Client(api_key="no", base_url=f"{served.url}/v1").embed(["a"], model="tiny")


def test_ollama(served: Any) -> None:
    ollama = pytest.importorskip("ollama")
    client = ollama.Client(host=served.url, headers={"Authorization": "Bearer sk-tiny"})
    same(client.embed(model="tiny:query", input=TEXTS).embeddings, served, QUERY)
    assert client.embed(model="tiny", input=[]).embeddings == []
    one = client.embeddings(model="tiny:latest", prompt="a cat").embedding
    same([one], served, DOCUMENT, ["a cat"])
    with pytest.raises(ollama.ResponseError) as caught:
        client.embed(model="other", input="a")
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError):
        client.embed(model="tiny", input="list " * 99, truncate=False)


def test_inference_client(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub's, as it speaks to Text Embeddings Inference."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # it is on loopback
    from huggingface_hub import InferenceClient

    client = InferenceClient(served.url, token="sk-tiny")
    made = client.feature_extraction("a cat", prompt_name="query")
    same(made, served, QUERY, ["a cat"])
    scores = client.sentence_similarity("a cat", ["a cat", "law"])
    assert scores[0] == pytest.approx(1)


def test_langchain(served: Any) -> None:
    from langchain_openai import OpenAIEmbeddings
    from openai import AuthenticationError, BadRequestError, NotFoundError

    def client(model: str = "tiny", **facts: Any) -> OpenAIEmbeddings:
        how = {"base_url": f"{served.url}/v1", "api_key": "sk-tiny", "max_retries": 0}
        return OpenAIEmbeddings(model=model, check_embedding_ctx_length=False, **(how | facts))

    same(client("tiny:document").embed_documents(TEXTS), served, DOCUMENT)
    same([client("tiny:query").embed_query("a cat")], served, QUERY, ["a cat"])
    parts = client("tiny:document", chunk_size=3)
    same(asyncio.run(parts.aembed_documents(TEXTS)), served, DOCUMENT)
    assert len(client(dimensions=8).embed_query("a cat")) == 8
    for wrong, text, error in (
        (client(), "", BadRequestError),
        (client(dimensions=4096), "a", BadRequestError),
        (client("other"), "a", NotFoundError),
        (client("judge"), "a", BadRequestError),
        (client(api_key="no"), "a", AuthenticationError),
    ):
        with pytest.raises(error):
            wrong.embed_query(text)


def test_llama_index(served: Any) -> None:
    from llama_index.embeddings.openai import OpenAIEmbedding
    from openai import AuthenticationError, BadRequestError, NotFoundError

    def client(model: str = "tiny", **facts: Any) -> OpenAIEmbedding:
        how = {"api_base": f"{served.url}/v1", "api_key": "sk-tiny", "max_retries": 0}
        return OpenAIEmbedding(model_name=model, **(how | facts))

    documents = client("tiny:document", embed_batch_size=3)
    same(documents.get_text_embedding_batch(TEXTS), served, DOCUMENT)
    same(asyncio.run(documents.aget_text_embedding_batch(TEXTS)), served, DOCUMENT)
    same([client("tiny:query").get_query_embedding("a cat")], served, QUERY, ["a cat"])
    assert len(client(dimensions=8).get_text_embedding("a cat")) == 8
    for wrong, error in (
        (client(dimensions=4096), BadRequestError),
        (client("other"), NotFoundError),
        (client("judge"), BadRequestError),
        (client(api_key="no"), AuthenticationError),
    ):
        with pytest.raises(error):
            wrong.get_text_embedding("a")
