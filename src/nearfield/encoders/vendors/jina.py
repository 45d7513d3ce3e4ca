"""Jina AI's API. Source: api.jina.ai/redoc."""

from __future__ import annotations

from typing import Any

from nearfield.encoders.vendors.vendor import Asked, Images, Limits, OpenAIShaped
from nearfield.types.role import DOCUMENT, QUERY


class Jina(OpenAIShaped):
    """Roles are its tasks; the rates are those of its first paid tier."""

    title = "Jina AI"
    url = "https://api.jina.ai/v1"
    url_variables = ("JINA_BASE_URL",)
    key_variables = ("JINA_API_KEY",)
    roles = {  # noqa: RUF012
        QUERY: "retrieval.query",
        DOCUMENT: "retrieval.passage",
        "clustering": "separation",
        "classification": "classification",
        "similarity": "text-matching",
    }
    limits = Limits(512, 100_000, 500, 1_000_000)
    # a tile of 512 x 512 pixels is 4,000 tokens; no size of a request is published
    images = Images(
        Limits(512, 100_000, 500, 1_000_000, 20_000_000), 512 * 512 / 4_000, least=512 * 512
    )
    unit = True
    tokenizer = "jinaai/{model}"
    role_field = "task"
    rerank_path = "/rerank"
    rerank_fixed = {"return_documents": False}  # noqa: RUF012
    fixed = {"truncate": True, "normalized": True, "embedding_type": "float"}  # noqa: RUF012

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        path, body = super().embedding(asked)
        if asked.images:
            # in base64 alone: a data URL may be taken for an address
            body["input"] = [{"image": url.partition(",")[2]} for url in asked.texts]
        return path, body
