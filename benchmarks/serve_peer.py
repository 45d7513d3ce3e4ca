"""The server that one writes in an afternoon: FastAPI and sentence-transformers.

python benchmarks/serve_peer.py MODEL --port 9001
"""

from __future__ import annotations

import argparse
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer


class Embed(BaseModel):
    """A request: the texts to embed."""

    model: str
    input: list[str]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=9001)
    given = parser.parse_args()
    model = SentenceTransformer(given.model, device="cpu")
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embed(body: Embed) -> dict[str, Any]:  # on a thread, so that it does not block the others
        vectors = model.encode(body.input)
        data = [
            {"object": "embedding", "index": at, "embedding": vector.tolist()}
            for at, vector in enumerate(vectors)
        ]
        return {"object": "list", "data": data, "model": body.model}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    uvicorn.run(app, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
