"""A conversion is made once, kept whole, made anew when it is damaged, and refused where it is not
faithful.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nearfield.errors import ModelError, NearfieldWarning
from nearfield.formats.model_folder import read_model_folder
from nearfield.runtimes import conversion
from nearfield.runtimes.conversion import Conversion, converted
from nearfield.runtimes.proof import Measured, Proof
from nearfield.store.home import home
from tiny import tiny_model

GOOD = Measured(0.999999, 0.9999995, 64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    return tiny_model(tmp_path / "tiny")


def convert(folder: Path, *, measured: Measured = GOOD, **settings: str) -> tuple[Conversion, int]:
    """The conversion of a runtime that writes two bytes, and how often it was made."""
    made: list[Path] = []

    def make(stage: Path) -> None:
        made.append(stage)
        (stage / "graph.bin").write_bytes(b"ok")

    def measure(stage: Path) -> Measured:
        assert (stage / "graph.bin").read_bytes() == b"ok"
        return measured

    settings = {"runtime": "toy", "precision": "float32"} | settings
    return converted(
        read_model_folder(folder), settings, packages=["numpy"], make=make, measure=measure
    ), len(made)


def conversions() -> list[Path]:
    return sorted(path for path in (home() / "conversions").iterdir() if path.is_dir())


def test_it_is_made_once_in_the_cache(folder: Path) -> None:
    first, made = convert(folder)
    again, made_again = convert(folder)
    assert (made, made_again) == (1, 0)
    assert first == again
    assert first.path.parent == home() / "conversions"
    assert again.measured == GOOD
    assert (
        json.loads((first.path / "conversion.json").read_text())["settings"]["precision"]
        == "float32"
    )


@pytest.mark.parametrize(
    "damage", ["changed", "removed", "facts cut", "facts of another", "facts without files"]
)
def test_what_is_damaged_is_made_anew(damage: str, folder: Path) -> None:
    path = convert(folder)[0].path
    facts = json.loads((path / "conversion.json").read_text())
    if damage == "changed":
        (path / "graph.bin").write_bytes(b"no")
    elif damage == "removed":
        (path / "graph.bin").unlink()
    else:
        other = {
            "facts cut": "{",
            "facts of another": facts | {"files": {}},
            "facts without files": {"format": 1},
        }[damage]
        (path / "conversion.json").write_text(
            other if isinstance(other, str) else json.dumps(other)
        )
    with pytest.warns(NearfieldWarning, match="made again"):
        again, made = convert(folder)
    assert made == 1
    assert (again.path / "graph.bin").read_bytes() == b"ok"
    assert convert(folder)[1] == 0


def test_other_weights_settings_or_versions_are_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert convert(folder)[1] == 1
    assert convert(folder, precision="int8", texts="a")[1] == 1
    assert convert(folder, precision="int8", texts="b")[1] == 1
    with monkeypatch.context() as patch:
        patch.setattr(conversion.importlib.metadata, "version", lambda _: "0")
        assert convert(folder)[1] == 1
    shutil.copyfile(
        tiny_model(tmp_path / "other", seed=1) / "model.safetensors", folder / "model.safetensors"
    )
    assert convert(folder)[1] == 1
    assert len(conversions()) == 5


def test_one_that_is_killed_leaves_nothing_that_looks_whole(folder: Path) -> None:
    def killed(_: Path) -> Measured:
        raise KeyboardInterrupt

    settings = {"runtime": "toy", "precision": "float32"}
    with pytest.raises(KeyboardInterrupt):
        converted(
            read_model_folder(folder),
            settings,
            packages=[],
            make=lambda stage: None,
            measure=killed,
        )
    assert conversions() == []


def test_what_is_not_faithful_is_refused_with_the_figure() -> None:
    poor = Measured(0.98, 0.9971, 64)
    with pytest.raises(
        ModelError,
        match=r"m on onnx: .* least cosine to float32 torch is "
        r"0\.980000 on 64 texts .* wanted 0\.99999",
    ):
        poor.refuse_below(None, "float32", "m on onnx")
    with pytest.raises(ModelError, match=r"wanted 0\.981"):
        poor.refuse_below(0.981, "bfloat16", "it")
    poor.refuse_below(0.98, "float32", "it")
    poor.refuse_below(None, "int8", "it")  # whose mean counts
    with pytest.raises(ModelError, match=r"the mean cosine .* is 0\.996900 .*wanted 0\.997"):
        Measured(0.98, 0.9969, 9).refuse_below(None, "int8", "it")
    with pytest.raises(ModelError, match="nan"):
        Measured(float("nan"), float("nan"), 9).refuse_below(None, "float32", "it")


def test_the_texts_of_a_proof() -> None:
    texts = tuple(f"text {at}" for at in range(100))
    assert Proof(texts).sample(3) == ["text 0", "text 49", "text 99"]
    assert Proof(texts[:2]).sample(64) == ["text 0", "text 1"]
    assert (
        Proof(texts).fingerprint() == Proof(texts).fingerprint() != Proof(texts[:99]).fingerprint()
    )
    built_in = Proof().sample(64)
    assert len(set(built_in)) == 64
    assert (
        min(len(text.split()) for text in built_in)
        < 12
        < 60
        < max(len(text.split()) for text in built_in)
    )
