"""The models that are served: opened when they are asked for, closed when memory is short."""

from __future__ import annotations

import gc
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.encoder_scorer import EncoderScorer
from nearfield.encoders.load import load, load_reranker, stated_contract
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import InputError, NearfieldError, nearest
from nearfield.formats.reranker_folder import is_reranker
from nearfield.models.find import model_path
from nearfield.serve.engine import Engine
from nearfield.serve.kept_rows import KeptRows, Row
from nearfield.serve.limits import Limits
from nearfield.serve.refusal import UNAVAILABLE, UNKNOWN, Refusal
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.role import Role

T = TypeVar("T")
# NAME=MODEL; behind an @ or in a path, a = belongs to the model's spec
_NAMED = re.compile(r"([^@=/\\]+)=(.+)", re.DOTALL)
_CHARACTERS = 4  # per token, about
_SPECIALS = 3


class ServedModel:
    """A model of the server: `name` is what clients call it, `spec` what opens it.

    `judges`: it reads query and document together and has no embeddings. Its files are opened by
    the first request.
    """

    def __init__(
        self,
        spec: str,
        limits: Limits,
        *,
        encoder: Callable[[str], Encoder[Any]] = load,
        reranker: Callable[[str], PairScorer] = load_reranker,
    ) -> None:
        named = _NAMED.fullmatch(spec)
        self.spec = named[2] if named else spec
        self.name = named[1] if named else ModelSpec.parse(spec).short
        self.judges = is_reranker(Path(ModelSpec.parse(self.spec).name))
        self.used = time.monotonic()
        self._open_encoder = encoder
        self._open_reranker = reranker
        self._limits = limits
        self._lock = threading.Lock()
        self._encoder: Encoder[Any] | None = None
        self._judge: PairScorer | None = None
        self._kept = KeptRows(limits.cache_bytes)
        self._engines: list[Engine[Any, Any]] = []

    @property
    def open(self) -> bool:
        """Whether its weights are in memory."""
        return self._encoder is not None or self._judge is not None

    @property
    def idle(self) -> bool:
        """Whether nothing waits for it."""
        return all(engine.waiting == 0 for engine in self._engines)

    @property
    def waiting(self) -> int:
        """Estimated tokens that wait for it."""
        return sum(engine.waiting for engine in self._engines)

    def can(self, ability: str) -> bool:
        """Whether its files state embeddings with an ability, such as `has_terms`."""
        return self._kind is not None and bool(getattr(self._kind, ability))

    @cached_property
    def _kind(self) -> type[Embeddings] | None:
        """What its files state, vectors where there are none here; None of a reranker."""
        if self.judges:
            return None
        try:
            return EMBEDDINGS[stated_contract(model_path(ModelSpec.parse(self.spec).name)).kind]
        except (NearfieldError, OSError):
            return EMBEDDINGS["dense"]

    @cached_property
    def size(self) -> int:
        """Bytes of its weights' files; 0 where it has none here."""
        try:
            folder = model_path(ModelSpec.parse(self.spec).name)
            return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
        except (NearfieldError, OSError):
            return 0

    def encoder(self) -> Encoder[Any]:
        """Its encoder. Raises Refusal for a reranker and where it cannot be opened."""
        if self.judges:
            raise Refusal(400, f"{self.name} is a reranker and has no embeddings")
        self.used = time.monotonic()
        with self._lock:
            # requests that come while it is read wait here, and do not read it again
            if self._encoder is None:
                self._encoder = self._opened(self._open_encoder)
            return self._encoder

    def judge(self) -> PairScorer:
        """What scores pairs: the reranker, or a multi-vector model by its embeddings. Raises
        Refusal for another model and where it cannot be opened.
        """
        self.used = time.monotonic()
        if not self.judges:
            encoder = self.encoder()
            if not EMBEDDINGS[encoder.contract.kind].merges_tokens:
                raise Refusal(400, f"{self.name} is not a reranker or a multi-vector model")
            return EncoderScorer(encoder)
        with self._lock:
            if self._judge is None:
                self._judge = self._opened(self._open_reranker)
            return self._judge

    def embed(self, items: Sequence[tuple[Role, str]]) -> Future[list[Row]]:
        """The embeddings of texts in their roles. Raises Refusal where too much waits."""
        return self._embedding.submit(items)

    def score(self, pairs: Sequence[tuple[str, str]]) -> Future[list[float]]:
        """How relevant the document of each pair is to its query, as the model says it."""
        return self._scoring.submit(pairs)

    def close(self) -> None:
        """Let go of the weights and of what was kept."""
        with self._lock:
            self._encoder = None
            self._judge = None
            self._kept = KeptRows(self._limits.cache_bytes)  # a turn may be at the other
        gc.unfreeze()  # cycles in what is let go of are collected

    def stop(self) -> None:
        """Answer what was accepted, and stop."""
        for engine in self._engines:
            engine.close()
        self.close()

    def _opened(self, opener: Callable[[str], Any]) -> Any:
        try:
            opened = opener(self.spec)
        except (NearfieldError, OSError) as error:
            raise Refusal(UNAVAILABLE, f"{self.name} could not be opened: {error}") from error
        # what stays is not looked through again: a full collection holds all requests up, for
        # 200 ms with a small model
        gc.collect()
        gc.freeze()
        return opened

    @cached_property
    def _embedding(self) -> Engine[tuple[Role, str], Row]:
        most = self.encoder().contract.max_tokens
        # what is cut off a long text is not computed
        engine: Engine[tuple[Role, str], Row] = Engine(
            self._rows, lambda item: min(most, _tokens(item[1])), self._limits
        )
        self._engines.append(engine)
        return engine

    @cached_property
    def _scoring(self) -> Engine[tuple[str, str], float]:
        engine: Engine[tuple[str, str], float] = Engine(
            self._scores, lambda pair: _tokens(pair[0]) + _tokens(pair[1]), self._limits
        )
        self._engines.append(engine)
        return engine

    def _rows(self, items: list[tuple[Role, str]]) -> list[Row]:
        """The run of the embedding engine: only what is not kept from before is encoded, once."""
        kept = self._kept  # as `close` may put another in its place
        # opened again where it was closed, for another model, since the request was accepted
        encoder = self.encoder()
        rows: dict[tuple[Role, str], Row] = {}
        wanted = []
        for item in dict.fromkeys(items):
            row = kept.get(item)
            if row is None:
                wanted.append(item)
            else:
                rows[item] = row
        if wanted:
            made = encoder.encode_mixed([text for _, text in wanted], [role for role, _ in wanted])
            # tokens that were read and that did not fit; an encoder behind an API may not say
            counts = np.zeros((len(wanted), 2), np.int64) if made.counts is None else made.counts
            for at, item in enumerate(wanted):
                rows[item] = Row(made[[at]], int(counts[at, 0]), int(counts[at, 1]))
                kept.put(item, rows[item])
        return [rows[item] for item in items]

    def _scores(self, pairs: list[tuple[str, str]]) -> list[float]:
        """The run of the scoring engine: each text is read once, however many pairs it is in."""
        queries: dict[str, int] = {}
        documents: dict[str, int] = {}
        asked = [queries.setdefault(query, len(queries)) for query, _ in pairs]
        read = [documents.setdefault(document, len(documents)) for _, document in pairs]
        places = np.array(asked), np.array(read)
        scores: list[float] = self.judge().score_at([*queries], [*documents], places).tolist()
        return scores


