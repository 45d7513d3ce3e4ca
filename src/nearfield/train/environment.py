"""What a run ran on, as far as it can change the result."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import torch

from nearfield import __version__


def precision_here(wanted: str) -> str:
    """`wanted`, or for "auto" bfloat16 where this processor multiplies it in hardware and float32 where it would be slower."""
    if wanted != "auto":
        return wanted
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def environment(precision: str) -> dict[str, Any]:
    """Versions, processor, threads and precision."""
    processor = torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine()
    facts = {"nearfield": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return facts | {"processor": processor, "threads": torch.get_num_threads(), "precision": precision}


def weights_hash(folder: Path) -> str:
    """SHA-256, in hex, over the weight files of a model folder."""
    total = hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]):
        with open(file, "rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()
