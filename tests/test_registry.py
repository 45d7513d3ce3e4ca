"""The registry: lazy, with errors that name what is known, and open to other distributions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nearfield.errors import InputError
from nearfield.registry import Registry

NUMBERS: Registry[float] = Registry("number", {"pi": "math:pi", "tau": "math:tau"})


def test_a_name_gives_what_is_at_its_place() -> None:
    assert NUMBERS["pi"] == pytest.approx(3.14159265)
    assert list(NUMBERS) == ["pi", "tau"]
    assert "tau" in NUMBERS
    assert "e" not in NUMBERS


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no number 'taw'; known: pi, tau\. Did you mean 'tau'"):
        NUMBERS["taw"]


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    broken: Registry[object] = Registry("number", {"a": "no_such_module:a"})
    assert "a" in broken
    with pytest.raises(ModuleNotFoundError):
        broken["a"]


def test_another_distribution_adds_a_name_and_replaces_none(tmp_path: Path) -> None:
    info = tmp_path / "numbers-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numbers\nVersion: 1\n")
    points = "[nearfield.large_number]\nmillion = numbers_module:MILLION\npi = numbers_module:X\n"
    (info / "entry_points.txt").write_text(points)
    (tmp_path / "numbers_module.py").write_text("MILLION = 1_000_000\nX = 0\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from nearfield.registry import Registry\n"
        "numbers = Registry('large number', {'pi': 'math:pi'})\n"
        "print(numbers['million'], list(numbers), round(numbers['pi'], 2))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1000000", "['pi',", "'million']", "3.14"]
