"""What a vendor's API is: where it is asked, its words and limits, the shapes of what is sent and
answered.
"""

from __future__ import annotations

import json
import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from nearfield.errors import first_line
from nearfield.types.item import is_image_url
from nearfield.types.role import Role

SHOWN = 300  # characters of a vendor's own words in an error
# under which vendors say what went wrong, one within the other or alone
_LAST_WORDS = ("error", "message", "detail", "error_message")


@dataclass(frozen=True)
class Limits:
    """What one request may hold, and how much may be asked in a minute unless $NEARFIELD_RPM and
    $NEARFIELD_TPM say otherwise; None: as much as one likes. `size` is in bytes, and of images.
    """

    items: int
    tokens: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    size: int | None = None


@dataclass(frozen=True)
class Images:
    """The images that a vendor takes: `limits` of one request, and the most pixels of an image.

    A token is counted for `pixels_per_token`; an image that has fewer than `least` pixels or more
    than `most` is counted as if it had those.
    """

    limits: Limits
    pixels_per_token: float
    pixels: int | None = None
    least: int = 1
    most: int | None = None

    def tokens(self, pixels: int) -> int:
        """What is counted for an image, about."""
        counted = max(pixels, self.least)
        if self.most is not None:
            counted = min(counted, self.most)
        return math.ceil(counted / self.pixels_per_token)


@dataclass(frozen=True)
class Asked:
    """The texts of one request, or its images as data URLs; `role` is the vendor's word for what
    they are, `dim` what is asked for. None is left out, and the API does as it does by itself.
    `kind` is that of the embeddings.
    """

    model: str
    texts: Sequence[str]
    role: str | None = None
    dim: int | None = None
    kind: str = "dense"

    @property
    def images(self) -> bool:
        """Whether they are images; no request holds both."""
        return is_image_url(self.texts[0])


@dataclass(frozen=True)
class Reply:
    """What came over HTTP; `body` is the parsed JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def request(self) -> str:
        """The vendor's number of the request, "" where it gave none."""
        found = None
        for name in ("x-request-id", "request-id", "x-api-key-id"):
            found = found or self.headers.get(name)
        if not found and isinstance(self.body, dict):
            found = self.body.get("id")
        return str(found or "")[:80]


class Unanswered(Exception):
    """A request that got no answer that can be read: it may be sent again."""


