"""A tiny model and a tiny collection, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.data.collection import Collection
from tiny import tiny_model
from tiny_data import tiny_collection


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def collection() -> Collection:
    return tiny_collection()
