"""Which runtime runs a model, on what and how precisely: as asked, or as this machine and the
model's folder suggest.
"""

from __future__ import annotations

from dataclasses import replace

from nearfield.errors import ContractError, ModelError, nearest
from nearfield.runtimes import RUNTIMES
from nearfield.runtimes.hardware import cuda, fast_precision
from nearfield.runtimes.options import AUTO, PRECISIONS, OpenOptions
from nearfield.runtimes.runtime import Folder, Runtime


def choose(folder: Folder, options: OpenOptions) -> tuple[OpenOptions, str]:
    """The options with every "auto" decided, and why in words.

    The device: a CUDA device where there is one, else, and for a static model, the processor. The
    precision: bfloat16 where the device multiplies it in hardware, else float32, and float32 for a
    static model; int8 only when it is asked for. The runtime: the first of the registry that has
    the precision and runs this model on the device. Raises InputError or ContractError for an
    unknown name, ModelError where what was asked for cannot run the model.
    """
    names = RUNTIMES if options.runtime == AUTO else (options.runtime,)
    device = options.device
    precision = options.precision
    known = (*PRECISIONS, AUTO)
    if precision not in known:
        raise ContractError(
            f"there is no precision {precision!r}; wanted {', '.join(known)}."
            f"{nearest(precision, known)}"
        )
    reasons = []
    if device == AUTO:
        device = "cpu"
        # a runtime that is asked for and runs on the processor alone, runs there
        gpu_runs_it = options.runtime == AUTO or not RUNTIMES[options.runtime].cpu_only
        if gpu_runs_it and not folder.static and cuda():
            device = "cuda"
            reasons.append(cuda())
    if precision == AUTO and folder.static:
        precision = "float32"
    elif precision == AUTO:
        precision, why = fast_precision(device)
        reasons.append(why)
    # what hinders each is kept: where none is left, the error says all of it
    for name in names:
        # told from settings and headers alone: nothing is loaded or converted to find it out
        hindrance = _why_not(name, folder, precision, device)
        if hindrance is None:
            decided = replace(options, runtime=name, precision=precision, device=device)
            return decided, "; ".join(reasons)
        reasons.append(f"{name}: {hindrance}")
    raise ModelError(
        f"{folder.path}: no runtime is left for this model at {precision} on "
        f"{device} ({'; '.join(reasons)}); ask for another"
    )


def open_runtime(folder: Folder, options: OpenOptions) -> tuple[Runtime, str]:
    """The runtime that `choose` takes, opened, and why it is this one. Raises as `choose` and the
    runtime do.
    """
    decided, why = choose(folder, options)
    return RUNTIMES[decided.runtime].open(folder, decided), why


def _why_not(name: str, folder: Folder, precision: str, device: str) -> str | None:
    runtime = RUNTIMES[name]
    if device != "cpu" and runtime.cpu_only:
        return f"runs on the processor, not on {device}"
    if folder.code and not runtime.own_code:
        return "does not run code of a model's folder"
    if precision not in runtime.precisions:
        return f"has no {precision}, only {', '.join(runtime.precisions)}"
    if folder.pairs and not runtime.pairs:
        return "does not run cross-encoders"
    kind = folder.contract.kind
    if kind not in runtime.kinds:
        return f"makes {' and '.join(runtime.kinds)} embeddings, and this model's are {kind}"
    if folder.adapters and not runtime.adapters:
        return (
            "does not run adapters beside a model; `nearfield models merge-adapter` makes one "
            "model of both"
        )
    return runtime.why_not(folder)
