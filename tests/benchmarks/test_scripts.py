"""Every benchmark at a tiny size, so that they go on running, and the page that is drawn from what
they save.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cold_start
import gpu_encode
import interleave
import machine
import pytest
from interleave import timed

from nearfield.encoders.load import load
from scripts import BENCHMARKS, benched
from sparse_models import tiny_splade
from static_models import model2vec_folder
from tiny import tiny_model
from tiny_data import tiny_collection


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    tiny_model(folder / "model")
    tiny_collection().save(folder / "tiny")
    return folder


def page(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    results: dict[str, dict[str, Any]],
) -> str:
    """What docs/performance.py makes of these results."""
    spec = importlib.util.spec_from_file_location(
        "performance", repository / "docs" / "performance.py"
    )
    assert spec
    assert spec.loader
    performance: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(performance)
    (tmp_path / "results" / "here").mkdir(parents=True)
    (tmp_path / "pictures").mkdir()
    for name, result in results.items():
        (tmp_path / "results" / "here" / f"{name}.json").write_text(
            json.dumps(result), encoding="utf-8"
        )
    monkeypatch.setattr(performance, "HERE", tmp_path)
    monkeypatch.setattr(performance, "RESULTS", tmp_path / "results")
    performance.main()
    return (tmp_path / "performance.md").read_text(encoding="utf-8")


def test_encoding_with_its_quality_and_growth(
    repository: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "--rounds",
        "1",
        "--texts",
        "4",
        "--gemm-seconds",
        "0",
        "--sides",
        "nearfield torch,nearfield torch bfloat16,fastembed",
    )
    result = benched(
        "encode_cpu.py",
        place / "model",
        *words,
        "--ndcg",
        place / "tiny",
        "--most",
        "60",
        "--growth",
    )
    assert set(result["sides"]) == {"paragraphs", "queries"}
    for measured in result["sides"].values():
        assert set(measured) == {
            "sentence-transformers torch float32",
            "nearfield torch float32",
            "nearfield torch bfloat16",
        }
        assert all(row["least_cosine"] > 0.99 for row in measured.values())
    assert "environment" in result["not_run"]["fastembed onnx float32"], (
        "a side that is not there is named"
    )
    assert "int8" in result["not_run"]["nearfield torch int8"]
    assert set(result["ndcg"]) == {"float32", "bfloat16"}
    assert all(row["documents"] == 60 and 0 <= row["ndcg"] <= 1 for row in result["ndcg"].values())
    assert result["ndcg"]["float32"]["against_float32"] == [0, 0, 0]
    assert [row["rows"] for row in result["growth"]["rows"]] == [1, 4]
    lengths = [row["tokens_a_text"] for row in result["growth"]["length"]]
    assert lengths == sorted(lengths)
    assert lengths[-1] <= 64
    drawn = page(repository, tmp_path, monkeypatch, {"encode-cpu-tiny": result})
    assert "| bfloat16 | " in drawn
    assert "Milliseconds by the texts' number" in drawn


@pytest.mark.filterwarnings("ignore")
def test_encoding_on_a_gpu_where_there_is_none(
    repository: Path,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        str(place / "model"),
        "--cpu",
        "--rounds",
        "2",
        "--texts",
        "8",
        "--gemm-seconds",
        "0",
        "--json",
    ]
    monkeypatch.setattr(sys, "argv", ["gpu_encode.py", *words])
    monkeypatch.setattr(machine, "SHAPES", ((8, 16, 32),))
    gpu_encode.main()
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "model"
    assert gpu_encode._table(result).startswith(f"model on {result['machine']['processor']}: ")
    for measured in result["sides"].values():
        precisions = ("float32", "bfloat16")
        assert set(measured) == {
            f"{package} {precision}"
            for package in ("sentence-transformers", "nearfield")
            for precision in precisions
        }
        for row in measured.values():
            assert row["least"] <= row["ratio"] <= row["greatest"]
            assert len(row["seconds"]) == 2
            assert row["share_of_gemm"] is not None
            assert row["tokens_per_second"] > row["texts_per_second"]
            assert row["least_cosine"] > 0.99
    assert "share of gemm" in page(repository, tmp_path, monkeypatch, {"gpu-encode-tiny": result})


def test_the_operations_of_a_models_products(place: Path) -> None:
    encoder = load(place / "model", runtime="torch", device="cpu")
    tokens, operations = gpu_encode._work(encoder, ["cat dog", "cat"], "document")
    assert tokens == 4 + 3
    per_layer = 2 * (4 * 32 * 32 + 2 * 32 * 64) * 7 + 4 * 32 * (4**2 + 3**2)
    assert operations == 2 * per_layer


def test_search_words_static_and_sparse_models(
    repository: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = benched("search.py", "--rows", "1200", "--dim", "32", "--rounds", "1", "--growth")
    assert {"read", "exact float32", "exact binary", "numpy float32"} <= set(search["one query"])
    words = benched("bm25.py", "--documents", "200", "--queries", "8", "--rounds", "1")
    assert set(words["sides"]) == {"nearfield", "nearfield, one at a time"}
    model = model2vec_folder(tmp_path / "static")
    sizes = ("--rounds", "1", "--texts", "40")
    static = benched(
        "static.py", model, "--teacher", place / "model", "--on", place / "tiny", *sizes
    )
    assert set(static["models"]["static"]) == {"nearfield", "model2vec", "teacher"}
    sparse = benched("splade.py", tiny_splade(tmp_path / "sparse"), "--rounds", "1", "--texts", "6")
    for sides in sparse["sides"].values():
        assert sides["nearfield native float32"]["least_cosine"] > 0.9999
        assert sides["nearfield native int8"]["least_cosine"] > 0.99
    drawn = page(
        repository,
        tmp_path,
        monkeypatch,
        {"search": search, "bm25": words, "static": static, "splade": sparse},
    )
    for title in (
        "### Search over 1,200 x 32",
        "### BM25 over 200 documents",
        "### Static models",
        "### SPLADE, sparse",
    ):
        assert title in drawn


def test_what_other_processes_cost(
    repository: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "--busy",
        "0,1",
        "--rounds",
        "1",
        "--texts",
        "4",
        "--batch",
        "8",
        "--on",
        place / "tiny",
        "--parts",
        "encode,train",
    )
    result = benched("load.py", place / "model", *words)
    for part in ("encode", "train"):
        assert list(result["parts"][part]) == ["0", "1"]
        quiet = result["parts"][part]["0"]
        assert (
            quiet["beside"]
            == quiet["nearfield"]["slowdown"]
            == {"ratio": 1, "least": 1, "greatest": 1}
        )
        assert result["parts"][part]["1"]["nearfield"]["seconds"] > 0
    drawn = page(repository, tmp_path, monkeypatch, {"load-tiny": result})
    assert "### On a busy machine, model" in drawn


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
def test_out_of_core_with_a_kill(
    repository: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--rows", "400", "--small", "100", "--kills", "1", "--folder", tmp_path)
    result = benched("out_of_core.py", place / "model", *words)
    assert result["checked"]["rows"] == result["checked"]["vectors"] == 400
    assert result["checked"]["lost, twice or out of order"] == 0
    assert "Checked: rows: 400" in page(repository, tmp_path, monkeypatch, {"out-of-core": result})


def test_an_unknown_result_is_not_drawn_by_guess(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        "machine": {"processor": "P", "cores": 1, "memory_gib": 1, "extensions": [], "gpu": None}
    }
    facts |= {"command": "c", "date": "d", "load_before": 0}
    with pytest.raises(SystemExit, match="DRAWN"):
        page(repository, tmp_path, monkeypatch, {"unheard-of": facts})


def test_every_committed_result_is_drawn(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (repository / "benchmarks" / "results").iterdir():
        found = {
            file.stem: json.loads(file.read_text(encoding="utf-8"))
            for file in folder.glob("*.json")
        }
        assert page(repository, tmp_path / folder.name, monkeypatch, found).count("\n### ") == len(
            found
        )


def test_a_cold_start(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cold_start._side([sys.executable, "-c", "pass"])() > 0
    ran = []

    def here(command: list[str]) -> Callable[[], float]:
        """The program of a side in this process, which has imported its library."""
        return timed(lambda: (exec(command[-1], {}), ran.append(command[-1])))

    monkeypatch.setattr(cold_start, "_side", here)
    monkeypatch.setattr(
        sys, "argv", ["cold_start.py", str(place / "model"), "--rounds", "1", "--json"]
    )
    with contextlib.redirect_stdout(io.StringIO()) as output:
        cold_start.main()
    result = json.loads(output.getvalue())
    assert set(result["sides"]) == {
        "sentence-transformers torch",
        "nearfield auto",
        "nearfield torch",
    }
    assert len(ran) == 2 * 3
    assert "sentence-transformers openvino" in result["not_run"]


@pytest.mark.parametrize(
    ("side", "asked"),
    [
        ("encode_side.py", {"do": "load", "library": "no such", "model": "m"}),
        ("train_side.py", {"do": "steps"}),
    ],
)
def test_a_side_answers_in_a_process_of_its_own(side: str, asked: dict[str, str]) -> None:
    child = interleave.Child([sys.executable, str(BENCHMARKS / side)])
    with pytest.raises(interleave.SideError, match="KeyError"):
        child.ask(**asked)
    child.close()
