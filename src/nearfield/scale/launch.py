"""Starting the processes that train along with this one, and ending them with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import TCPStore

from nearfield.errors import InputError
from nearfield.scale.distributed import WAIT, Distributed
from nearfield.store.child_python import python_command, python_environment
from nearfield.train.engine.group import ALONE, Group

HOST = "127.0.0.1"


@contextmanager
def processes(count: int) -> Iterator[Group]:
    """A group of this process and `count - 1` others on this machine, which train along until the
    block ends.

    With GPUs each process has one of its own. Raises InputError where there are fewer GPUs than
    processes.
    """
    if count < 1:
        raise InputError(f"--processes is {count}; wanted 1 or more")
    if count == 1:
        yield ALONE
        return
    gpus = torch.cuda.device_count()
    if 0 < gpus < count:
        raise InputError(
            f"--processes is {count} and this machine has {gpus} GPUs; wanted one for each process"
        )
    # port 0: the system gives a free one, which the others are told
    store = TCPStore(HOST, 0, count, is_master=True, wait_for_workers=False, timeout=WAIT)
    threads = torch.get_num_threads()
    share = max(1, threads // count)
    words = python_command("-m", "nearfield.scale.follower", str(store.port), str(count))
    environment = python_environment()
    others = [
        subprocess.Popen([*words, str(rank), str(share)], env=environment)
        for rank in range(1, count)
    ]
    try:
        if not gpus:
            torch.set_num_threads(share)
        with joined(store, 0, count) as group:
            yield group
            group.agree(None)  # there is no run to come, which ends the others
        for other in others:
            other.wait()
    finally:
        torch.set_num_threads(threads)
        for other in others:
            if other.poll() is None:
                other.kill()
            other.wait()


@contextmanager
def joined(store: TCPStore, rank: int, size: int) -> Iterator[Group]:
    """This process as number `rank` of the `size` that meet at `store`: NCCL between GPUs, gloo
    between processors.

    What is no tensor of a GPU goes over gloo in any case: NCCL does not notice a process that is
    gone, and who waits in it for the others keeps its GPU busy.
    """
    device = "cpu"
    if torch.cuda.is_available():
        device = f"cuda:{rank % torch.cuda.device_count()}"
        torch.cuda.set_device(device)
    backends = "cpu:gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
    dist.init_process_group(backends, store=store, rank=rank, world_size=size, timeout=WAIT)
    try:
        yield Distributed(device)
    finally:
        dist.destroy_process_group()
