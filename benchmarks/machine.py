"""What a benchmark ran on, and how fast that machine multiplies matrices: what every figure here is
read against.

    python benchmarks/machine.py        # prints both

The GEMM limit of a precision is the best that any library installed here reaches on the matrices of
a small and of a large encoder: what an encoder would reach that did nothing but its matrix
products.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

# rows, columns, inner
SHAPES = (
    (1024, 1536, 384),
    (1024, 384, 1536),
    (1024, 3072, 768),
    (1024, 768, 3072),
    (2048, 2048, 2048),
)
PACKAGES = (
    "nearfield",
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "openvino",
    "nncf",
    "onnxruntime",
    "optimum-intel",
    "fastembed",
    "ctranslate2",
    "infinity-emb",
    "faiss-cpu",
    "bm25s",
    "tantivy",
)
_FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "i8mm",
    "sve",
)


def machine() -> dict[str, Any]:
    """Processor, its extensions that matter, cores, memory in GiB, system, accelerators: no name of
    the host and no path.
    """
    facts = _processor()
    flags = set(facts.pop("flags").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return facts | {
        "architecture": platform.machine(),
        "extensions": [flag for flag in _FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": platform.system(),
        "gpu": _gpu(),
    }


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Python and those of `packages` that are installed, with their versions."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def slug(facts: Mapping[str, Any]) -> str:
    """A folder's name for results from this kind of machine: processor, family and model, cores,
    the GPU where there is one.
    """
    words = (
        f"{facts['gpu'] or facts['processor']} {facts.get('family', '')} "
        f"{facts.get('model', '')} {facts['cores']} cores"
    )
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def gemm_limits(*, seconds: float = 0.5) -> dict[str, dict[str, Any]]:
    """For each precision the best GFLOP/s (int8: billions of operations) that any library reached,
    with the library and the shape.

    Each of some thirty products is repeated for `seconds`, and its fastest run counts.
    """
    limits: dict[str, dict[str, Any]] = {}
    for rows, columns, inner in SHAPES:
        for precision, library, times, product in _products(rows, columns, inner):
            rate = 2 * rows * columns * inner * times / best_seconds(product, seconds=seconds) / 1e9
            if rate > limits.get(precision, {"gflops": 0.0})["gflops"]:
                limits[precision] = {
                    "gflops": float(f"{rate:.4g}"),
                    "library": library,
                    "shape": [rows, columns, inner],
                }
    return limits


def best_seconds(call: Callable[[], object], *, seconds: float) -> float:
    """The least time that one `call` took, of as many as fit into `seconds` (one at least, after
    one that is not counted).
    """
    call()
    best, until = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < until:
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best


Product = tuple[str, str, int, Callable[[], object]]
"""Precision, library, how many products of the shape one call does, and the call."""


def _products(rows: int, columns: int, inner: int) -> Iterator[Product]:
    """Products (rows, inner) x (inner, columns), of each library as far as it can do them here."""
    import numpy as np
    import torch

    left, right = torch.rand(rows, inner) - 0.5, torch.rand(columns, inner) - 0.5
    as_numpy, transposed = left.numpy(), np.ascontiguousarray(right.numpy().T)
    yield "float32", "numpy", 1, lambda: as_numpy @ transposed
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        one, two = left.to(dtype), right.to(dtype)
        yield precision, "torch", 1, partial(torch.mm, one, two.T)
        # this build or processor has no oneDNN for it
        with contextlib.suppress(AttributeError, RuntimeError):
            packed = torch.ops.mkldnn._reorder_linear_weight(two, rows)
            product = partial(torch.ops.mkldnn._linear_pointwise, one, packed, None, "none", [], "")
            product()
            yield precision, "oneDNN, prepacked", 1, product
    yield from _int8_products(rows, columns, inner)
    if torch.cuda.is_available():
        yield from _gpu_products(left, right)


def _int8_products(rows: int, columns: int, inner: int) -> Iterator[Product]:
    import torch

    left = torch.randint(0, 127, (rows, inner), dtype=torch.uint8)
    right = torch.randint(-127, 127, (columns, inner), dtype=torch.int8)
    scales, zeros = torch.ones(columns), torch.zeros(columns, dtype=torch.int64)
    with contextlib.suppress(AttributeError, RuntimeError):
        packed = torch.ops.onednn.qlinear_prepack(right, [rows, inner])
        rest = (scales, zeros, None, 1.0, 0, torch.float32, "none", [], "")
        product = partial(torch.ops.onednn.qlinear_pointwise, left, 1.0, 0, packed, *rest)
        product()
        yield "int8", "oneDNN, prepacked", 1, product


def _gpu_products(left: Any, right: Any) -> Iterator[Product]:
    import torch

    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        # a GPU wants more rows than a core
        one, two = left.to("cuda", dtype).repeat(16, 1), right.to("cuda", dtype)

        def products(one: Any = one, two: Any = two) -> None:
            for _ in range(32):  # what a call and the wait for it take is then little beside them
                torch.mm(one, two.T)
            torch.cuda.synchronize()

        yield f"cuda {str(dtype).removeprefix('torch.')}", "torch", 16 * 32, products


def _processor() -> dict[str, Any]:
    """Name, family, model and flags of the processor, as the system states them."""
    stated: dict[str, str] = {}
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        stated = {
            key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
        }
    name = (
        stated.get("model name")
        or stated.get("CPU implementer")
        or platform.processor()
        or platform.machine()
    )
    facts = {"processor": name, "flags": stated.get("flags") or stated.get("Features") or ""}
    return facts | {
        key: stated[source]
        for key, source in (("family", "cpu family"), ("model", "model"))
        if source in stated
    }


def _gpu() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


if __name__ == "__main__":
    print(
        json.dumps(
            {"machine": machine(), "versions": versions(), "gemm_limits": gemm_limits()}, indent=1
        )
    )
