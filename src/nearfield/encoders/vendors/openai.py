"""OpenAI's API, through its own SDK. Source: developers.openai.com/api/reference/embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from nearfield.encoders.vendors.vendor import Chatting, Limits, Reply, Unanswered, replied
from nearfield.errors import first_line
from nearfield.extras import require


class OpenAI(Chatting):
    """The rates are those of its first paid tier."""

    title = "OpenAI"
    url = "https://api.openai.com/v1"
    url_variables = ("OPENAI_BASE_URL",)
    key_variables = ("OPENAI_API_KEY",)
    cuts = False
    limits = Limits(2_048, 300_000, 3_000, 1_000_000)
    unit = True
    encoding = "cl100k_base"
    most_field = "max_completion_tokens"
    fixed = {"encoding_format": "base64"}  # noqa: RUF012 - a quarter of the bytes of digits

    def send(self, path: str, body: Mapping[str, Any]) -> Reply:
        sdk = require("openai", extra="openai")
        try:
            asked = self._client.embeddings
            if path == self.chat_path:
                asked = self._client.chat.completions
            raw = asked.with_raw_response.create(**body)
        except sdk.APIStatusError as error:
            return replied(error.response)
        # a timeout is one of these
        except sdk.APIConnectionError as error:
            raise Unanswered(first_line(error)) from None
        return replied(raw)

    @cached_property
    def _client(self) -> Any:
        sdk = require("openai", extra="openai")
        return self.closed_at_last(
            # no retries of its own: `Caller` tries again, within the rates and with an entry in the
            # ledger
            sdk.OpenAI(
                api_key=self._key, base_url=self.address, timeout=self.timeout, max_retries=0
            )
        )
