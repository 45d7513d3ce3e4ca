"""What a run ran on, as far as it can change the result."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from nearfield import __version__
from nearfield.errors import InputError, NearfieldWarning
from nearfield.runtimes.hardware import cuda, fast_precision, usable
from nearfield.train.engine.group import ALONE, Group


def device_here(wanted: str, group: Group = ALONE) -> str:
    """The device that `wanted` means here, as torch names it: for "auto" a GPU where there is one;
    of several processes each its own.

    Raises InputError for a device that torch does not know or that is not here, and for any but
    "auto" where several processes train.
    """
    if group.size > 1:
        if wanted != "auto":
            raise InputError(
                f"the device is {wanted!r} and {group.size} processes train, each on "
                "its own; leave the device out"
            )
        return group.device
    if wanted == "auto":
        return "cuda" if cuda() else "cpu"
    with usable(wanted):
        torch.empty(0, device=wanted)  # fails where there is no such device
    return wanted


def precision_here(wanted: str, device: str = "cpu") -> str:
    """`wanted`, or for "auto" bfloat16 where `device` multiplies it in hardware and float32 where
    it would be slower.
    """
    if wanted == "auto":
        return fast_precision(device)[0]
    return wanted


def environment(precision: str, device: str = "cpu") -> dict[str, Any]:
    """Versions, processor (a GPU's name where `device` is one), threads, device, and the precision
    that `precision` means there.
    """
    if device.startswith("cuda"):
        processor = torch.cuda.get_device_name(device)
    else:
        # each of these is empty on some systems
        named = torch.cpu.get_capabilities().get("cpu_name")
        processor = named or platform.processor() or platform.machine()
    return {
        "nearfield": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": processor,
        "threads": torch.get_num_threads(),
        "device": device,
        "precision": precision_here(precision, device),
    }


def same_environment(begun: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The precision that a run was begun with and goes on with. What a run before did not note
    counts as unchanged.

    Warns with NearfieldWarning where anything else is not as it was: the result may differ in its
    last digits.
    """
    changed = []
    for name in sorted(now.keys() - {"precision"}):
        before = begun.get(name, now[name])
        if before != now[name]:
            changed.append(f"{name} was {before} and is {now[name]}")
    if changed:
        warnings.warn(
            f"the run goes on elsewhere ({', '.join(changed)}); its weights may differ in their "
            "last digits",
            NearfieldWarning,
            stacklevel=2,
        )
    return str(begun["precision"])
