"""Damaged model folders of every kind: each is opened and a text encoded, or it is refused as
errors of ours are.

    python tests/fuzz/models.py --count 5000 --seed 0

prints how each of them ended. `--only NUMBER` tries one alone and shows what came of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # tests/ instead of this folder

from fuzz.count import main
from fuzz.mutate import damage_folder
from fuzz.worker import Canary

HERE = "@here@"  # in a file: the folder that the case lies in
TEXTS = ["the cat and a dog", "", "query : file"]
NATIVE, TORCH, RERANK, RERANK_TORCH, SAVE, MAP, IMAGE = (
    "native",
    "torch",
    "rerank",
    "rerank with torch",
    "save",
    "map",
    "image",
)


def attempt(asked: tuple[str, str]) -> None:
    """The worker's task: use the model at a path in one of the ways above."""
    path, how = asked
    if how in (RERANK, RERANK_TORCH):
        from nearfield.encoders.reranker import Reranker
        from nearfield.runtimes.options import OpenOptions

        reranker = Reranker.open(path, OpenOptions(runtime="auto" if how == RERANK else "torch"))
        reranker.score("the cat", TEXTS)
        _ = reranker.identity
    elif how == MAP:
        import numpy as np

        from nearfield.models.vector_map import VectorMap

        opened = VectorMap.open(Path(path) / "map")
        opened.apply_to(np.ones((2, opened.config.from_dim), np.float32))
    elif how == IMAGE:
        from PIL import Image

        from nearfield.encoders.load import load

        encoder = load(path, device="cpu")
        encoder.encode([Image.new("RGB", (40, 30), (200, 10, 10))], "image")
        _ = encoder.identity
    elif how == SAVE:
        from nearfield.models.find import model_path
        from nearfield.models.model import TextModel
        from nearfield.models.saving.save import save_encoder

        save_encoder(TextModel.open(model_path(path)), Path(path).parent / "saved", name="saved")
    else:
        from nearfield.encoders.load import load

        encoder = load(path, runtime="auto" if how == NATIVE else "torch", device="cpu")
        for role in ("query", "document"):
            encoder.encode(TEXTS, role)
        _ = encoder.identity


def whole_models(place: Path) -> dict[str, tuple[str, ...]]:
    """Make a whole folder of every kind in `place`, each called as its kind, with the ways in which
    it is used.
    """
    from decoders import decoder_model
    from late_models import LAYOUTS, tiny_late
    from nomic_vision import tiny
    from sparse_models import tiny_splade
    from static_models import model2vec_folder, sentence_transformers_folder
    from three_head_models import tiny_three_heads
    from tiny import tiny_model
    from tiny_cross import TEMPLATE, tiny_cross, tiny_decoder
    from towers import tiny_image_model, tiny_towers

    dense = NATIVE, TORCH, NATIVE, TORCH, SAVE
    ways: dict[str, tuple[str, ...]] = {}

    def add(kind: str, make: Callable[[Path], Any], used: tuple[str, ...] = dense) -> None:
        (place / kind).mkdir(parents=True)
        make(place / kind / "model")
        ways[kind] = used

    for kind in ("bert", "roberta", "mpnet", "distilbert", "modernbert"):
        add(
            kind,
            lambda path, kind=kind: tiny_model(
                path, kind=kind, nearfield={"contract": {"max_tokens": 60}}
            ),
        )
    add("projected", _projected)
    add("sharded", _sharded)
    add("bin", _bin)
    add("qwen2", lambda path: decoder_model(path, "qwen2"))
    add("model2vec", lambda path: model2vec_folder(path, shared=True))
    add("static", sentence_transformers_folder)
    add("splade", tiny_splade)
    for layout in LAYOUTS:
        add(f"late-{layout}", lambda path, layout=layout: tiny_late(path, layout=layout))
    add("three-heads", tiny_three_heads)
    add("router", _router)
    add("roles", _roles)
    add("lora", _lora)
    add("cross", tiny_cross, (RERANK, RERANK_TORCH))
    add("cross-roberta", lambda path: tiny_cross(path, "roberta"), (RERANK, RERANK_TORCH))
    add("cross-decoder", lambda path: tiny_decoder(path, template=TEMPLATE), (RERANK_TORCH,))
    add("lexical", _lexical, (NATIVE,))
    add("adapted", _adapted, (NATIVE,))
    add("bridge", _bridge, (MAP,))
    for kind in ("clip", "siglip", "siglip2"):
        add(f"towers-{kind}", lambda path, kind=kind: tiny_towers(path, kind), (TORCH, IMAGE))
    for kind in ("vit", "efficientnet-lite"):
        add(kind, lambda path, kind=kind: tiny_image_model(path, kind), (IMAGE,))
    add("nomic-vision", tiny, (IMAGE,))
    add("joined", _joined, (NATIVE, TORCH, IMAGE))
    return ways


def _joined(path: Path) -> None:
    from nearfield.models.surgery.join import join
    from tiny import tiny_model
    from towers import tiny_image_model

    with tempfile.TemporaryDirectory() as folder:
        text = tiny_model(Path(folder) / "text", sizes={"num_hidden_layers": 1})
        join(text, tiny_image_model(Path(folder) / "image", "vit"), to=path)


