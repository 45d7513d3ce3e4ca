"""Uses what was added to a copy of the package: `python use.py ADDITION...`, in an empty folder."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np

from tiny import tiny_model
from tiny_data import tiny_collection

SCHEDULE = {"epochs": 1, "batch": 16, "evaluations": 1, "precision": "float32"}
TEXTS = ["a cat", "the dog, the sun and the rain", "a red song", "how to sort a list"]


def index() -> None:
    from nearfield.indexes import INDEXES
    from nearfield.similarity.dense import Dense

    vectors = Dense(np.random.default_rng(0).normal(size=(9, 4)).astype("float32"), 4)
    found = INDEXES["brute"].of(vectors).search(vectors[:2], 3)
    wanted = INDEXES["exact"].of(vectors).search(vectors[:2], 3)
    assert found.documents.tolist() == wanted.documents.tolist()


def task() -> None:
    import nearfield as nf

    rows = [json.dumps({"query": text, "positive": text.upper()}) for text in TEXTS]
    (Path.cwd() / "pairs.jsonl").write_text("\n".join(rows) + "\n")
    model = str(tiny_model(Path.cwd() / "model"))
    comparison = nf.compare([model], "pairs.jsonl", task="retranslation")
    assert comparison.task == "retranslation"
    assert 0 <= comparison.rows[0].estimate.mean <= 1


def source() -> None:
    import nearfield as nf

    (Path.cwd() / "faq.arrows").write_text("late parcel => It is refunded.\nopen? => From nine.\n")
    pairs = nf.open_pairs("faq.arrows")
    assert list(pairs.positives) == ["It is refunded.", "From nine."]
    assert len(nf.open_collection("faq.arrows").documents) == 2


def towers() -> None:
    """The same texts and images have the same vectors as in the layout of transformers."""
    from safetensors.torch import load_file, save_file

    import nearfield as nf
    from towers import images_of_each_kind, tiny_towers

    folder, items = (
        tiny_towers(Path.cwd() / "clip", "clip"),
        ["a cat", *images_of_each_kind(Path.cwd() / "x", 3)],
    )
    wanted = nf.load(folder).encode(items)
    weights = load_file(folder / "model.safetensors")
    save_file({f"pair.{name}": part for name, part in weights.items()}, folder / "pair.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "config.json").rename(folder / "pair.json")
    np.testing.assert_allclose(nf.load(folder).encode(items), wanted, atol=1e-6)


def storage() -> None:
    """Encoded, kept, opened, searched and compared as it."""
    import nearfield as nf
    from nearfield.similarity.dense import Dense

    model = str(tiny_model(Path.cwd() / "model"))
    vectors = nf.load(model).encode(TEXTS, "document")
    vectors.quantise("bfloat16").save(Path.cwd() / "vectors")
    kept = Dense.open(Path.cwd() / "vectors")
    assert kept.vectors.nbytes * 2 == vectors.vectors.nbytes
    np.testing.assert_allclose(kept.floats(), vectors.floats(), rtol=2**-7, atol=0)
    from nearfield.indexes import INDEXES

    found = INDEXES["exact"].of(kept).search(vectors, 1)
    assert found.documents[:, 0].tolist() == [0, 1, 2, 3]
    rows = [json.dumps({"query": text, "positive": text.upper()}) for text in TEXTS]
    (Path.cwd() / "pairs.jsonl").write_text("\n".join(rows) + "\n")
    from nearfield.cli.app import build

    words = ["evaluate", model, "--on", "pairs.jsonl", "--dtype", "float32,bfloat16"]
    build()(words, standalone_mode=False)


def runtime() -> None:
    import nearfield as nf

    folder = tiny_model(Path.cwd() / "model")
    found = nf.load(f"{folder}@slow").encode(TEXTS, "document")
    wanted = nf.load(f"{folder}@torch").encode(TEXTS, "document")
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), atol=1e-6)


def dialect() -> None:
    """Asked over HTTP."""
    import httpx2

    import nearfield as nf
    from serving import models_of, serving

    folder = tiny_model(Path.cwd() / "model")
    with serving(models_of([str(folder)])) as url:
        found = httpx2.post(f"{url}/plain", json={"texts": TEXTS}).json()
        refused = httpx2.post(f"{url}/plain", json={"texts": []})
    wanted = nf.load(str(folder)).encode(TEXTS, "document")
    np.testing.assert_allclose(found, np.asarray(wanted), atol=1e-6)
    assert refused.json() == {"said": "there is no text; wanted one at least"}


def command() -> None:
    from nearfield.cli.app import build

    build()(["hello", "--name", "Ada"], standalone_mode=False)


def loss() -> None:
    """A run learns from labels: a text's positive is the name of its class."""
    import nearfield as nf

    rows = [
        {"query": f"{text} {at}", "positive": f"class {at % 2}"}
        for at, text in enumerate(TEXTS * 8)
    ]
    (Path.cwd() / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = str(tiny_model(Path.cwd() / "model"))
    recipe = nf.Recipe.of({"objective": "label-contrast", "schedule": SCHEDULE})
    nf.tune(folder, tiny_collection(), to="run", recipe=recipe, pairs="labels.jsonl", guards=())
    assert np.asarray(nf.load("run/model").encode(TEXTS, "document")).shape == (4, 32)


def head() -> None:
    """Opened, saved, trained, evaluated and searched with."""
    import nearfield as nf

    folder = tiny_model(Path.cwd() / "model")
    (folder / "first_and_mean.json").write_text("{}")
    model = nf.load(str(folder))
    assert np.asarray(model.encode(TEXTS, "document")).shape == (4, 64)
    recipe = nf.Recipe.of({"schedule": SCHEDULE})
    nf.tune(str(folder), tiny_collection(), to="run", recipe=recipe, guards=())
    assert np.asarray(nf.load("run/model").encode(TEXTS, "document")).shape == (4, 64)
    assert nf.index(model, TEXTS).search("a cat", k=1)


format = head  # a head is opened by its format


if __name__ == "__main__":
    start, wrong = Path.cwd(), False
    for addition in sys.argv[1:]:
        (start / addition).mkdir()
        os.chdir(start / addition)
        try:
            globals()[addition]()
            sys.stdout.write(f"used {addition}\n")
        except Exception:
            wrong = True
            sys.stderr.write(f"{addition}: {traceback.format_exc()}\n")
    sys.exit(wrong)
