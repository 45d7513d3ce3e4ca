"""The kernels of this package as a runtime: BERT and its kin on a CPU, without padding, without
torch.
"""

from __future__ import annotations

import ctypes

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.errors import InputError, ModelError
from nearfield.formats.weights import Weights
from nearfield.kernels.library import kernels, runnable
from nearfield.kernels.matrix import PRECISIONS
from nearfield.models.backbones.native_config import why_not_config, why_not_names
from nearfield.runtimes.hardware import cores
from nearfield.runtimes.native_heads import NATIVE_HEADS, Run
from nearfield.runtimes.options import ON_CPU, OpenOptions
from nearfield.runtimes.packed_model import PackedModel
from nearfield.runtimes.runtime import Folder, Runtime
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings
from nearfield.store.fields import read_fields
from nearfield.types.arrays import Floats
from nearfield.types.contract import Contract


class NativeRuntime(Runtime):
    """A packed model, its contract, and the head over what the kernels make.

    `pooled`: the head takes one state per sequence, else those of all tokens. Each call runs on the
    thread that makes it; `streams` threads use the whole processor.
    """

    name = "native"
    precisions = PRECISIONS
    kinds = tuple(EMBEDDINGS.table)
    pairs = True
    batch_tokens = 2048

    def __init__(
        self, model: PackedModel, contract: Contract, head: Run, *, pooled: bool, precision: str
    ) -> None:
        self.precision = precision
        self.streams = cores()
        self.typed = model.typed
        self._model = model
        self._contract = contract
        self._head = head
        self._pooled = pooled
        self._scratch: list[Floats] = []  # of calls that ended, for those to come

    @classmethod
    def why_not(cls, folder: Folder) -> str | None:
        if not runnable():
            return (
                "is not compiled here, or not from these sources; with a C compiler, python -m "
                "nearfield.kernels.compile does it"
            )
        if not any(folder.transformer.glob("model.safetensors*")):
            return "reads model.safetensors only"
        if folder.head_name not in NATIVE_HEADS:
            return f"does not run the head {folder.head_name}"
        config = read_fields(folder.transformer / "config.json")
        return (
            NATIVE_HEADS[folder.head_name].why_not(folder, config)
            or why_not_config(config)
            or why_not_names(Weights(folder.transformer).names(), config)
        )

    @classmethod
    def open(
        cls, folder: Folder, options: OpenOptions = ON_CPU, *, level: str | None = None
    ) -> NativeRuntime:
        """The runtime with the kernels of `level` (by default the best that the processor runs).

        Raises ModelError where `why_not` gives a reason, or where weights are missing, misshapen,
        cut off or not finite.
        """
        hindrance = cls.why_not(folder)
        if hindrance:
            raise ModelError(f"{folder.path}: the native runtime {hindrance}")
        config = read_fields(folder.transformer / "config.json")
        head = NATIVE_HEADS[folder.head_name]
        pooling = head.pooling(folder)
        model = PackedModel(
            kernels(level),
            Weights(folder.transformer),
            config,
            # the kernels' last layer makes no other state than that of the token that is pooled
            pooling=pooling or "mean",
            precision=options.precision,
            typed=head.typed(folder, config),
        )
        return cls(
            model,
            folder.contract,
            head.open(folder, model, config),
            pooled=pooling is not None,
            precision=options.precision,
        )

    def run(self, batch: Packed) -> Embeddings:
        """Raises InputError for a token that the model does not have or that lies past its
        positions.
        """
        return self._head(self._states(batch), batch)

    def _states(self, batch: Packed) -> Floats:
        """What the kernels pool of each sequence, (n, hidden), or else the state of each token,
        (T, hidden).
        """
        model = self._model.layout
        call = self._model.kernels.call
        # C gets addresses: these arrays have the type and order that it reads, and live until it
        # returns
        ids = np.require(self._model.ids(batch), np.int32, ["C"])
        offsets = np.require(batch.offsets, np.int64, ["C"])
        skipped = 0 if self._contract.include_prompt or not self._pooled else batch.prompt_tokens
        pooled = np.empty((len(batch), model.hidden), np.float32)
        pointer = ctypes.addressof(model)
        needed = call("scratch", pointer, len(ids), int(batch.lengths.max(initial=0)))
        try:
            scratch = self._scratch.pop()
        except IndexError:  # asking first would leave another thread the time to take the last one
            scratch = np.empty(0, np.float32)
        if len(scratch) < needed:
            scratch = np.empty(needed, np.float32)
        # 0, or the place from 1 of the first token that the model cannot take
        wrong = call("encode", pointer, ids, offsets, len(batch), skipped, scratch, pooled)
        states = pooled if self._pooled else self._token_states(scratch, len(ids))
        # given back before an error is raised, and only when the states are out of it
        self._scratch.append(scratch)
        if wrong:
            raise InputError(
                f"{self._contract.name}: token {wrong - 1} of a batch has id {ids[wrong - 1]} or "
                "a place that the model does not have: it "
                f"has {model.vocabulary} ids and {model.reach} places; does the tokeniser belong "
                "to the model?"
            )
        return states

    def _token_states(self, scratch: Floats, tokens: int) -> Floats:
        """The states of all tokens, which the kernels leave at the start of `scratch` in rows
        padded to whole registers.
        """
        hidden = self._model.layout.hidden
        wide = self._model.kernels.padded(hidden)
        return scratch[: tokens * wide].reshape(-1, wide)[:, :hidden].copy()
