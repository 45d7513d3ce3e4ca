"""ONNX Runtime as a runtime: float32, and int8 with dynamic ranges, on a CPU."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError, first_line
from nearfield.extras import require
from nearfield.formats.model_folder import ModelFolder
from nearfield.runtimes.converted import ConvertedRuntime
from nearfield.runtimes.hardware import adds_int8_exactly
from nearfield.runtimes.padded_states import INPUTS, Shape
from nearfield.runtimes.proof import Proof
from nearfield.types.arrays import Array, Integers

_OPSET = 17  # the first with layer norm as one operator
_LARGEST = 2**31  # bytes: what one ONNX file may hold


class ONNXRuntime(ConvertedRuntime):
    """An exported graph. int8 keeps the weights in int8 and takes the range of each activation as
    it comes, so that nothing is calibrated.
    """

    name = "onnx"
    precisions = ("float32", "int8")
    packages = ("onnxruntime", "onnx")

    @classmethod
    def _settings(cls, precision: str, proof: Proof) -> tuple[Mapping[str, Any], Sequence[str]]:
        # in the conversion's key, as the weights are quantised to another range by it
        return {"vnni": adds_int8_exactly()}, ()

    @classmethod
    def _convert(cls, folder: ModelFolder, stage: Path, *, precision: str, proof: Proof) -> Shape:
        """Through TorchScript: the exporter that replaces it takes seven times as long here and
        needs onnxscript.
        """
        import torch

        from nearfield.runtimes.traced import States, example, tracing

        states = States(folder.transformer)
        size = sum(weight.nbytes for weight in states.parameters())
        if size >= _LARGEST:
            raise ModelError(
                f"{folder.path}: its weights take {size / 2**30:.1f} GiB, and one ONNX "
                "file holds 2; use another runtime"
            )
        exported = stage / "exported.onnx"
        final = stage / "model.onnx"
        axes = {name: {0: "rows", 1: "places"} for name in (*INPUTS, "states")}
        with tracing():
            try:
                torch.onnx.export(
                    states, example(), exported, dynamo=False, opset_version=_OPSET,
                    dynamic_axes=axes, input_names=list(INPUTS), output_names=["states"],
                )  # fmt: skip
            except Exception as error:  # whatever torch raises for what it cannot trace
                raise ModelError(
                    f"{folder.path}: torch cannot export this model to ONNX: {first_line(error)}"
                ) from error
            if precision == "int8":
                _quantise(exported, final)
                exported.unlink()
            else:
                exported.rename(final)
        return states.shape

    def _load(self, path: Path) -> None:
        engine = require("onnxruntime", extra="onnx")
        options = engine.SessionOptions()
        # one thread per call: calls share the cores among them
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        self._graph = engine.InferenceSession(path / "model.onnx", options, providers=providers)

    def _states(self, ids: Integers, mask: Integers) -> Array:
        given = dict(zip(INPUTS, (ids, mask), strict=True))
        states: Array = self._graph.run(None, given)[0]
        return states


def _quantise(exported: Path, final: Path) -> None:
    with _quiet():
        quantise = require("onnxruntime.quantization", extra="onnx")
        quantise.quantize_dynamic(
            exported,
            final,
            per_channel=True,
            reduce_range=not adds_int8_exactly(),
            weight_type=quantise.QuantType.QInt8,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice, which it gives through the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
