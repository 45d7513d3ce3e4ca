"""The kernels of this package as a runtime: BERT and its kin on a CPU, without padding, without torch."""

from __future__ import annotations

import ctypes
import os

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.encoders.runtimes.architectures import ARCHITECTURES, why_not_config
from nearfield.encoders.runtimes.packed_model import PackedModel
from nearfield.encoders.runtimes.runtime import Runtime
from nearfield.errors import InputError, ModelError
from nearfield.kernels.library import kernels, runnable
from nearfield.kernels.matrix import PRECISIONS
from nearfield.store.atomic import read_json
from nearfield.store.model_folder import ModelFolder
from nearfield.store.weights import Weights
from nearfield.types.contract import Contract


class NativeRuntime(Runtime):
    """A packed model and its contract. Each call runs on the thread that makes it; `streams` threads use the whole processor."""

    name = "native"
    precisions = PRECISIONS

    def __init__(self, model: PackedModel, contract: Contract, *, precision: str = "float32") -> None:
        self.precision = precision
        self.batch_tokens = 2048
        self.streams = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._model = model
        self._contract = contract
        self._scratch: list[npt.NDArray[np.float32]] = []  # of calls that ended, for those to come

    @classmethod
    def open(cls, folder: ModelFolder, *, precision: str = "float32", level: str | None = None) -> NativeRuntime:
        """The runtime of a model folder, with the kernels of `level` (the best that the processor runs by default).

        Raises ModelError where `why_not` gives a reason, or where weights are missing, misshapen, cut off or not finite.
        """
        hindrance = why_not(folder)
        if hindrance:
            raise ModelError(f"{folder.path}: the native runtime {hindrance}")
        config = read_json(folder.transformer / "config.json")
        model = PackedModel(
            kernels(level),
            Weights(folder.transformer),
            config,
            architecture=ARCHITECTURES[config["model_type"]],
            pooling=folder.contract.pooling,
            precision=precision,
        )
        return cls(model, folder.contract, precision=precision)

    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """See Runtime.embed. Raises InputError for a token that the model does not have or that lies past its positions."""
        skipped = 0 if self._contract.include_prompt else batch.prompt_tokens
        model, call = self._model.layout, self._model.kernels.call
        vectors = np.empty((len(batch), model.hidden), np.float32)
        pointer = ctypes.addressof(model)
        needed = call("scratch", pointer, len(batch.ids), int(batch.lengths.max(initial=0)))
        scratch = self._scratch.pop() if self._scratch else np.empty(0, np.float32)
        if len(scratch) < needed:
            scratch = np.empty(needed, np.float32)
        ids, offsets = np.require(batch.ids, np.int32, ["C"]), np.require(batch.offsets, np.int64, ["C"])
        wrong = call("encode", pointer, ids, offsets, len(batch), skipped, scratch, vectors)
        self._scratch.append(scratch)
        if wrong:
            raise InputError(
                f"{self._contract.name}: token {wrong - 1} of a batch has id {ids[wrong - 1]} or a place that the model does not have: it "
                f"has {model.vocabulary} ids and {model.reach} places; does the tokeniser belong to the model?"
            )
        if self._contract.normalise:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def why_not(folder: ModelFolder) -> str | None:
    """In words why the kernels cannot run the model in `folder` here, or None where they can."""
    if not runnable():
        return "is not compiled here, or not from these sources; with a C compiler, python -m nearfield.kernels.compile does it"
    if folder.projections:
        return "does not run Dense modules"
    if not any(folder.transformer.glob("model.safetensors*")):
        return "reads model.safetensors only"
    return why_not_config(read_json(folder.transformer / "config.json"))
