"""One server of tiny models for all tests of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nearfield as nf
from nearfield.serve.app import Access
from serving import models_of, prompted, serving
from tiny_cross import tiny_cross

KEY = "sk-tiny"


@dataclass(frozen=True)
class Served:
    url: str
    folder: Path
    judge: Path
    model: Any


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model with prompts called `tiny`, and a reranker called `judge`, behind a key."""
    home = tmp_path_factory.mktemp("served")
    folder, judge = prompted(home / "tiny"), tiny_cross(home / "judge")
    models = models_of([f"tiny={folder}", f"judge={judge}"])
    with serving(models, Access(keys=(KEY,))) as url:
        yield Served(url, folder, judge, nf.load(folder))