class Vendor(ABC):
    """One vendor's API at one address, with one key.

    `title` is what errors and the catalog's cards call it. `roles` are its words for the roles;
    where it has none, the model's own prompts are put before the texts. `unit`: its vectors are of
    unit length by its own word. `free`: nothing is paid. `tokenizer` is the hub's name of the
    tokeniser that it counts with.
    """

    title: ClassVar[str]
    url: ClassVar[str]
    url_variables: ClassVar[tuple[str, ...]] = ()
    key_variables: ClassVar[tuple[str, ...]] = ()
    roles: ClassVar[Mapping[Role, str]] = {}
    limits: ClassVar[Limits] = Limits(100)
    kinds: ClassVar[tuple[str, ...]] = ("dense",)
    """The kinds of embeddings that it can be asked for."""
    names_no_model: ClassVar[bool] = False
    """Whether a server of one model needs no name of it."""
    in_order: ClassVar[bool] = True
    """Whether the vectors of an answer have no index, only their order."""
    cuts: ClassVar[bool] = True
    """Whether it cuts a text that is too long, and does not refuse it."""
    unit: ClassVar[bool] = False
    free: ClassVar[bool] = False
    timeout: ClassVar[float] = 60.0  # seconds
    tokenizer: ClassVar[str] = ""
    images: ClassVar[Images | None] = None
    """The images that its models of images take; None where it has no such model."""
    cards: ClassVar[Mapping[str, str]] = {}
    """What the catalog calls a model that the vendor calls otherwise."""
    encoding: ClassVar[str] = ""
    """The encoding of tiktoken that it counts with."""
    rerank_path: ClassVar[str] = ""
    """Where it reranks; "" where it has no rerankers."""
    rerank_fixed: ClassVar[dict[str, Any]] = {}
    """What each request of them says beside the texts."""

    def __init__(self, address: str, key: str | None) -> None:
        self.address = address
        self._key = key
        self._last: weakref.finalize[[], Any] | None = None

    @abstractmethod
    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        """The path and the body that ask for the texts' vectors."""

    def vectors(self, body: Any) -> Mapping[int, Any]:
        """Each vector of an answer by its text's place in the request. Raises LookupError,
        TypeError or ValueError for a body of another shape.
        """
        return dict(enumerate(body["embeddings"]))

    def reranking(self, model: str, query: str, texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """The path and the body that ask how relevant each text is to the query."""
        body = {"model": model, "query": query, "documents": list(texts), **self.rerank_fixed}
        return self.rerank_path, body

    def relevance(self, body: Any) -> Mapping[int, Any]:
        """As `vectors`, each text's relevance."""
        return by_index(body["results"], "relevance_score")

    def chat(
        self, model: str, messages: Sequence[Mapping[str, str]], most: int
    ) -> tuple[str, dict[str, Any]]:
        """The path and the body that ask what follows the messages, in at most so many tokens."""
        raise NotImplementedError

    def said(self, body: Any) -> Mapping[int, Any]:
        """As `vectors`, the text that a chat was answered with."""
        return {0: body["choices"][0]["message"]["content"]}

    def tokens_written(self, body: Any) -> int:
        """The tokens of an answer that the model wrote, 0 where it does not say."""
        return _used(body, "completion_tokens") or 0

    def tokens(self, body: Any) -> int | None:
        """The tokens that an answer says are billed; None where it does not say."""
        return _used(body, "total_tokens")

    @property
    def reranks(self) -> bool:
        """Whether it has rerankers."""
        return bool(self.rerank_path)

    @property
    def chats(self) -> bool:
        """Whether it has models that write."""
        return type(self).chat is not Vendor.chat

    def send(self, path: str, body: Mapping[str, Any]) -> Reply:
        """What the API answers. Raises Unanswered where that cannot be read."""
        import httpx2

        try:
            # the status is not looked at here: `Caller` says which ones are tried again
            answer = self._client.post(self.address + path, json=body)
        except httpx2.RequestError as error:
            raise Unanswered(first_line(error)) from None
        return replied(answer)

    @cached_property
    def _client(self) -> Any:
        import httpx2

        # a redirect would be followed with the key
        return self.closed_at_last(
            httpx2.Client(headers=self.headers(), timeout=self.timeout, follow_redirects=False)
        )

    def closed_at_last(self, client: Any) -> Any:
        """The client, which lets go of its connections when nobody has the vendor any more."""
        # it runs at the end of the process as well, and does not keep the vendor alive
        self._last = weakref.finalize(self, client.close)
        return client

    def close(self) -> None:
        """Let go of the connections now."""
        if self._last is not None:
            self._last()

    def headers(self) -> dict[str, str]:
        """What carries the key."""
        if self._key is None:
            return {}
        return {"Authorization": f"Bearer {self._key}"}

    def without_key(self, text: str) -> str:
        """The text with the key, where a vendor repeats it, crossed out."""
        if not self._key:
            return text
        return text.replace(self._key, "***")


class OpenAIShaped(Vendor):
    """An API in the shape of OpenAI's, as several vendors have it."""

    in_order = False
    path: ClassVar[str] = "/embeddings"
    dim_field: ClassVar[str] = "dimensions"
    role_field: ClassVar[str] = ""
    fixed: ClassVar[Mapping[str, Any]] = {}
    """What each request says beside that."""

    def embedding(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        body = {"model": asked.model, "input": list(asked.texts), **self.fixed}
        if asked.role is not None:
            body[self.role_field] = asked.role
        if asked.dim is not None:
            body[self.dim_field] = asked.dim
        return self.path, body

    def vectors(self, body: Any) -> Mapping[int, Any]:
        return by_index(body["data"], "embedding")


class Chatting(OpenAIShaped):
    """One of these that has `/chat/completions`, too; `most_field` limits what is written."""

    chat_path: ClassVar[str] = "/chat/completions"
    most_field: ClassVar[str] = "max_tokens"

    def chat(
        self, model: str, messages: Sequence[Mapping[str, str]], most: int
    ) -> tuple[str, dict[str, Any]]:
        return self.chat_path, {"model": model, "messages": messages, self.most_field: most}


def by_index(rows: Any, field: str) -> dict[int, Any]:
    """The `field` of each row by its `index`. Raises ValueError where two have the same one."""
    # by the index, as a reranker answers with the best first
    found = {int(row["index"]): row[field] for row in rows}
    if len(found) != len(rows):
        raise ValueError("two rows have the same index")
    return found


def _used(body: Any, field: str) -> int | None:
    """A number of tokens in what an answer says of its usage; None where it does not say."""
    usage = body.get("usage") if isinstance(body, dict) else None
    found = usage.get(field) if isinstance(usage, dict) else None
    if isinstance(found, int) and found >= 0:
        return found
    return None


def replied(answer: Any) -> Reply:
    """The reply in an HTTP client's response. Raises Unanswered where it cannot be read."""
    return Reply(answer.status_code, answer.headers, _parsed(answer.content, answer.status_code))


def _parsed(content: bytes, status: int) -> Any:
    """The JSON in `content`; of an error that is none, the text. Raises Unanswered where an answer
    is none.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        text = content[:SHOWN].decode("utf-8", "replace")
        if status == 200:
            raise Unanswered(f"answered what is no JSON, or was cut off: {text[:60]!r}") from None
        return text


def message(body: Any) -> str:
    """What an error's body says, in one line."""
    while isinstance(body, dict):  # {"error": {"message": ...}}, and the other way round
        body = next((body[word] for word in _LAST_WORDS if body.get(word)), str(body))
    return " ".join(str(body).split())[:SHOWN]
