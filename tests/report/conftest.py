"""A run folder as `nearfield tune` writes it: real code of the standard library, numbers drawn with
numpy.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nearfield.data.collection import Collection
from nearfield.errors import MatryoshkaWarning
from nearfield.evaluate.analysis.look import look
from nearfield.evaluate.compare import compare
from nearfield.evaluate.task import Options
from nearfield.types.comparison import Comparison
from nearfield.types.evaluation.look import Look
from nearfield.types.verdict import Estimate, Forgotten, Side, Verdict
from tiny import WORDS, tiny_model

ALERT = "<script>alert(1)</script><img src=x onerror=alert(2)>"

MODULES = (
    "json/decoder",
    "statistics",
    "textwrap",
    "heapq",
    "shutil",
    "calendar",
    "csv",
    "fractions",
    "string",
    "zipfile/__init__",
    "tempfile",
)
MODULES += (
    "ipaddress",
    "difflib",
    "gzip",
    "inspect",
    "random",
    "threading",
    "queue",
    "configparser",
    "pathlib",
    "tarfile",
    "imaplib",
    "ftplib",
)
BASE, TUNED = 0.539, 0.640


@functools.cache
def documented() -> list[tuple[str, str, str]]:
    """The functions, one for each id."""
    return list({one[0]: one for one in functions()}.values())


def functions() -> Iterator[tuple[str, str, str]]:
    """(id, first sentence of the docstring, code without it) of documented functions of the
    standard library.
    """
    for module in MODULES:
        path = Path(sysconfig.get_paths()["stdlib"]) / f"{module}.py"
        if not path.is_file():
            continue
        source = path.read_text(encoding="utf-8")
        name = module.removesuffix("/__init__").replace("/", ".")
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or not (
                docstring := ast.get_docstring(node)
            ):
                continue
            node.body = node.body[1:] or [ast.Pass()]
            yield (
                f"{name}.{node.name}",
                docstring.split(".")[0].split("\n\n")[0].strip() + ".",
                ast.unparse(node)[:1500],
            )


def estimate(values: np.ndarray) -> dict[str, float]:
    """A mean with its interval by the normal approximation."""
    mean, half = float(values.mean()), 1.96 * float(values.std() / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def ndcg(ranks: np.ndarray) -> np.ndarray:
    """nDCG@10 of queries whose one relevant document stands at `ranks` (from 0)."""
    return np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0)


def ranks_for(mean: float, luck: np.ndarray) -> np.ndarray:
    """Ranks with about this mean nDCG@10; `luck` (n,) uniform, small is good."""
    return np.floor(np.exp(np.clip((luck - (mean - 0.2)) * 7, 0, 7)) - 1).astype(int)


def row(name: str, values: np.ndarray, letters: str, **more: Any) -> dict[str, Any]:
    means = {
        "nDCG@10": float(values.mean()),
        "R@100": min(float(values.mean()) + 0.24, 1),
        "RR@10": float(values.mean()) - 0.03,
    }
    facts = {
        "model": name,
        "dim": 384,
        "storage": "float32",
        "bytes_per_document": 1536.0,
        "documents_per_second": 214.0,
    }
    facts |= {"query_milliseconds": 8.3, **more}
    return {
        "name": name,
        "estimate": estimate(values),
        "means": means,
        "letters": letters,
        "per_query": values.tolist(),
        **facts,
    }


def comparison(rows: list[dict[str, Any]], ids: list[str], notes: list[str]) -> dict[str, Any]:
    pairs = []
    for place, a in enumerate(rows):
        for b in rows[place + 1 :]:
            difference = np.array(a["per_query"]) - np.array(b["per_query"])
            pair = {
                "a": a["name"],
                "b": b["name"],
                "difference": estimate(difference),
                "p": 1e-4,
                "p_holm": 6e-4,
                "queries_needed": 41,
            }
            pairs.append(pair)
    facts = {
        "collection": "stdlib",
        "split": "test",
        "documents": 3820,
        "measure": "nDCG@10",
        "query_ids": ids,
    }
    return {**facts, "rows": rows, "pairs": pairs, "notes": notes}


def storage_rows(luck: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    rows = []
    sizes = {"float32": 4.0, "float16": 2.0, "int8": 1.0, "binary": 0.125}
    loss = {"float32": 0.0, "float16": 0.0, "int8": 0.004, "binary": 0.05}
    for model, mean, robust in (("tuned", TUNED, 0.5), ("base", BASE, 1.0)):
        for storage, width in sizes.items():
            for dim in (384, 256, 128, 64):
                fall = (
                    loss[storage] * (384 / dim) ** 0.6 + 0.018 * np.log2(384 / dim) ** 1.6 * robust
                )
                values = ndcg(ranks_for(mean - fall, luck[model]))
                facts = {
                    "model": model,
                    "dim": dim,
                    "storage": storage,
                    "bytes_per_document": dim * width,
                }
                rows.append(row(f"{model} {dim} {storage}", values, "a", **facts))
    return sorted(rows, key=lambda one: -one["estimate"]["mean"])


def ranking(
    rank: int, relevant: dict[str, str], pool: list[dict[str, str]], generator: np.random.Generator
) -> list[dict[str, Any]]:
    places = generator.choice(len(pool), 5, replace=False)
    hits = [
        {**pool[place], "score": round(0.74 - 0.03 * n, 3), "relevance": 0}
        for n, place in enumerate(places)
    ]
    if rank < 5:
        hits[rank] = {**relevant, "score": round(0.74 - 0.03 * rank, 3), "relevance": 1}
    return hits


def write(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


def make_run(folder: Path, *, n: int = 400, seed: int = 0, query: str | None = None) -> Path:
    """Write a finished run of `n` test queries to `folder`. `query` replaces every gained query's
    text, to test escaping.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    found = documented()
    documents = [{"id": name, "title": name, "text": text} for name, _, text in found]
    chosen = [found[place % len(found)] for place in range(n)]
    ids = [f"q{place}" for place in range(n)]
    texts = [query or sentence for _, sentence, _ in chosen]
    skill = generator.uniform(size=n)
    luck = {
        model: np.clip(skill + generator.normal(0, 0.16, n), 0, 1)
        for model in ("base", "tuned", "bm25", "fused")
    }
    ranks = {"base": ranks_for(BASE, luck["base"]), "tuned": ranks_for(TUNED, luck["tuned"])}
    before, after = ndcg(ranks["base"]), ndcg(ranks["tuned"])
    write_reports(folder, ids, luck, before, after)
    write_training(folder, generator)
    rows = [
        {"id": i, "text": t, "before": float(b), "after": float(a)}
        for i, t, b, a in zip(ids, texts, before, after, strict=True)
    ]
    write(folder, "queries.json", rows)
    order = np.argsort(before - after, kind="stable")
    examples = []
    for place in [*order[:5], *order[::-1][:5]]:
        relevant = {"id": chosen[place][0], "title": chosen[place][0], "text": chosen[place][2]}
        both = {
            f"{when}_ranking": ranking(int(ranks[model][place]), relevant, documents, generator)
            for when, model in MODELS
        }
        examples.append({**rows[place], **both})
    write(folder, "examples.json", examples)
    return folder


