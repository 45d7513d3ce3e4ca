"""Cohere's API, through its own SDK. Source: docs.cohere.com/reference/embed and /rerank."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from nearfield.encoders.vendors.vendor import (
    Asked,
    Images,
    Limits,
    Reply,
    Unanswered,
    Vendor,
    replied,
)
from nearfield.errors import first_line
from nearfield.extras import require
from nearfield.types.role import DOCUMENT, IMAGE, QUERY


class Cohere(Vendor):
    """The rate is that of a production key."""

    title = "Cohere"
    url = "https://api.cohere.com"
    url_variables = ("CO_API_URL", "COHERE_BASE_URL")
    key_variables = ("CO_API_KEY", "COHERE_API_KEY")
    roles = {  # noqa: RUF012
        QUERY: "search_query",
        DOCUMENT: "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }
    limits = Limits(96, 128_000, 2_000)
    rerank_path = "/v2/rerank"
    tokenizer = "Cohere/Cohere-{model}"
    # one of 512 x 512 pixels is about 1,610 tokens (docs.oracle.com, Cohere Embed 4)
    images = Images(Limits(96, 128_000, 2_000, None, 20_000_000), 512 * 512 / 1_610)

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        items = list(asked.texts)
        body: dict[str, Any] = {"model": asked.model, "input_type": asked.role}
        body |= {"embedding_types": ["float"], "truncate": "END"}
        if not asked.images:
            body["texts"] = items
        elif asked.role == IMAGE:  # the input type of the third generation
            body["images"] = items
        else:
            urls = [{"type": "image_url", "image_url": {"url": url}} for url in items]
            body["inputs"] = [{"content": [url]} for url in urls]
        if asked.dim is not None:
            body["output_dimension"] = asked.dim
        return "/v2/embed", body

    def vectors(self, body: Any) -> Mapping[int, Any]:
        return dict(enumerate(body["embeddings"]["float"]))

    def tokens(self, body: Any) -> int | None:
        billed = body.get("meta", {}).get("billed_units", {})
        found = billed.get("image_tokens") or billed.get("input_tokens")
        return None if found is None else int(found)

    def send(self, path: str, body: Mapping[str, Any]) -> Reply:
        require("cohere", extra="cohere")
        from cohere.core.api_error import ApiError
        from httpx import HTTPError

        raw = self._client.with_raw_response
        call = raw.rerank if path == self.rerank_path else raw.embed
        try:
            # the raw response: the SDK's own objects lack what it cannot parse
            answer = call(**body, request_options={"max_retries": 0}).response
        except ApiError as error:
            status = error.status_code or 500
            if status == 200:
                raise Unanswered("answered what is no JSON, or was cut off") from None
            return Reply(status, error.headers or {}, error.body)
        except HTTPError as error:
            raise Unanswered(first_line(error)) from None
        return replied(answer)

    @cached_property
    def _client(self) -> Any:
        sdk = require("cohere", extra="cohere")
        from httpx import Client

        own = self.closed_at_last(Client(timeout=self.timeout))
        return sdk.ClientV2(api_key=self._key, base_url=self.address, httpx_client=own)
