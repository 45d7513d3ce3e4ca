"""The kernels of this package as a runtime: BERT and its kin on a CPU, without padding, without
torch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.errors import InputError, ModelError
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.weights import Weights
from nearfield.kernels.library import kernels, runnable
from nearfield.kernels.matrix import PRECISIONS
from nearfield.models.backbones.architectures import ARCHITECTURES, why_not_config, why_not_names
from nearfield.models.heads import HEADS
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.head import Given
from nearfield.models.heads.layer import Layer
from nearfield.runtimes.hardware import cores
from nearfield.runtimes.native_terms import NativeTerms, why_not_terms
from nearfield.runtimes.packed_model import PackedModel
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings
from nearfield.store.fields import read_fields
from nearfield.types.contract import Contract

StateHeads = Callable[[npt.NDArray[np.float32], Packed], Embeddings]
"""Takes the states (T, hidden) of a batch's tokens."""


class NativeRuntime(Runtime):
    """A packed model, its contract, and the Dense modules in the folders `projections`, or `heads`
    over its states.

    Each call runs on the thread that makes it; `streams` threads use the whole processor.
    """

    name = "native"
    precisions = PRECISIONS
    kinds = tuple(EMBEDDINGS)

    def __init__(
        self,
        model: PackedModel,
        contract: Contract,
        *,
        projections: Sequence[Path] = (),
        precision: str = "float32",
        heads: StateHeads | None = None,
    ) -> None:
        self.precision = precision
        self.batch_tokens = 2048
        self.streams = cores()
        self._model = model
        self._contract, self._heads = contract, heads
        self._finish = (
            None if heads else DenseHead(contract, [Layer.open(at) for at in projections])
        )
        self._scratch: list[npt.NDArray[np.float32]] = []  # of calls that ended, for those to come

    @classmethod
    def open(
        cls, folder: ModelFolder, *, precision: str = "float32", level: str | None = None
    ) -> NativeRuntime:
        """The runtime of a model folder, with the kernels of `level` (the best that the processor
        runs by default).

        Raises ModelError where `why_not` gives a reason, or where weights are missing, misshapen,
        cut off or not finite.
        """
        hindrance = why_not_documents(folder)
        if hindrance:
            raise ModelError(f"{folder.path}: the native runtime {hindrance}")
        config = read_fields(folder.transformer / "config.json")
        of_tokens = not EMBEDDINGS[folder.contract.kind].one_vector
        model = PackedModel(
            kernels(level),
            Weights(folder.transformer),
            config,
            architecture=ARCHITECTURES[config["model_type"]],
            # of one token's state, the last layer makes no other
            pooling="mean" if of_tokens else folder.contract.pooling,
            precision=precision,
        )
        heads = _state_heads(folder, model, config) if of_tokens else None
        return cls(
            model,
            folder.contract,
            projections=() if of_tokens else folder.projections,
            precision=precision,
            heads=heads,
        )

    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """See Runtime.embed. Raises InputError for a token that the model does not have or that
        lies past its positions.
        """
        assert self._finish is not None
        skipped = 0 if self._contract.include_prompt else batch.prompt_tokens
        vectors: npt.NDArray[np.float32] = self._finish.finish(self._run(batch, skipped)[0])
        return vectors

    def represent(self, batch: Packed) -> Embeddings:
        """See Runtime.represent."""
        assert self._heads is not None
        return self._heads(self._run(batch, 0, keep=True)[1], batch)

    def _run(
        self, batch: Packed, skipped: int, *, keep: bool = False
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What the kernels pool of each sequence, and where it is to be kept, the state of each
        token: (n, hidden) and (T, hidden).
        """
        model, call = self._model.layout, self._model.kernels.call
        vectors = np.empty((len(batch), model.hidden), np.float32)
        pointer = ctypes.addressof(model)
        needed = call("scratch", pointer, len(batch.ids), int(batch.lengths.max(initial=0)))
        try:
            scratch = self._scratch.pop()
        except IndexError:  # asking first would leave another thread the time to take the last one
            scratch = np.empty(0, np.float32)
        if len(scratch) < needed:
            scratch = np.empty(needed, np.float32)
        ids, offsets = (
            np.require(batch.ids, np.int32, ["C"]),
            np.require(batch.offsets, np.int64, ["C"]),
        )
        wrong = call("encode", pointer, ids, offsets, len(batch), skipped, scratch, vectors)
        wide = self._model.kernels.padded(model.hidden)
        # the kernels' first part of it
        states = (
            scratch[: len(ids) * wide if keep else 0].reshape(-1, wide)[:, : model.hidden].copy()
        )
        self._scratch.append(scratch)
        if wrong:
            raise InputError(
                f"{self._contract.name}: token {wrong - 1} of a batch has id {ids[wrong - 1]} or "
                "a place that the model does not have: it "
                f"has {model.vocabulary} ids and {model.reach} places; does the tokeniser belong "
                "to the model?"
            )
        return vectors, states


def _state_heads(folder: ModelFolder, model: PackedModel, config: Mapping[str, Any]) -> StateHeads:
    """The heads over token states, of a sparse model, a multi-vector model or one of
    several kinds.
    """
    if EMBEDDINGS[folder.contract.kind].has_terms:
        return NativeTerms(model, config, folder)
    layout = model.layout
    head = HEADS[folder.head_name].open(Given(folder, layout.hidden, layout.vocabulary))
    return lambda states, batch: head.embeddings(head.forward(states, batch), batch)


def why_not(folder: ModelFolder) -> str | None:
    """In words why the kernels cannot run the model in `folder` here, or None where they can."""
    return "runs no table of queries" if folder.queries is not None else why_not_documents(folder)


def why_not_documents(folder: ModelFolder) -> str | None:
    """The same, of a model's documents, whose queries may be looked up."""
    if not runnable():
        return (
            "is not compiled here, or not from these sources; with a C compiler, python -m "
            "nearfield.kernels.compile does it"
        )
    if folder.late is not None and folder.late.inline:
        return "reads a backbone's weights by their own names, and these stand among others"
    if (
        folder.late is not None
        and folder.late.expansion is not None
        and not folder.late.expansion.attended
    ):
        return (
            "has every token look at all others, and no token looks at those that this model's "
            "queries are filled up with"
        )
    if not any(folder.transformer.glob("model.safetensors*")):
        return "reads model.safetensors only"
    config = read_fields(folder.transformer / "config.json")
    hindrance = why_not_config(config) or why_not_names(Weights(folder.transformer).names(), config)
    if hindrance is None and EMBEDDINGS[folder.contract.kind].has_terms:
        return why_not_terms(folder, config)
    return hindrance