MODELS = (("before", "base"), ("after", "tuned"))


def write_reports(
    folder: Path, ids: list[str], luck: dict[str, np.ndarray], before: np.ndarray, after: np.ndarray
) -> None:
    n = len(ids)
    bm25, fused = (
        ndcg(ranks_for(mean, luck[name])) for name, mean in (("bm25", 0.353), ("fused", 0.477))
    )
    lexical = {"dim": None, "storage": "", "documents_per_second": None}
    rows = [row("minilm tuned", after, "a"), row("minilm", before, "b")]
    rows += [
        row(
            "minilm + bm25 (fused)",
            fused,
            "b",
            **lexical,
            bytes_per_document=2466.0,
            query_milliseconds=9.1,
        )
    ]
    rows += [row("bm25", bm25, "c", **lexical, bytes_per_document=930.0, query_milliseconds=0.4)]
    write(
        folder,
        "comparison.json",
        comparison(
            rows, ids, ["12 documents were longer than 256 tokens; the rest of each was not read."]
        ),
    )
    write(
        folder,
        "storage.json",
        comparison(
            storage_rows(luck), ids, ["minilm was not trained for dims below 384 (Matryoshka)."]
        ),
    )
    forgotten = [
        {
            "guard": "pydoc-topics",
            "measure": "nDCG@10",
            "queries": 812,
            "before": 0.8131,
            "after": 0.8092,
            "margin": 0.01,
        }
    ]
    facts = {
        "outcome": "better",
        "measure": "nDCG@10",
        "collection": "stdlib",
        "split": "test",
        "queries": n,
        "p": 0.00005,
    }
    estimates = {
        "baseline": estimate(before) | {"name": "minilm", "noun": "base model"},
        "tuned": estimate(after) | {"name": "minilm tuned", "noun": "tuned model"},
        "difference": estimate(after - before),
    }
    write(
        folder, "verdict.json", {**facts, **estimates, "queries_needed": 96, "forgotten": forgotten}
    )
    seconds = {
        "doctor": 3.1,
        "baseline": 41.2,
        "mine": 18.7,
        "train": 212.4,
        "merge": 84.0,
        "test": 66.3,
    }
    sizes = {"train": 2191, "dev": 240, "test": n}
    about = {
        "format": 1,
        "model": "minilm",
        "collection": "stdlib",
        "split_sizes": sizes,
        "documents": 3820,
    }
    write(
        folder,
        "run.json",
        {
            **about,
            "started": "2026-11-23T18:32:05+00:00",
            "seconds": seconds,
            "notes": ["dev was carved out of train by group."],
        },
    )


