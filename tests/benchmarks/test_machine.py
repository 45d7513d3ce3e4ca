"""The facts that results are read against name no host and no path, and the limit of a product is
one that was reached.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

import machine
import pytest
import results


def test_the_facts_name_neither_the_host_nor_a_path() -> None:
    facts = results.circumstances()
    stated = json.dumps(facts["machine"])
    assert platform.node() not in stated
    assert "/" not in stated.replace("AMD/", "")
    assert facts["machine"]["cores"] >= 1
    assert facts["versions"]["torch"].startswith("2.")
    assert "absent-package" not in machine.versions(("absent-package",))


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SHAPES", ((8, 16, 32), (16, 16, 16)))
    limits = machine.gemm_limits(seconds=0.0)
    assert {"float32", "bfloat16"} <= set(limits)
    assert all(
        limit["gflops"] > 0 and limit["shape"] in ([8, 16, 32], [16, 16, 16])
        for limit in limits.values()
    )


def test_a_result_goes_to_the_folder_of_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    facts = {"processor": "AMD EPYC (7)", "family": "25", "model": "1", "cores": 2, "gpu": None}
    assert machine.slug(facts) == "amd-epyc-7-25-1-2-cores"
    path = results.save("encode", {"machine": facts, "figure": 1.5})
    assert path == tmp_path / "amd-epyc-7-25-1-2-cores" / "encode.json"
    assert json.loads(path.read_text())["figure"] == 1.5
