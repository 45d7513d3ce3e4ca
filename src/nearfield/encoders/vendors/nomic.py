"""Nomic Atlas. Source: docs.nomic.ai/reference/api/embed-text-v-1-embedding-text-post."""

from __future__ import annotations

from typing import Any

from nearfield.encoders.vendors.vendor import Asked, Limits, Vendor
from nearfield.types.role import DOCUMENT, QUERY


class Nomic(Vendor):
    """Roles are its task types, which put the model's prompts before the texts."""

    title = "Nomic"
    url = "https://api-atlas.nomic.ai/v1"
    url_variables = ("NOMIC_BASE_URL",)
    key_variables = ("NOMIC_API_KEY",)
    roles = {  # noqa: RUF012
        QUERY: "search_query",
        DOCUMENT: "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }
    limits = Limits(256, None, 1_200)
    tokenizer = "nomic-ai/{model}"

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": asked.model,
            "texts": list(asked.texts),
            "task_type": asked.role,
            "long_text_mode": "truncate",
        }
        if asked.dim is not None:
            body["dimensionality"] = asked.dim
        return "/embedding/text", body
