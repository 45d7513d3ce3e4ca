"""A transformer over text, with one vector a text."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearfield.batch.padded import pad, token_budget_batches
from nearfield.batch.tokens import Tokeniser, Tokens
from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError, InputError, ModelError, TruncationWarning, nearest
from nearfield.heads.pooling import POOLINGS
from nearfield.heads.projection import Projection
from nearfield.similarity.dense import Dense, Usage, checked_finite
from nearfield.store.model_folder import ModelFolder, read_model_folder
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CHUNK = 8192  # texts tokenised at once: bounds the memory that token ids take


class TextEncoder(Encoder):
    """Backbone, pooling, projections and normalisation of a model folder.

    `precision` is that of the matrix products; weights and outputs are float32. `batch_tokens` bounds the tokens of one
    forward pass, padding included.
    """

    def __init__(self, folder: ModelFolder, *, precision: str = "float32", batch_tokens: int = 4096) -> None:
        if precision not in PRECISIONS:
            raise ContractError(f"there is no precision {precision!r}; wanted {' or '.join(PRECISIONS)}.{nearest(precision, PRECISIONS)}")
        self.folder = folder
        self.contract = folder.contract
        self.precision = precision
        self.batch_tokens = batch_tokens
        self.tokeniser = Tokeniser.open(folder.transformer, max_tokens=self.contract.max_tokens, lower_case=folder.lower_case)
        opened = load_backbone(folder.transformer)
        self.backbone, self.fill, self.unread = opened.model, opened.fill, opened.unread
        self.projections = nn.ModuleList(Projection.open(part) for part in folder.projections)

    @classmethod
    def open(cls, path: str | Path, *, precision: str = "float32", batch_tokens: int = 4096) -> TextEncoder:
        """The encoder in a model folder. Raises ModelError and ContractError as `read_model_folder` and `load_backbone` do."""
        return cls(read_model_folder(path), precision=precision, batch_tokens=batch_tokens)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every weight by name: the backbone's as its checkpoint names them, projections' after `projections.`."""
        named = dict(self.backbone.named_parameters())
        return named | {f"projections.{name}": weight for name, weight in self.projections.named_parameters()}

    def embed(self, ids: Tensor, mask: Tensor, prompt_tokens: int = 0) -> Tensor:
        """Embeddings of token ids (B, T) under mask (B, T), True at real tokens: (B, dim) float32, differentiable.

        A row without a token to pool is pooled to zeros.
        """
        attended = mask | ~mask.any(1, keepdim=True)  # attention over no token at all is NaN
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            states = self.backbone(input_ids=ids, attention_mask=attended.long()).last_hidden_state.float()
        counts = mask
        if prompt_tokens and not self.contract.include_prompt:
            counts = mask & (torch.arange(mask.shape[1], device=mask.device) >= prompt_tokens)
        nothing = ~counts.any(1, keepdim=True)
        vectors = POOLINGS[self.contract.pooling](states, counts | nothing, mask).masked_fill(nothing, 0.0)
        for projection in self.projections:
            vectors = projection(vectors)
        return nn.functional.normalize(vectors, dim=-1) if self.contract.normalise else vectors

    def tokenise(self, items: Sequence[str], role: Role, *, max_tokens: int | None = None) -> Tokens:
        """Token ids of the items with the role's prompt before each, at most `max_tokens` (the contract's by default) each.

        Raises ContractError where the prompt fills them all and is not pooled, so that nothing would be left of any item, and
        InputError where the items are no texts.
        """
        if isinstance(items, str):
            raise InputError(f"got one text where a list of texts is wanted; write [{items[:20]!r}]")
        for at, item in enumerate(items):
            if not isinstance(item, str):
                raise InputError(f"item {at} is {item!r}; wanted a text")
        tokens = self.tokeniser.tokenise(items, self.contract.prompt(role), max_tokens=max_tokens)
        limit = min(max_tokens or self.contract.max_tokens, self.contract.max_tokens)
        if tokens.prompt_tokens >= limit and not self.contract.include_prompt:
            raise ContractError(
                f"{self.contract.name}: the prompt of role {role!r} has {tokens.prompt_tokens} tokens and the model reads {limit}; as "
                "prompts are not pooled, nothing would be left to pool. Shorten the prompt or raise the limit."
            )
        return tokens

    def count_tokens(self, items: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n,) tokens of each item, without prompt, before any truncation."""
        return self.tokeniser.count(items)

    def encode(self, items: Sequence[str], role: Role, *, progress: Progress = silent) -> Dense:
        """See Encoder.encode. Batches are cut by length within chunks of 8,192 items."""
        started = time.perf_counter()
        vectors = np.empty((len(items), self.contract.dim), np.float32)
        tokens_read, truncated, lost, prompted = 0, 0, 0, 0
        for start in range(0, len(items), _CHUNK):
            tokens = self.tokenise(items[start : start + _CHUNK], role)
            for done in self._encode_chunk(tokens, vectors[start : start + _CHUNK]):
                progress(start + done, len(items))
            tokens_read += len(tokens.ids)
            truncated += int((tokens.lost > 0).sum())
            lost += int(tokens.lost.sum())
            prompted += tokens.prompt_tokens * (len(tokens.offsets) - 1)
        checked_finite(vectors, self.contract.name)
        usage = Usage(len(items), tokens_read, truncated, lost, prompted, time.perf_counter() - started)
        if truncated:
            share = lost / (lost + tokens_read)
            warnings.warn(
                f"{self.contract.name} reads {self.contract.max_tokens} tokens: {truncated:,} of {len(items):,} texts were longer and "
                f"lost {lost:,} tokens ({share:.1%} of all)",
                TruncationWarning,
                stacklevel=2,
            )
        kept = self.contract
        return Dense(vectors, kept.dim, similarity=kept.similarity, layer_norm=kept.layer_norm, normalise=kept.normalise, usage=usage)

    def _encode_chunk(self, tokens: Tokens, out: npt.NDArray[np.float32]) -> Iterator[int]:
        """Fill `out` with the embeddings of `tokens`, yielding how many are done after each batch."""
        done = 0
        for batch in token_budget_batches(tokens.lengths, self.batch_tokens):
            ids, mask = pad(tokens, batch, self.fill)
            with torch.inference_mode():
                out[batch] = self.embed(torch.from_numpy(ids), torch.from_numpy(mask), tokens.prompt_tokens).numpy()
            done += len(batch)
            yield done


@dataclass(frozen=True)
class Backbone:
    """A transformer, the id that fills its padded places, and the weights that its file left out and nothing reads."""

    model: Any
    fill: int
    unread: frozenset[str]


def load_backbone(folder: Path) -> Backbone:
    """The transformer in `folder`, float32, in evaluation mode.

    Of an encoder-decoder its encoder. Raises ModelError for an architecture that transformers does not know, for an
    encoder-decoder whose encoder it does not load alone, for weights that are missing (a pooler, which no pooling here reads,
    may be), cut off, or not finite.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

    with quiet():
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
        except (ValueError, KeyError, OSError) as error:
            raise ModelError(f"{folder}: the architecture is not one that transformers knows: {_first_line(error)}") from error
        if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
            raise ModelError(f"{folder}: holds no weights; wanted model.safetensors")
        auto = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
        if auto is AutoModel and config.is_encoder_decoder:
            raise ModelError(f"{folder}: {config.model_type} is an encoder-decoder, and transformers does not load its encoder alone")
        try:
            opened = auto.from_pretrained(folder, config=config, dtype=torch.float32, local_files_only=True, output_loading_info=True)
        except Exception as error:  # safetensors, torch and transformers each raise their own for a damaged file
            raise ModelError(f"{folder}: the weights could not be read: {_first_line(error)}") from error
    backbone, report = opened
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    if missing or report["mismatched_keys"]:
        some = ", ".join([*missing, *(str(key) for key in report["mismatched_keys"])][:3])
        raise ModelError(f"{folder}: the weights do not fit the architecture {config.model_type}: missing or of another shape: {some}")
    for name, weight in backbone.named_parameters():
        if not torch.isfinite(weight).all():
            raise ModelError(f"{folder}: weight {name} holds NaN or infinite values; the file is damaged or its training failed")
    return Backbone(backbone.eval(), int(config.pad_token_id or 0), frozenset(report["missing_keys"]))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bar and its load report, which are ours to give; as it was, afterwards."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
