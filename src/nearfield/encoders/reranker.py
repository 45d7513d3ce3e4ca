"""A cross-encoder: reads a query and a document together and says how relevant the one is to the
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from nearfield.batch.pairs import PairTokeniser
from nearfield.batch.tokens import Tokeniser, Tokens
from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.chat import ChatPairs, has_chat_template
from nearfield.encoders.collect import chunks, collect, warn_of_truncation
from nearfield.encoders.encoder import refuse_one_text
from nearfield.encoders.pair_scorer import PairScorer, Scores
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import InputError
from nearfield.formats.reranker_folder import DECODER, RerankerFolder, read_reranker_folder
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.options import DEFAULTS, OpenOptions
from nearfield.runtimes.runtime import Runtime
from nearfield.store.fingerprint import model_hash
from nearfield.types.arrays import Positions
from nearfield.types.figures import worded
from nearfield.types.progress import Progress, silent


class Reranker(PairScorer):
    """A cross-encoder's folder, its tokeniser and a runtime; `batch_tokens` bounds the tokens of
    one call of the runtime, by default at what is fastest for it.
    """

    def __init__(
        self, folder: RerankerFolder, runtime: Runtime, *, batch_tokens: int | None = None
    ) -> None:
        self.folder = folder
        self.runtime = runtime
        self.name = folder.name
        self.batch_tokens = batch_tokens or runtime.batch_tokens
        tokeniser = Tokeniser.open(
            folder.transformer, max_tokens=folder.max_tokens, lower_case=folder.lower_case
        )
        # a decoder's template says where query and document go; a classifier gets them as a pair
        chat = folder.task == DECODER and has_chat_template(folder.transformer)
        self.chat = ChatPairs(folder.transformer, tokeniser, prompt=folder.prompt) if chat else None
        self.tokeniser = PairTokeniser(tokeniser, typed=runtime.typed)

    @classmethod
    def open(
        cls,
        name: str | Path,
        options: OpenOptions = DEFAULTS,
        *,
        batch_tokens: int | None = None,
    ) -> Reranker:
        """The cross-encoder in a folder, which a spec such as `./judge@torch,bfloat16` may name.

        Raises as `ModelSpec.parse`, `read_reranker_folder`, `choose` and the runtime do.
        """
        spec = ModelSpec.parse(name)
        folder = read_reranker_folder(spec.name)
        runtime, _ = open_runtime(folder, spec.options(options))
        return cls(folder, runtime, batch_tokens=batch_tokens)

    @cached_property
    def identity(self) -> dict[str, str]:
        return {
            "files": model_hash(self.folder.path),
            "runtime": self.runtime.name,
            "precision": self.runtime.precision,
        }

    @cached_property
    def trained_on(self) -> TrainedOn:
        return TrainedOn.read(self.folder.path)

    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """(n,) float32: how relevant each document is to the query, through the activation that the
        folder states.
        """
        return self.score_pairs(
            [query],
            documents,
            pairs=(np.zeros(len(documents), np.int64), np.arange(len(documents))),
        )

    def score_pairs(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        *,
        pairs: tuple[Positions, Positions] | None = None,
    ) -> Scores:
        """(n,) float32: what sentence-transformers' CrossEncoder.predict gives, for query i and
        document i or for the `pairs` of positions.

        Raises InputError where the texts do not pair up.
        """
        if pairs is None:
            if len(queries) != len(documents):
                raise InputError(
                    f"got {len(queries)} queries and {len(documents)} documents; "
                    "wanted a document for each query"
                )
            pairs = np.arange(len(queries)), np.arange(len(documents))
        logits = self.score_at(queries, documents, pairs)
        return expit(logits) if self.folder.activation == "sigmoid" else logits

    def score_at(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
        *,
        progress: Progress = silent,
    ) -> Scores:
        """The logits: a sigmoid changes no order, and makes high scores equal that are not.

        Warns with TruncationWarning where pairs were longer than the model reads.
        """

        def tokenise(chunk: slice) -> Tokens:
            return self.tokenise(queries, documents, (pairs[0][chunk], pairs[1][chunk]))

        count = len(pairs[0])
        found = collect(
            self.runtime,
            chunks(count, tokenise),
            count,
            batch_tokens=self.batch_tokens,
            name=self.name,
            progress=progress,
            spread=False,  # pairs are long, so that even few of them fill batches
        )
        warn_of_truncation(found.usage, self.folder.contract, "pairs")
        logits: Any = found.embeddings
        # (n, 1): a logit is a vector of one dimension to what collects and checks embeddings
        scores: Scores = logits.vectors[:, 0]
        return scores

    def tokenise(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
        *,
        max_tokens: int | None = None,
    ) -> Tokens:
        """The token ids of the pairs, each text tokenised once; at most `max_tokens` (the model's
        by default) each.

        Raises InputError where the items are not texts.
        """
        asked, query = _used(queries, pairs[0])
        read, document = _used(documents, pairs[1])
        if self.chat is not None:
            places = zip(query.tolist(), document.tolist(), strict=True)
            both = [(asked[first], read[second]) for first, second in places]
            return self.chat.tokenise(both, max_tokens=max_tokens)
        first = self.tokeniser.texts(asked, self.folder.prompt)
        second = self.tokeniser.texts(read)
        return self.tokeniser.join(first, second, (query, document), max_tokens=max_tokens)


def _used(texts: Sequence[str], at: Positions) -> tuple[list[str], Positions]:
    """The different texts at these positions, and where each position's is among them."""
    refuse_one_text(texts)
    used, place = np.unique(np.asarray(at, np.int64), return_inverse=True)
    chosen = []
    for item in used.tolist():
        text = texts[item]
        if not isinstance(text, str):
            raise InputError(f"an item is {text!r}; wanted a text")
        chosen.append(worded(text))
    return chosen, place
