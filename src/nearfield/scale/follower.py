"""A process that trains along with the one that started it: `python -m nearfield.scale.follower
PORT SIZE RANK THREADS`.
"""

from __future__ import annotations

import sys

import torch
from torch._C._distributed_c10d import TCPStore

from nearfield.errors import ProcessError
from nearfield.scale.distributed import WAIT
from nearfield.scale.launch import HOST, joined
from nearfield.train.engine.loop import follow


def main() -> None:
    """Follow until the leading process has no more runs, or is gone."""
    port, size, rank, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    store = TCPStore(HOST, port, size, is_master=False, timeout=WAIT)
    try:
        with joined(store, rank, size) as group:
            follow(group)
    except ProcessError:
        sys.exit(1)  # the leading process was ended, and says so itself where it can


if __name__ == "__main__":
    main()
