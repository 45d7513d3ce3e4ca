"""The container's files, as a linter and the specification of compose files read them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_dockerfile(repository: Path) -> None:
    """No linter's remark of any level; a fixed base, a user without rights by number, a probe."""
    linter = Path(sys.executable).with_name("hadolint")
    found = linter if linter.exists() else shutil.which("hadolint")
    if found is None:
        pytest.skip("hadolint is not installed")
    file = repository / "deploy" / "Dockerfile"
    said = subprocess.run([found, "--no-color", file], capture_output=True, text=True)
    assert (said.stdout, said.returncode) == ("", 0)
    text = file.read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-\S+", base) for base in bases)
    assert re.findall(r"^USER (.+)", text, re.MULTILINE)[-1] == "10001"
    assert "HEALTHCHECK" in text
    for source in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE):
        assert all((repository / name).exists() for name in source.split())


def test_the_compose_file(repository: Path) -> None:
    compose = pytest.importorskip("compose_spec").PyCompose
    text = (repository / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="capdrop"):
        compose.from_yaml(text.replace("${MODELS:-./models}", "./models").replace("cap_d", "capd"))
    # variables are put in before it is read
    services = compose.from_yaml(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)).to_dict()["services"]
    for service in services.values():
        assert "build" in service or re.fullmatch(r"\S+:v?\d+\.\d+\.\d+", service["image"])
    ours = services["nearfield"]
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert (repository / "deploy" / ours["build"]["context"] / ours["build"]["dockerfile"]).exists()
