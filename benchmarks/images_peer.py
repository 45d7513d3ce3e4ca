"""OpenCLIP's side of images.py, in an environment of its own (environments/open_clip.txt).

    python benchmarks/images_peer.py FOLDER

makes FOLDER where it is not there: ViT-B/32 with random weights, as OpenCLIP writes a model. Then
it encodes the images that each line of stdin names (a JSON list) as OpenCLIP's documentation does,
and answers with a line of JSON: the seconds by the clock and of the processors, and the file of the
vectors.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file

# torchvision's own operators may be built for another torch; no image transform uses one, but the
# import wants these to be known
_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    _OPERATORS.define(f"{_name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")

import open_clip  # noqa: E402

NAME = "ViT-B-32"
BATCH = 32


def make(folder: Path) -> None:
    torch.manual_seed(0)
    model = open_clip.create_model(NAME)
    folder.mkdir(parents=True)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    stated = {"model_cfg": open_clip.get_model_config(NAME), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(stated))


def main() -> None:
    folder = Path(sys.argv[1])
    if not folder.exists():
        make(folder)
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    for line in sys.stdin:
        started = time.perf_counter(), time.process_time()
        vectors = []
        paths = json.loads(line)
        for start in range(0, len(paths), BATCH):
            images = [
                prepare(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
                for path in paths[start : start + BATCH]
            ]
            with torch.inference_mode():
                vectors.append(model.encode_image(torch.stack(images), normalize=True))
        clock = time.perf_counter() - started[0]
        used = time.process_time() - started[1]
        np.save(folder / "vectors.npy", torch.cat(vectors).numpy())
        print(json.dumps({"clock": clock, "used": used}), flush=True)


if __name__ == "__main__":
    main()
