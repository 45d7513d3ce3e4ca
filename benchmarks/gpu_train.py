"""The same as train_cpu.py on a GPU: absolute figures, and both sides in turn in float32 and
bfloat16.

    python benchmarks/gpu_train.py [MODEL ...] [the options of train_cpu.py] [--cpu]

`--cpu` runs it where there is no GPU, to show that it still runs.
"""

from __future__ import annotations

import sys

import torch
from train_cpu import main

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--cpu"]
    if "--cpu" not in sys.argv and not torch.cuda.is_available():
        sys.exit("there is no GPU here; --cpu runs this on the processor")
    main(words, device="cpu" if "--cpu" in sys.argv else "cuda")
