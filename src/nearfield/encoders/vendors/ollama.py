"""Ollama. Source: docs.ollama.com/api/embed."""

from __future__ import annotations

from typing import Any

from nearfield.encoders.vendors.vendor import Asked, Limits, Vendor


class Ollama(Vendor):
    """It puts no prompt before a text, so that the model's own are put there here."""

    title = "Ollama"
    url = "http://localhost:11434"
    url_variables = ("OLLAMA_HOST",)
    key_variables = ("OLLAMA_API_KEY",)
    limits = Limits(64)
    unit = True
    free = True
    timeout = 600.0
    cards = {  # noqa: RUF012
        "all-minilm": "minilm",
        "nomic-embed-text": "nomic-embed-text-v1.5",
        "embeddinggemma": "embeddinggemma-300m",
        "qwen3-embedding": "qwen3-embedding-8b",
        "qwen3-embedding:0.6b": "qwen3-embedding-0.6b",
        "qwen3-embedding:4b": "qwen3-embedding-4b",
    }

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        body = {"model": asked.model, "input": list(asked.texts), "truncate": True}
        return "/api/embed", body if asked.dim is None else {**body, "dimensions": asked.dim}

    def tokens(self, body: Any) -> int | None:
        found = body.get("prompt_eval_count")
        return found if isinstance(found, int) else None
