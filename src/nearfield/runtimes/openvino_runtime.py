"""OpenVINO as a runtime: float32, bfloat16 and int8 on a CPU."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nearfield.errors import ModelError, first_line
from nearfield.extras import installed, require
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.tokeniser import tokeniser_of
from nearfield.runtimes.converted import ConvertedRuntime
from nearfield.runtimes.hardware import adds_int8_exactly
from nearfield.runtimes.padded_states import INPUTS, Shape
from nearfield.runtimes.proof import CALIBRATED, Proof
from nearfield.types.arrays import Array, Integers

# of what int8 leaves in floating point
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class OpenVINORuntime(ConvertedRuntime):
    """A converted graph on one stream per core.

    float32 and bfloat16 are one graph under two hints; int8 is quantised statically (NNCF, one
    range per tensor) after calibration on the proof's texts.
    """

    name = "openvino"
    precisions = ("float32", "bfloat16", "int8")
    packages = ("openvino",)

    @classmethod
    def _settings(cls, precision: str, proof: Proof) -> tuple[Mapping[str, Any], Sequence[str]]:
        capabilities = openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        # it would run float32 and not say so (docs/log.md, OpenVINO and ONNX Runtime)
        if precision == "bfloat16" and "BF16" not in capabilities:
            raise ModelError(
                "openvino: this processor does not multiply bfloat16, and OpenVINO "
                "would use float32; ask for float32"
            )
        settings: dict[str, Any] = {"capabilities": sorted(capabilities)}
        if precision != "int8":
            return settings, ()
        if not installed("nncf"):
            require("nncf", extra="openvino-int8")
        return settings | {"texts": proof.fingerprint()}, ("nncf",)

    @classmethod
    def _convert(cls, folder: ModelFolder, stage: Path, *, precision: str, proof: Proof) -> Shape:
        from nearfield.runtimes.traced import States, example, tracing

        states = States(folder.transformer)
        inputs = dict(zip(INPUTS, example(), strict=True))
        with tracing():
            try:
                graph = openvino().convert_model(states, example_input=inputs)
            except Exception as error:  # whatever both raise for what they cannot trace
                raise ModelError(
                    f"{folder.path}: OpenVINO cannot convert this model: {first_line(error)}"
                ) from error
        if precision == "int8":
            graph = _quantised(graph, folder, proof.sample(CALIBRATED))
        openvino().save_model(graph, stage / "model.xml", compress_to_fp16=False)
        return states.shape

    def _load(self, path: Path) -> None:
        self._requests = threading.local()
        settings = {
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": self.streams,
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
        }
        self._compiled = openvino().Core().compile_model(path / "model.xml", "CPU", settings)

    def _states(self, ids: Integers, mask: Integers) -> Array:
        # a request serves one call at a time: each thread has its own
        if not hasattr(self._requests, "own"):
            self._requests.own = self._compiled.create_infer_request()
        given = dict(zip(INPUTS, (ids, mask), strict=True))
        # The result lies in the request's own memory until its next call; `Shape.states` has copied
        # the real tokens out by then.
        found = self._requests.own.infer(given, share_inputs=True, share_outputs=True)
        states: Array = found[0]
        return states


def openvino() -> ModuleType:
    """The imported package. Raises MissingExtra with the pip line.

    What it reports home when it is imported and when it converts, it does not report from here.
    """
    with _unreported():
        return require("openvino", extra="openvino")


@contextlib.contextmanager
def _unreported() -> Iterator[None]:
    """Imports in which openvino and nncf find no telemetry to report through, which they are made
    to go without.
    """
    silenced = "openvino_telemetry" not in sys.modules
    if silenced:
        # importing it raises ImportError
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if silenced:
            del sys.modules["openvino_telemetry"]


def _quantised(graph: Any, folder: ModelFolder, texts: list[str]) -> Any:
    """The graph in int8, with the ranges that NNCF finds on `texts`, one at a time: padding would
    count in them.
    """
    with _unreported():
        nncf = require("nncf", extra="openvino-int8")
    nncf.set_log_level(logging.ERROR)
    tokens = tokeniser_of(folder).tokenise(texts)
    samples = []
    for at in np.flatnonzero(tokens.lengths):
        ids = tokens.of(int(at))[None].astype(np.int64)  # (1, length)
        samples.append(dict(zip(INPUTS, (ids, np.ones_like(ids)), strict=True)))
    # where 8-bit products are added in 16 bits, half the range for the weights avoids overflow
    fix = nncf.OverflowFix.DISABLE if adds_int8_exactly() else nncf.OverflowFix.ENABLE
    return nncf.quantize(
        graph,
        nncf.Dataset(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
    )
