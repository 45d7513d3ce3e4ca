"""What this machine multiplies fast, found without importing torch."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from pathlib import Path


@functools.cache
def cpu_flags() -> frozenset[str]:
    """The processor's features as Linux names them (`avx2`, `avx512_bf16`, `amx_bf16`, on Arm
    `bf16`); none where they cannot be read.
    """
    names = set[str]()
    try:
        if platform.system() == "Darwin":
            wanted = ["sysctl", "-n", "hw.optional.arm.FEAT_BF16"]
            found = subprocess.run(wanted, capture_output=True, text=True, check=False, timeout=5)
            names |= {"bf16"} if found.stdout.strip() == "1" else set()
        for line in (
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        ):
            if line.partition(":")[0].strip().lower() in ("flags", "features"):
                names.update(line.partition(":")[2].split())
                break  # every core of one machine has the same
    except (OSError, subprocess.SubprocessError):
        pass
    return frozenset(names)


def bfloat16_in_hardware(device: str = "cpu") -> str:
    """What multiplies bfloat16 on the device, a feature of the processor or the GPU, or "" where
    nothing does.

    Earlier GPUs than those of compute capability 8.0 (A100, RTX 30) take it too, and are several
    times slower than in float32.
    """
    if device.startswith("cuda"):
        import torch

        try:
            return device if torch.cuda.get_device_capability(device) >= (8, 0) else ""
        except (RuntimeError, AssertionError):  # it is not here, which is said where it is opened
            return ""
    return (
        next((name for name in ("amx_bf16", "avx512_bf16", "bf16") if name in cpu_flags()), "")
        if device == "cpu"
        else ""
    )


@functools.cache
def cuda() -> str:
    """The name of the CUDA device that torch can use, or ""; torch is imported only where a
    driver's device file is there.
    """
    if not any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/dxg")) or os.environ.get(
        "CUDA_VISIBLE_DEVICES"
    ) in ("", "-1"):
        return ""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
