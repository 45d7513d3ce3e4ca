"""Google's Gemini API. Source: ai.google.dev/api/embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfield.encoders.vendors.vendor import Asked, Limits, Vendor
from nearfield.types.role import DOCUMENT, QUERY


class Gemini(Vendor):
    """Roles are its task types; vectors cut to fewer dims are not of unit length, and are made so
    here. It does not say what it bills.
    """

    title = "Google"
    url = "https://generativelanguage.googleapis.com/v1beta"
    url_variables = ("GEMINI_BASE_URL",)
    key_variables = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    roles = {  # noqa: RUF012
        QUERY: "RETRIEVAL_QUERY",
        DOCUMENT: "RETRIEVAL_DOCUMENT",
        "similarity": "SEMANTIC_SIMILARITY",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
    }
    limits = Limits(100, None, 3_000, 1_000_000)

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        name = f"models/{asked.model}"
        # a batch of single requests, each of which states the model again
        same: dict[str, Any] = {"model": name, "taskType": asked.role}
        if asked.dim is not None:
            same["outputDimensionality"] = asked.dim
        requests = [{**same, "content": {"parts": [{"text": text}]}} for text in asked.texts]
        return f"/{name}:batchEmbedContents", {"requests": requests}

    def vectors(self, body: Any) -> Mapping[int, Any]:
        return {place: row["values"] for place, row in enumerate(body["embeddings"])}

    def headers(self) -> dict[str, str]:
        if self._key is None:
            return {}
        # the API takes the key in the URL, too, where logs and proxies would keep it
        return {"x-goog-api-key": self._key}
