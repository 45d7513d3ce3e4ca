"""Voyage AI's API, through its own SDK. Source: docs.voyageai.com/reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfield.encoders.vendors.vendor import (
    Asked,
    Images,
    Limits,
    OpenAIShaped,
    Reply,
    Unanswered,
    by_index,
)
from nearfield.errors import first_line
from nearfield.extras import require
from nearfield.types.role import DOCUMENT, QUERY

_MULTIMODAL = "/multimodalembeddings"


class Voyage(OpenAIShaped):
    """The SDK's resources are asked below its client, which drops the index of each vector."""

    title = "Voyage AI"
    url = "https://api.voyageai.com/v1"
    url_variables = ("VOYAGE_BASE_URL",)
    key_variables = ("VOYAGE_API_KEY",)
    roles = {QUERY: "query", DOCUMENT: "document"}  # noqa: RUF012
    limits = Limits(1_000, 120_000, 2_000, 3_000_000)
    # docs.voyageai.com/docs/multimodal-embeddings and /pricing; the size is that of one image there
    images = Images(
        Limits(1_000, 320_000, 2_000, 3_000_000, 20_000_000),
        pixels_per_token=560,
        pixels=16_000_000,
        least=50_000,
        most=2_000_000,
    )
    unit = True
    tokenizer = "voyageai/{model}"
    dim_field = "output_dimension"
    role_field = "input_type"
    fixed = rerank_fixed = {"truncation": True}  # noqa: RUF012
    rerank_path = "/rerank"

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        path, body = super().embedding(asked)
        # these models take texts there as well, and nowhere else
        if asked.images or "multimodal" in asked.model:
            kind = "image_base64" if asked.images else "text"
            parts = [{"type": kind, kind: item} for item in body.pop("input")]
            body["inputs"] = [{"content": [part]} for part in parts]
            path = _MULTIMODAL
        return path, body

    def relevance(self, body: Any) -> Mapping[int, Any]:
        return by_index(body["data"], "relevance_score")

    def send(self, path: str, body: Mapping[str, Any]) -> Reply:
        sdk = require("voyageai", extra="voyage")
        resources = {self.rerank_path: sdk.Reranking, _MULTIMODAL: sdk.MultimodalEmbedding}
        resource = resources.get(path, sdk.Embedding)
        place = {"api_key": self._key, "base_url": self.address, "request_timeout": self.timeout}
        try:
            answer = resource.create(**place, **body)
        except sdk.error.VoyageError as error:
            # no answer at all, or one that the SDK could not read
            if error.http_status in (None, 200):
                raise Unanswered(first_line(error)[:100]) from None
            said = error.json_body or error.http_body or first_line(error)
            return Reply(error.http_status, error.headers, said)
        finally:
            _close_session()
        return Reply(200, {}, answer)


def _close_session() -> None:
    """The SDK keeps one for each thread, for as long as that lives and without a way to close
    it.
    """
    from voyageai.api_resources import api_requestor

    session = getattr(api_requestor._thread_context, "session", None)
    if session is not None:
        session.close()
