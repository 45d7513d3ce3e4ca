"""A runtime: torch, one sequence at a time."""

from __future__ import annotations

from nearfield.runtimes.torch_runtime import TorchRuntime


class SlowRuntime(TorchRuntime):
    """For looking at one sequence after the other."""

    name = "slow"
    batch_tokens = 1