def _projected(path: Path) -> None:
    from safetensors.torch import save_file
    from torch import nn

    from tiny import tiny_model

    tiny_model(path)
    rows = json.loads((path / "modules.json").read_text())
    rows.insert(
        2,
        {
            "idx": 2,
            "name": "dense",
            "path": "2_Dense",
            "type": "sentence_transformers.models.Dense",
        },
    )
    for at, row in enumerate(rows):
        row["idx"] = at
    (path / "modules.json").write_text(json.dumps(rows))
    (path / "2_Dense").mkdir()
    facts = {
        "in_features": 32,
        "out_features": 8,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    (path / "2_Dense" / "config.json").write_text(json.dumps(facts))
    save_file(
        {f"linear.{name}": weight for name, weight in nn.Linear(32, 8).state_dict().items()},
        path / "2_Dense" / "model.safetensors",
    )


def _sharded(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tiny import tiny_model

    tiny_model(path)
    weights = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    names = sorted(weights)
    halves = {
        "model-00001-of-00002.safetensors": names[::2],
        "model-00002-of-00002.safetensors": names[1::2],
    }
    for file, part in halves.items():
        save_file({name: weights[name] for name in part}, path / file, metadata={"format": "pt"})
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {name: file for file, part in halves.items() for name in part},
    }
    (path / "model.safetensors.index.json").write_text(json.dumps(index))


def _bin(path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from tiny import tiny_model

    tiny_model(path)
    torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
    (path / "model.safetensors").unlink()


def _router(path: Path) -> None:
    from nearfield.models.surgery.new_head import HeadOptions, new_head
    from tiny import tiny_model

    with tempfile.TemporaryDirectory() as folder:
        dense = tiny_model(Path(folder) / "dense", sizes={"num_hidden_layers": 1})
        new_head(dense, "splade", to=path, options=HeadOptions(inference_free=True, texts=TEXTS))


def _roles(path: Path) -> None:
    from adapters import peft_adapter
    from tiny import tiny_model

    tiny_model(path, nearfield={"adapters": {"query": "adapters/one", "document": "adapters/two"}})
    for seed, name in enumerate(("one", "two")):
        peft_adapter(path / "adapters" / name, path, seed=seed)


def _lora(path: Path) -> None:
    from adapters import peft_adapter
    from tiny import tiny_model

    base = tiny_model(path.parent / "base")
    peft_adapter(path, base)
    file = path / "adapter_config.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": f"{HERE}/base"})
    )


def _lexical(path: Path) -> None:
    from nearfield.encoders.lexical import Lexical

    Lexical.fit(TEXTS * 3).save(path)


def _adapted(path: Path) -> None:
    from nearfield.models.vector_map import MapConfig, VectorMap
    from nearfield.store.fingerprint import model_hash
    from tiny import tiny_model

    base = tiny_model(path.parent / "base")
    VectorMap(MapConfig("mlp", 32, 32, 4)).save(path / "map")
    (path / "adapter.json").write_text(
        json.dumps({"format": 1, "source": f"{HERE}/base", "files": model_hash(base)})
    )


def _bridge(path: Path) -> None:
    from nearfield.models.vector_map import MapConfig, VectorMap

    VectorMap(MapConfig("mlp", 8, 12, 4)).save(path / "map")
    (path / "bridge.json").write_text(json.dumps({"format": 1, "old": "a", "new": "b"}))


def _keep_the_base(place: Path, outside: Path) -> None:
    """Let no adapter name `outside` as its base.

    An adapter's base is another folder by peft's rule, and a path to a whole model is one that may
    be opened: only what else looks outside is a finding.
    """
    for file in place.rglob("adapter_config.json"):
        if not file.is_file() or file.is_symlink() or file.stat().st_size > 1 << 20:
            continue
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        if str(outside) in text:
            kept = text.replace(str(outside), str(place / "base"))
            file.write_text(kept, encoding="utf-8", errors="surrogateescape")


class Cases:
    """Makes the damaged folder of a number; `root` is a folder for the whole ones, and for what
    linked files point to.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.elsewhere, self.outside = root, root / "elsewhere", root / "outside"
        self.elsewhere.mkdir(parents=True)

    @property
    @cache  # noqa: B019, one of it lives as long as the run
    def ways(self) -> dict[str, tuple[str, ...]]:
        """The kinds of model, each with the ways in which it is used; made when first asked for."""
        return whole_models(self.root / "whole")

    def canary(self) -> Canary:
        """A whole model where nothing may look."""
        bert = self.root / "whole" / next(iter(self.ways)) / "model"
        files = {
            str(file.relative_to(bert)): file.read_bytes()
            for file in bert.rglob("*")
            if file.is_file()
        }
        return Canary(self.outside, files)

    def make(self, number: int, random: Random, place: Path) -> tuple[Any, str]:
        """Put the damaged model of this number into `place`: the value for `attempt`, and what was
        done.
        """
        kinds = list(self.ways)
        kind = kinds[number % len(kinds)]
        shutil.copytree(self.root / "whole" / kind, place, dirs_exist_ok=True)
        for file in place.rglob("*.json"):
            text = file.read_text(encoding="utf-8")
            if HERE in text:
                file.write_text(text.replace(HERE, str(place)), encoding="utf-8")
        up = os.path.relpath(self.outside, place / "model")
        names = (
            up,
            f"{up}/model.safetensors",
            f"{up}/config.json",
            f"1_Pooling/../{up}",
            str(self.outside),
            "..",
            "/",
            "a/../../..",
        )
        base = place / "base"
        damaged = base if base.exists() and random.random() < 0.3 else place / "model"
        if number < 0:
            return (str(place / "model"), self.ways[kind][0]), f"{kind}: whole"
        what = damage_folder(
            damaged, random, elsewhere=self.elsewhere, outside=self.outside, names=names
        )
        _keep_the_base(place, self.outside)
        how = random.choice(self.ways[kind])
        return (str(place / "model"), how), f"{kind}, {how}: {what}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEARFIELD_HOME"] = str(Path(folder) / "home")
        cases = Cases(Path(folder) / "models")
        sys.exit(main("fuzz.models:attempt", cases.make, canary=lambda _: cases.canary()))
