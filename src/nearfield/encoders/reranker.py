"""A cross-encoder: reads a query and a document together and says how relevant the one is to the
other.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.special import expit

from nearfield.batch.packed import Packed, mixed, packed_batches
from nearfield.batch.pairs import PairTokeniser
from nearfield.batch.tokens import Tokeniser, Tokens
from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.chat import ChatPairs, has_chat_template
from nearfield.encoders.native_pairs import NativePairs, why_not
from nearfield.encoders.pair_scorer import PairScorer, Positions, Scores
from nearfield.errors import InputError, ModelError, TruncationWarning
from nearfield.formats.reranker_folder import DECODER, RerankerFolder, read_reranker_folder
from nearfield.models.pair_model import PairModel
from nearfield.runtimes.hardware import bfloat16_in_hardware, cuda
from nearfield.store.fingerprint import model_hash
from nearfield.types.progress import Progress, silent

_CHUNK = 8192  # pairs that are tokenised at once: bounds the memory that token ids take


class Reranker(PairScorer):
    """A cross-encoder's folder, its tokeniser and its weights; `batch_tokens` bounds the tokens of
    one forward pass.
    """

    def __init__(
        self,
        folder: RerankerFolder,
        model: PairModel | NativePairs,
        *,
        batch_tokens: int | None = None,
    ) -> None:
        self.folder, self.model, self.name = folder, model, folder.name
        self.batch_tokens = batch_tokens or model.batch_tokens
        tokeniser = Tokeniser.open(
            folder.transformer, max_tokens=folder.max_tokens, lower_case=folder.lower_case
        )
        chat = folder.task == DECODER and has_chat_template(folder.transformer)
        self.chat = ChatPairs(folder.transformer, tokeniser, prompt=folder.prompt) if chat else None
        self.tokeniser = PairTokeniser(tokeniser, typed=model.typed)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        runtime: str = "auto",
        precision: str = "float32",
        device: str = "auto",
        batch_tokens: int | None = None,
    ) -> Reranker:
        """The cross-encoder in a folder.

        `runtime` is native (the kernels of this package, on a processor), torch, or auto: native
        where it runs this one. `precision` is float32, bfloat16 or auto (bfloat16 where the device
        multiplies it in hardware), `device` as torch names it, or auto. Raises ModelError as
        `read_reranker_folder` and the runtimes do, InputError for another precision or runtime or a
        device that is not there.
        """
        folder = read_reranker_folder(path)
        device = (
            ("cuda" if cuda() and runtime != "native" else "cpu") if device == "auto" else device
        )
        if precision == "auto":
            precision = "bfloat16" if bfloat16_in_hardware(device) else "float32"
        for what, got, known in (
            ("precision", precision, ("float32", "bfloat16")),
            ("runtime", runtime, ("native", "torch", "auto")),
        ):
            if got not in known:
                raise InputError(
                    f"a cross-encoder has no {what} {got!r}; wanted {', '.join(known)}"
                )
        if runtime == "native" and device != "cpu":
            raise InputError(
                f"the native runtime runs on the processor, not on {device}; leave "
                "out one of the two"
            )
        if runtime == "native" or (
            runtime == "auto" and device == "cpu" and why_not(folder, precision) is None
        ):
            return cls(folder, NativePairs(folder, precision=precision), batch_tokens=batch_tokens)
        try:
            return cls(
                folder,
                PairModel(folder, precision=precision, device=device),
                batch_tokens=batch_tokens,
            )
        # what torch raises for a device that it lacks or that is full
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"the device {device!r} cannot be used: "
                f"{(str(error).splitlines() or [repr(error)])[0]}"
            ) from error

    @cached_property
    def identity(self) -> dict[str, str]:
        """See PairScorer.identity."""
        return {
            "files": model_hash(self.folder.path),
            "runtime": self.model.name,
            "precision": self.model.precision,
        }

    @cached_property
    def trained_on(self) -> TrainedOn:
        """See PairScorer.trained_on."""
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
        """See PairScorer.score_at: the logits. A sigmoid changes no order, and makes high scores
        equal that are not.

        Warns with TruncationWarning where pairs were longer than the model reads.
        """
        scores, cut, lost = np.empty(len(pairs[0]), np.float32), 0, 0
        for start in range(0, len(scores), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            tokens = self.tokenise(queries, documents, (pairs[0][chunk], pairs[1][chunk]))
            cut, lost = cut + int((tokens.lost > 0).sum()), lost + int(tokens.lost.sum())
            done = start
            for batch, logits in self._each(mixed(packed_batches(tokens, self.batch_tokens))):
                scores[start + batch.items] = logits
                done += len(batch)
                progress(done, len(scores))
        if not np.isfinite(scores).all():
            raise ModelError(
                f"{self.name}: {int((~np.isfinite(scores)).sum()):,} scores are NaN "
                "or infinite; try precision float32"
            )
        if cut:
            longer = f"{cut:,} of {len(scores):,} pairs were longer and lost {lost:,} tokens"
            warnings.warn(
                f"{self.name} reads {self.folder.max_tokens} tokens a pair: {longer}",
                TruncationWarning,
                stacklevel=2,
            )
        return scores

    def _each(self, batches: list[Packed]) -> Iterator[tuple[Packed, Scores]]:
        """Each batch with its logits, as many at a time as the runtime has streams."""
        if self.model.streams == 1 or len(batches) < 2:
            yield from ((batch, self.model.logits(batch)) for batch in batches)
            return
        with ThreadPoolExecutor(self.model.streams, thread_name_prefix="score") as pool:
            yield from zip(batches, pool.map(self.model.logits, batches), strict=True)

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

        Raises InputError where the items are no texts.
        """
        (asked, query), (read, document) = _used(queries, pairs[0]), _used(documents, pairs[1])
        if self.chat is not None:
            both = [
                (asked[a], read[b]) for a, b in zip(query.tolist(), document.tolist(), strict=True)
            ]
            return self.chat.tokenise(both, max_tokens=max_tokens)
        first, second = self.tokeniser.texts(asked, self.folder.prompt), self.tokeniser.texts(read)
        return self.tokeniser.join(first, second, (query, document), max_tokens=max_tokens)


def _used(texts: Sequence[str], at: Positions) -> tuple[list[str], Positions]:
    """The different texts at these positions, and where each position's is among them."""
    if isinstance(texts, str):
        raise InputError(f"got one text where a list of texts is wanted; write [{texts[:20]!r}]")
    used, place = np.unique(np.asarray(at, np.int64), return_inverse=True)
    chosen = [texts[int(item)] for item in used]
    wrong = [text for text in chosen if not isinstance(text, str)]
    if wrong:
        raise InputError(f"an item is {wrong[0]!r}; wanted a text")
    return chosen, place
