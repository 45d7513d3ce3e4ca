"""What this machine multiplies fast, found without importing torch."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearfield.errors import InputError, first_line

_BFLOAT16_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")


@functools.cache
def cpu_flags() -> frozenset[str]:
    """The processor's features as Linux names them (`avx2`, `avx512_bf16`, `amx_bf16`, on Arm
    `bf16`); none where they cannot be read.
    """
    try:
        if platform.system() == "Darwin":
            wanted = ["sysctl", "-n", "hw.optional.arm.FEAT_BF16"]
            found = subprocess.run(wanted, capture_output=True, text=True, check=False, timeout=5)
            return frozenset({"bf16"} if found.stdout.strip() == "1" else ())
        information = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    for line in information.splitlines():
        name, _, flags = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return frozenset(flags.split())  # every core of one machine has the same
    return frozenset()


def bfloat16_in_hardware(device: str = "cpu") -> str:
    """What multiplies bfloat16 on the device, a feature of the processor or the GPU, or "" where
    nothing does.

    Earlier GPUs than those of compute capability 8.0 (A100, RTX 30) take it too, and are several
    times slower than in float32.
    """
    if device == "cpu":
        return next((name for name in _BFLOAT16_FLAGS if name in cpu_flags()), "")
    if not device.startswith("cuda"):
        return ""
    import torch

    try:
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return device
        return ""
    except (RuntimeError, AssertionError):  # it is not here, which is said where it is opened
        return ""


def fast_precision(device: str) -> tuple[str, str]:
    """What the precision "auto" means on the device, bfloat16 or float32, and why in words."""
    multiplier = bfloat16_in_hardware(device)
    if multiplier:
        return "bfloat16", f"{multiplier} multiplies bfloat16"
    return "float32", f"{device} does not multiply bfloat16 in hardware"


def adds_int8_exactly() -> bool:
    """Whether 8-bit products are added in 32 bits here; elsewhere two are added in 16 and overflow,
    unless weights have 7 bits.
    """
    return bool(cpu_flags() & {"avx512_vnni", "avx_vnni", "asimd"})


@functools.cache
def cuda() -> str:
    """The name of the CUDA device that torch can use, or ""; torch is imported only where a
    driver's device file is there.
    """
    # the second is that of Windows' subsystem for Linux
    driver = any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/dxg"))
    if not driver or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return ""


@contextmanager
def usable(device: str) -> Iterator[None]:
    """Raise InputError where the block cannot use the device."""
    try:
        yield
    # what torch raises for a device that it lacks or that is full, or for a name it does not know
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {device!r} cannot be used: {first_line(error)}") from error


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