def write_training(folder: Path, generator: np.random.Generator) -> None:
    steps = range(1, 61)
    lines: list[dict[str, Any]] = [{"step": 0, "dev": 0.548, "measure": "nDCG@10"}]
    for step in steps:
        loss = 0.62 + 1.5 * np.exp(-step / 14) + generator.normal(0, 0.07)
        lines.append(
            {
                "step": step,
                "steps": 60,
                "loss": float(loss),
                "rate": 5e-5 * min(step / 6, 1),
                "pairs_per_second": 12.4,
            }
        )
        if step % 10 == 0:
            lines.append(
                {
                    "step": step,
                    "dev": float(0.548 + 0.1 * (1 - np.exp(-step / 15))),
                    "measure": "nDCG@10",
                }
            )
    (folder / "training.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    merge = [
        (0.0, 0.548, 0.8131),
        (0.25, 0.588, 0.8149),
        (0.5, 0.621, 0.8127),
        (0.75, 0.641, 0.8092),
        (1.0, 0.646, 0.7951),
    ]
    choices = [
        {
            "ratio": r,
            "dev": dev,
            "guards": {"pydoc-topics": g},
            "allowed": g > 0.803,
            "chosen": r == 0.75,
        }
        for r, dev, g in merge
    ]
    write(folder, "merge.json", choices)
    schedule = {
        "epochs": 2.0,
        "batch": 64,
        "rate": 5e-05,
        "warmup": 0.1,
        "evaluations": 6,
        "precision": "auto",
        "freeze_embeddings": True,
    }
    negatives = {"per_query": 1, "sources": ["bm25", "model"], "depth": 30, "margin": 0.95}
    parts = {
        "objective": {"temperature": 0.05, "dims": []},
        "negatives": negatives,
        "schedule": schedule,
    }
    write(
        folder,
        "recipe.json",
        {
            "seed": 0,
            "measure": "nDCG@10",
            **parts,
            "merge": {"ratios": [0.25, 0.5, 0.75, 1.0], "margin": 0.01},
        },
    )
    write(
        folder,
        "environment.json",
        {
            "nearfield": "0.1.0",
            "python": "3.11.2",
            "torch": "2.13.0",
            "processor": "Xeon",
            "threads": 2,
        },
    )
    hashes = {
        name: hashlib.sha256(name.encode()).hexdigest()
        for name in ("weights", "stdlib", "pydoc-topics")
    }
    data = {
        "model": "minilm",
        "weights": hashes["weights"],
        "collection": "stdlib",
        "fingerprint": hashes["stdlib"],
    }
    write(
        folder,
        "data.json",
        {**data, "guards": {"pydoc-topics": hashes["pydoc-topics"]}, "notes": []},
    )
    doctor = [
        (
            "truncated-documents",
            "note",
            12,
            3820,
            "tarfile.TarFile: 611 tokens, 256 read",
            "Nothing, or take a model that reads more tokens.",
        ),
        (
            "near-duplicate-documents",
            "warning",
            34,
            3820,
            "def close(self):\n    self.fp.close()",
            "Keep one of each, or judge all of them.",
        ),
    ]
    names = ("check", "severity", "count", "total", "example", "fix")
    write(folder, "doctor.json", [dict(zip(names, one, strict=True)) for one in doctor])


@pytest.fixture(scope="session", name="make_run")
def run_maker() -> Callable[..., Path]:
    return make_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that tests only read."""
    return make_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture
def verdict() -> Verdict:
    better = Estimate(0.101, 0.087, 0.115)
    forgotten = (Forgotten("pydoc-topics", "nDCG@10", 600, 0.81, 0.806, 0.01),)
    means = {
        "baseline": Side(0.539, 0.525, 0.553, "minilm", "base model"),
        "tuned": Side(0.64, 0.626, 0.654, "minilm tuned", "tuned model"),
    }
    return Verdict(
        "better",
        "nDCG@10",
        "stdlib",
        "test",
        1629,
        **means,
        difference=better,
        p=5e-5,
        queries_needed=41,
        forgotten=forgotten,
    )


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Look]:
    """Two tiny models at several sizes on documents in groups, one of which is markup."""
    home = tmp_path_factory.mktemp("evaluated")
    folders = [tiny_model(home / name, seed=at) for at, name in enumerate(("one", "two"))]
    words = WORDS[4:64]
    documents = [
        {"id": f"d{at}", "title": "", "text": " ".join(words[at : at + 5]), "group": words[at % 3]}
        for at in range(50)
    ]
    documents[7]["text"] += f" {ALERT}"
    queries = [
        {"id": f"q{at}", "text": " ".join(words[at : at + 3]), "group": ""} for at in range(50)
    ]
    queries[7]["text"] += f" {ALERT}"
    judgements = [
        {"query": f"q{at}", "document": f"d{at}", "relevance": 1, "split": "test"}
        for at in range(50)
    ]
    tables = (pa.Table.from_pylist(rows) for rows in (documents, queries, judgements))
    split = Collection("topics", *tables).split("test")
    models = [str(folder) for folder in folders]
    options = Options(dims=(1.0, 0.5, 0.25), storages=("float32", "int8", "binary"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatryoshkaWarning)  # the models are not trained to be cut
        return compare(models, split, options=options), look(models, split)
