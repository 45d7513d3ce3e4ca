"""What a run ran on, as far as it can change the result."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from nearfield import __version__
from nearfield.errors import NearfieldWarning
from nearfield.store.fingerprint import model_hash as model_hash


def precision_here(wanted: str) -> str:
    """`wanted`, or for "auto" bfloat16 where this processor multiplies it in hardware and float32 where it would be slower."""
    if wanted != "auto":
        return wanted
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def environment(precision: str) -> dict[str, Any]:
    """Versions, processor, threads, and the precision that `precision` means here."""
    processor = torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine()
    facts = {"nearfield": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return facts | {"processor": processor, "threads": torch.get_num_threads(), "precision": precision_here(precision)}


def same_environment(begun: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The precision that a run was begun with and goes on with.

    Warns with NearfieldWarning where anything else is not as it was: the result may differ in its last digits.
    """
    differing = sorted(name for name in now if name != "precision" and begun.get(name) != now[name])
    if differing:
        changed = ", ".join(f"{name} was {begun.get(name)} and is {now[name]}" for name in differing)
        warnings.warn(f"the run goes on elsewhere ({changed}); its weights may differ in their last digits", NearfieldWarning, stacklevel=2)
    return str(begun["precision"])
