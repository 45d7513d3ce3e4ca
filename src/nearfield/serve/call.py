"""What a dialect asks the models for, and what was used for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from scipy.special import expit

from nearfield.encoders.encoder import Encoder
from nearfield.serve.images import as_url
from nearfield.serve.kept_rows import Row
from nearfield.serve.models import Models, ServedModel
from nearfield.serve.refusal import INVALID, LATE, Refusal
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.role import DOCUMENT, IMAGE, Role

T = TypeVar("T")


@dataclass
class Call:
    """One request. `strict`: a model whose roles differ is told the role, or the request is
    refused. What was used is noted: `model`, `contract` and `role` by name, `items`, `tokens`,
    `truncated` items and `warnings`.
    """

    models: Models
    strict: bool
    seconds: float
    model: str = ""
    contract: str = ""
    role: Role | None = None
    items: int = 0
    tokens: int = 0
    truncated: int = 0
    warnings: list[str] = field(default_factory=list)

    async def rows(
        self,
        name: str,
        texts: Sequence[str],
        role: Role | None = None,
        *,
        whole: bool = False,
    ) -> list[Row]:
        """The embeddings of the texts by the model called `name`, in `role`, else in the role that
        the name has behind a colon.

        Raises Refusal for a model that is not served, for an empty list, where `whole` and a text
        is longer than the model reads, and as `ServedModel` does.
        """
        model, encoder, named = await self.encoder(name)
        role = self._role(encoder, role or named)
        if not texts:
            raise Refusal(INVALID, "there is no text; wanted one at least")
        if role == IMAGE:  # whose strings are paths else, which no client may name
            texts = [as_url(text) for text in texts]
        rows = await self._done(model.embed([(role, text) for text in texts]))
        self.items += len(rows)
        self.tokens += sum(row.tokens for row in rows)
        cut = [at for at, row in enumerate(rows) if row.lost]
        if cut and whole:
            row = rows[cut[0]]
            raise Refusal(
                INVALID,
                f"text {cut[0]} has {row.tokens + row.lost} tokens, and {model.name} reads "
                f"{encoder.contract.max_tokens}; shorten it, or ask for truncation",
            )
        self.truncated += len(cut)
        return rows

    async def scores(
        self, name: str, pairs: Sequence[tuple[str, str]], *, raw: bool = False
    ) -> list[float]:
        """How relevant the document of each pair is to its query: between 0 and 1 where a
        cross-encoder says it, its logit where `raw`.
        """
        model, _ = self.models.find(name)
        judge = await self._opened(model, model.judge)
        self.model = model.name
        self.contract = judge.name
        scores = await self._done(model.score(pairs))
        self.items += len(pairs)
        if raw or judge.encoder is not None:  # a sum of similarities is no logit
            return scores
        return [float(expit(score)) for score in scores]

    async def encoder(self, name: str) -> tuple[ServedModel, Encoder[Embeddings], Role | None]:
        """The model called `name`, open, its encoder, and the role in its name."""
        model, role = self.models.find(name)
        encoder = await self._opened(model, model.encoder)
        self.model = model.name
        self.contract = encoder.contract.name
        return model, encoder, role

    def warn(self, message: str) -> None:
        """Say something beside the answer, once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def _role(self, encoder: Encoder[Embeddings], role: Role | None) -> Role:
        """The role that texts are encoded in: a document's where none is stated or the model does
        not have it, which is refused where `strict`.
        """
        contract = encoder.contract
        known = role in ("query", DOCUMENT) or role in contract.prompts
        if role is not None and known:
            self.role = role
            return role
        self.role = DOCUMENT
        if role is not None or encoder.roles_differ:
            what = f"has no role {role!r}" if role else "encodes queries in another way"
            message = f"{contract.name} {what}; state query or document"
            if self.strict:
                raise Refusal(INVALID, message)
            self.warn(f"{message}. Taken as documents.")
        return DOCUMENT

    async def _opened(self, model: ServedModel, opener: Callable[[], T]) -> T:
        if model.open:
            return opener()

        # weights take seconds to read: other requests are answered meanwhile
        return await asyncio.to_thread(self.models.opened, model, opener)

    async def _done(self, future: Future[T]) -> T:
        """What the future gives, in time; a request that is given up gives up its turn."""
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError as error:
            raise Refusal(LATE, f"not answered within {self.seconds:g} seconds") from error