class Models:
    """The served models by name; the first that can do it answers requests that name none."""

    def __init__(self, models: Sequence[ServedModel], limits: Limits) -> None:
        if not models:
            raise InputError("there is no model to serve; name one, such as minilm")
        self.by_name: dict[str, ServedModel] = {}
        for model in models:
            if model.name in self.by_name:
                raise InputError(
                    f"two models are called {model.name}; give one another name: NAME={model.spec}"
                )
            self.by_name[model.name] = model
        self.limits = limits
        self._room = threading.Lock()

    def first(self, ability: str) -> str:
        """The name of the first model whose embeddings have an ability, else of the first encoder,
        else of the first model.
        """
        every = self.by_name.values()
        able = [model for model in every if model.can(ability)]
        encoders = [model for model in every if not model.judges]
        return [*able, *encoders, *every][0].name

    def judge(self) -> str:
        """The name of the first reranker, else of the first multi-vector model, as `first`."""
        for name, model in self.by_name.items():
            if model.judges:
                return name
        return self.first("merges_tokens")

    def find(self, name: str) -> tuple[ServedModel, Role | None]:
        """The model that a request names, as `minilm` or `minilm:query`, and the role in its name.

        Raises Refusal for a name that is not served.
        """
        if name in self.by_name:
            return self.by_name[name], None
        own, _, role = name.rpartition(":")
        if own in self.by_name:
            # Ollama's clients put :latest behind a name that has no tag
            return self.by_name[own], None if role == "latest" else role
        known = ", ".join(self.by_name)
        message = f"there is no model {name!r} here; it has {known}.{nearest(name, self.by_name)}"
        raise Refusal(UNKNOWN, message)

    def opened(self, wanted: ServedModel, opener: Callable[[], T]) -> T:
        """What `opener` gives, which opens `wanted`. Where memory is limited, models are closed for
        it first, and one is opened at a time: one that is being read would not be counted.
        """
        limit = self.limits.memory_bytes
        if limit is None:
            return opener()
        with self._room:
            self._make_room(wanted, limit)
            return opener()

    def _make_room(self, wanted: ServedModel, limit: int) -> None:
        """Close models that nothing waits for, the one not used for longest first, until `wanted`
        fits into memory beside the others.
        """
        if wanted.open:
            return
        others = [model for model in self.by_name.values() if model.open]
        total = wanted.size + sum(model.size for model in others)
        for model in sorted(others, key=lambda model: model.used):
            # what is waited for stays open, even above the limit
            if total > limit and model.idle:
                model.close()
                total -= model.size

    def stop(self) -> None:
        """Answer what was accepted, and stop."""
        for model in self.by_name.values():
            model.stop()


def _tokens(text: str) -> int:
    """A text's number of tokens, roughly; the exact one costs tokenising it."""
    return len(text) // _CHARACTERS + _SPECIALS
