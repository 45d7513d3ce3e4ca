"""Images per second of nearfield beside transformers' own steps, or OpenCLIP's: decode, prepare,
forward.

    python benchmarks/images.py [FOLDER_OF_IMAGES] [--model CLIP_FOLDER] [--count 256] [--turns 5]
        [--open-clip PYTHON] [--save] [--json]

Without a folder the images are made, of a photo's size. Without --model the weights are random, of
CLIP ViT-B/32's size. Both run turn by turn, each first in every other turn; the vectors must be
equal within 1e-5. The ratio is the mean of those of the turns, with its 95 % interval: it holds on
a busy machine, too.
PYTHON is that of benchmarks/environments/open_clip.txt; OpenCLIP runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from results import circumstances, parsed, save
from transformers import AutoImageProcessor, AutoModel, CLIPConfig, CLIPImageProcessorPil

import nearfield as nf
from nearfield.data.sources.image_folder import image_files
from nearfield.statistics.bootstrap import mean_interval

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from towers import tiny_towers, tokeniser

BATCH = 32


class Side(NamedTuple):
    """A turn of one side: its vectors, and its seconds by the clock and of the processors."""

    vectors: Any
    clock: float
    used: float


def random_model(folder: Path) -> Path:
    torch.manual_seed(0)
    tiny_towers(folder, "clip")  # for its tokeniser
    AutoModel.from_config(CLIPConfig()).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


def made_images(folder: Path, count: int) -> Path:
    """JPEG files of 640 x 480 pixels and some 55 kB, as photos are: colours that run into one
    another, with grain.
    """
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for at in range(count):
        colours = Image.fromarray(draw.integers(0, 256, (9, 12, 3), np.uint8))
        smooth = np.asarray(colours.resize((640, 480), Image.Resampling.BICUBIC), np.int16)
        grain = draw.normal(0, 6, smooth.shape)
        photo = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        photo.save(folder / f"{at:05}.jpg", quality=85)
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


def open_clip(python: str, folder: Path) -> Callable[[list[Path]], Side]:
    """OpenCLIP's side, which makes the model at `folder` where there is none."""
    command = [python, str(Path(__file__).with_name("images_peer.py")), str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(paths: list[Path]) -> Side:
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps([str(path) for path in paths]), file=process.stdin, flush=True)
        facts = json.loads(process.stdout.readline())
        return Side(np.load(folder / "vectors.npy"), facts["clock"], facts["used"])

    return run


def timed(encode: Callable[[list[Path]], Any], paths: list[Path]) -> Side:
    started = time.perf_counter(), time.process_time()
    vectors = encode(paths)
    return Side(vectors, time.perf_counter() - started[0], time.process_time() - started[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, nargs="?")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--open-clip", metavar="PYTHON", help="a Python with open_clip")
    asked = parsed(parser)
    result = circumstances()
    peer = "open_clip" if asked.open_clip else "transformers"
    with tempfile.TemporaryDirectory() as work:
        images = asked.images or made_images(Path(work, "images"), asked.count)
        paths = list(islice(image_files(images), asked.count))
        folder = asked.model or Path(work, "model")
        theirs: Callable[[list[Path]], Side]
        if asked.open_clip:
            theirs = open_clip(asked.open_clip, folder)
            theirs(paths[:BATCH])  # warm
            tokeniser(folder)  # nearfield reads both towers
        else:
            if not asked.model:
                random_model(folder)
            model = AutoModel.from_pretrained(folder)
            processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
            theirs = partial(timed, partial(plain, model, processor))
        encoder: Any = nf.load(folder)
        ours = partial(timed, lambda paths: np.asarray(encoder.encode(paths)))
        ours(paths[:BATCH])
        sides: dict[str, Callable[[list[Path]], Side]] = {"nearfield": ours, peer: theirs}
        turns: dict[str, list[Side]] = {name: [] for name in sides}
        for turn in range(asked.turns):
            for name in list(sides)[:: 1 if turn % 2 else -1]:
                turns[name].append(sides[name](paths))
    gap = float(np.abs(turns["nearfield"][-1].vectors - turns[peer][-1].vectors).max())
    for name, runs in turns.items():
        result[name] = {
            "images_per_second": round(len(paths) / min(run.clock for run in runs), 1),
            "processor_ms_per_image": round(1000 * min(run.used for run in runs) / len(paths), 1),
        }
    for what in ("clock", "used"):
        pairs = zip(turns[peer], turns["nearfield"], strict=True)
        ratios = np.array([getattr(a, what) / getattr(b, what) for a, b in pairs])
        each = mean_interval(ratios)
        result[f"ratio_{what}"] = f"{each.mean:.3f} [{each.low:.3f}, {each.high:.3f}]"
    result["greatest_difference"] = gap
    print(json.dumps({key: value for key, value in result.items() if key != "versions"}, indent=1))
    assert gap < 1e-5
    if asked.save:
        print(save(f"images-{peer}", result))


if __name__ == "__main__":
    main()
