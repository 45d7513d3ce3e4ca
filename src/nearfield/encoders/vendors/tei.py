"""Hugging Face's Text Embeddings Inference. Source: the OpenAPI page of its version 1.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nearfield.encoders.vendors.vendor import Asked, Limits, Vendor, by_index

_PATHS = {"dense": "/embed", "sparse": "/embed_sparse", "multi-vector": "/embed_all"}


class TextEmbeddingsInference(Vendor):
    """A server of one model, which takes 32 texts in a request unless it was started otherwise. In
    the name of a model, such as `minilm:query`, what is behind the colon is the name of a prompt.
    """

    title = "TEI"
    url = "http://localhost:8080"
    url_variables = ("TEI_BASE_URL",)
    key_variables = ("TEI_API_KEY",)
    limits = Limits(32)
    kinds = tuple(_PATHS)
    names_no_model = True
    unit = True
    free = True
    timeout = 600.0
    rerank_path = "/rerank"

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {"inputs": list(asked.texts), "truncate": True}
        if prompt := asked.model.partition(":")[2]:
            body["prompt_name"] = prompt
        if asked.dim is not None:
            body["dimensions"] = asked.dim
        return _PATHS[asked.kind], body

    def vectors(self, body: Any) -> Mapping[int, Any]:
        return dict(enumerate(body))

    def reranking(self, model: str, query: str, texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
        return "/rerank", {"query": query, "texts": list(texts), "truncate": True}

    def relevance(self, body: Any) -> Mapping[int, Any]:
        return by_index(body, "score")
