"""Scripts in the test's own process, so that what they import is imported once for all of them."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import interleave
import pytest
import torch
import train_cpu

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


class Here:
    """Answers as `interleave.Child` does, of a program that runs in this process."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        served: list[Any] = []
        _, script, *words = command
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [script, *words])
            patch.setattr(interleave, "serve", served.append)
            runpy.run_path(script, run_name="__main__")
        (self._answer,) = served

    def ask(self, **request: Any) -> dict[str, Any]:
        """As JSON both ways, as between processes."""
        try:
            answer: dict[str, Any] = self._answer(json.loads(json.dumps(request)))
        except Exception as error:
            raise interleave.SideError(f"{type(error).__name__}: {error}") from error
        found: dict[str, Any] = json.loads(json.dumps(answer))
        return found

    def close(self) -> None:
        """There is nothing to end."""


def printed(path: Path, *words: str | Path) -> str:
    """What `python -W ignore PATH WORDS` prints."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(sys, "argv", [str(path), *map(str, words)])
        # some seed torch's own generator
        with contextlib.redirect_stdout(output), torch.random.fork_rng():
            runpy.run_path(str(path), run_name="__main__")
    return output.getvalue()


def benched(script: str, *words: str | Path) -> dict[str, Any]:
    """What `python benchmarks/SCRIPT WORDS --json` prints, with its sides in this process too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interleave, "Child", Here)
        patch.setattr(train_cpu, "Child", Here)
        result: dict[str, Any] = json.loads(printed(BENCHMARKS / script, *words, "--json"))
    assert {"machine", "versions", "command", "date", "load_before"} <= set(result)
    return result
