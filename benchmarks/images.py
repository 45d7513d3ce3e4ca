"""Images per second of nearfield beside transformers' own steps: decode, prepare, forward.

    .venv/bin/python benchmarks/images.py [FOLDER_OF_IMAGES] [--model CLIP_FOLDER]
        [--count 256] [--turns 5]

Without a folder the images are made. Without --model the weights are random, of CLIP ViT-B/32's
size. Both run in one process, turn by turn, each first in every other turn; the vectors must be
equal within 1e-5. The ratio is the median of those of the turns: it holds on a busy machine, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModel, CLIPConfig, CLIPImageProcessorPil

import nearfield as nf
from nearfield.data.sources.image_folder import image_files

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from towers import images_of_each_kind, tiny_towers

BATCH = 32


def random_model(folder: Path) -> Path:
    torch.manual_seed(0)
    tiny_towers(folder, "clip")  # for its tokeniser
    AutoModel.from_config(CLIPConfig()).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


def made_images(folder: Path, count: int) -> Path:
    for path in images_of_each_kind(folder, count):
        if Image.open(path).mode.startswith("I"):  # 16 bits, which a plain conversion cuts off
            path.unlink()
    return folder


def plain(model: Any, processor: Any, paths: list[Path]) -> Any:
    """As transformers' documentation encodes images."""
    made = []
    for start in range(0, len(paths), BATCH):
        images = [
            ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            for path in paths[start : start + BATCH]
        ]
        with torch.inference_mode():
            features = model.get_image_features(**processor(images=images, return_tensors="pt"))
        made.append(torch.nn.functional.normalize(features.pooler_output, dim=-1))
    return torch.cat(made).numpy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=Path, nargs="?")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        images = asked.images or made_images(Path(work, "images"), asked.count)
        paths = list(islice(image_files(images), asked.count))
        folder = asked.model or random_model(Path(work, "model"))
        encoder: Any = nf.load(folder)
        model = AutoModel.from_pretrained(folder)
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        ways: dict[str, Any] = {
            "nearfield": lambda: np.asarray(encoder.encode(paths)),
            "transformers": lambda: plain(model, processor, paths),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        used: dict[str, list[float]] = {name: [] for name in ways}
        vectors = {}
        for turn in range(asked.turns):
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                started = time.perf_counter(), time.process_time()
                vectors[name] = ways[name]()
                took[name].append(time.perf_counter() - started[0])
                used[name].append(time.process_time() - started[1])
    gap = np.abs(vectors["nearfield"] - vectors["transformers"]).max()
    for name, seconds in took.items():
        print(
            f"{name:<13} {len(paths) / min(seconds):7.1f} images/s at best, "
            f"{1000 * min(used[name]) / len(paths):.1f} ms of the processors each"
        )
    for what, of in {"images per second": took, "work": used}.items():
        ratios = np.divide(of["transformers"], of["nearfield"])
        low, high = ratios.min(), ratios.max()
        print(f"ratio of {what}: {np.median(ratios):.3f}, from {low:.3f} to {high:.3f}")
    print(f"greatest difference of a value: {gap:.1e}")
    assert gap < 1e-5


if __name__ == "__main__":
    main()
