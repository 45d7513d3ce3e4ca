"""A command's model runs on what its options say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.similarity.dense import Dense
from tiny import tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def test_the_commands(tiny: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / "texts.txt").write_text("a cat\na dog\n")
    made = {}
    for precision in ("float32", "bfloat16"):
        options = ("--runtime", "torch", "--precision", precision, "--device", "cpu", "--json")
        shown = cli("encode", tiny, tmp_path / "texts.txt", "--to", tmp_path / precision, *options)
        assert shown.exit_code == 0, shown.stderr
        facts = json.loads(shown.stdout)
        assert (facts["runtime"], facts["precision"]) == ("torch", precision)
        made[precision] = Dense.open(tmp_path / precision).floats()
        assert cli("similarity", "a cat", "a dog", "--model", tiny, *options).exit_code == 0
    assert 0 < np.abs(made["float32"] - made["bfloat16"]).max() < 0.05
    refused = cli(
        "similarity", "a cat", "a dog", "--model", tiny, "--runtime", "torch", "--precision", "int8"
    )
    assert refused.exit_code == 2
    assert "torch: has no int8" in refused.stderr
