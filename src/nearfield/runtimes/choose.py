"""Which runtime runs a model, on what and how precisely: as asked, or as this machine and the
model's folder suggest.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from nearfield.errors import ContractError, InputError, ModelError, nearest
from nearfield.formats.model_folder import ModelFolder
from nearfield.runtimes import RUNTIMES
from nearfield.runtimes.hardware import bfloat16_in_hardware, cuda
from nearfield.runtimes.proof import Proof
from nearfield.runtimes.runtime import Runtime

AUTO = "auto"
PRECISIONS = ("float32", "bfloat16", "int8")


@dataclass(frozen=True)
class Choice:
    """A runtime by its name in the registry, a precision, a device as torch names it, and in words
    why these.
    """

    runtime: str
    precision: str
    device: str
    why: str


def choose(
    folder: ModelFolder, *, runtime: str = AUTO, precision: str = "float32", device: str = AUTO
) -> Choice:
    """What of `runtime`, `precision` and `device` is left to choose ("auto"), chosen.

    The device: a CUDA device where there is one, else, and for a static model, the processor. The
    precision: bfloat16 where the device multiplies it in hardware, else float32, and float32 for a
    static model; int8 only when it is asked for. The runtime: the first of the registry that has
    the precision and runs this model on the device. Raises ContractError for an unknown name,
    ModelError where what was asked for cannot run the model.
    """
    _known("runtime", runtime, (*RUNTIMES, AUTO))
    _known("precision", precision, (*PRECISIONS, AUTO))
    gpu = cuda() if device == AUTO and runtime in (AUTO, "torch") and not folder.static else ""
    device, reasons = (
        ("cuda" if gpu else "cpu", [gpu] if gpu else []) if device == AUTO else (device, [])
    )
    if precision == AUTO and folder.static:
        precision = "float32"
    if precision == AUTO:
        fast = bfloat16_in_hardware(device)
        precision = "bfloat16" if fast else "float32"
        reasons.append(
            f"{fast} multiplies bfloat16"
            if fast
            else f"{device} does not multiply bfloat16 in hardware"
        )
    for name in RUNTIMES if runtime == AUTO else (runtime,):
        hindrance = _why_not(name, folder, precision, device)
        if hindrance is None:
            return Choice(name, precision, device, "; ".join(reasons))
        reasons.append(f"{name}: {hindrance}")
    raise ModelError(
        f"{folder.path}: no runtime is left for this model at {precision} on "
        f"{device} ({'; '.join(reasons)}); ask for another"
    )


CONVERTING = ("openvino", "onnx")


def open_runtime(folder: ModelFolder, choice: Choice, proof: Proof | None = None) -> Runtime:
    """The runtime that was chosen, with the folder's weights; `proof` is for one that converts
    them.

    Raises ModelError where they cannot be used, InputError for a device that this machine lacks.
    """
    kind = _module(choice.runtime)[1]
    if choice.runtime in CONVERTING:
        proven: Runtime = kind.open(folder, precision=choice.precision, proof=proof)
        return proven
    if choice.runtime != "torch":
        opened: Runtime = kind.open(folder, precision=choice.precision)
        return opened
    try:
        on_torch: Runtime = kind.open(folder, precision=choice.precision, device=choice.device)
    # what torch raises for a device that it lacks or that is full
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"the device {choice.device!r} cannot be used: "
            f"{(str(error).splitlines() or [repr(error)])[0]}"
        ) from error
    return on_torch


def _known(what: str, got: str, known: tuple[str, ...]) -> None:
    if got not in known:
        raise ContractError(
            f"there is no {what} {got!r}; wanted {', '.join(known)}.{nearest(got, known)}"
        )


def _why_not(name: str, folder: ModelFolder, precision: str, device: str) -> str | None:
    module, kind = _module(name)
    if device != "cpu" and name != "torch":
        return f"runs on the processor, not on {device}"
    if folder.code and name != "torch":
        return "runs no code of a model's folder"
    if precision not in kind.precisions:
        return f"has no {precision}, only {', '.join(kind.precisions)}"
    if folder.contract.kind not in kind.kinds:
        return (
            f"makes {' and '.join(kind.kinds)} embeddings, and this model's are "
            f"{folder.contract.kind}"
        )
    if folder.adapters and not kind.adapts:
        return "runs no adapters beside a model; `nearfield models merge-adapter` makes one of both"
    hindrance: str | None = module.why_not(folder)
    return hindrance


def _module(name: str) -> tuple[Any, Any]:
    place, kind = RUNTIMES[name].split(":")
    module = importlib.import_module(place)
    return module, getattr(module, kind)
