"""Clients that leave while they wait, and clients that never read what they asked for."""

from __future__ import annotations

import gc
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from nearfield.encoders.load import load
from nearfield.serve.limits import Limits
from nearfield.serve.models import Models, ServedModel
from serving import models_of, prompted, serving


class Gated:
    """An encoder that encodes when `gate` is open, and counts the texts."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self.gate, self.texts = encoder, threading.Event(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_mixed(self, items: Sequence[str], roles: Sequence[str]) -> Any:
        assert self.gate.wait(60)
        self.texts += len(items)
        return self._encoder.encode_mixed(items, roles)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def asking(url: str, texts: list[str], *, times: int = 1) -> Iterator[socket.socket]:
    """A connection on which the texts' vectors are asked for and nothing is read."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({"inputs": texts}).encode()
    head = f"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.connect((host, int(port)))
        opened.sendall((head.encode() + body) * times)
        yield opened


def test_what_a_client_asked_for_leaves_the_queue_with_it(tmp_path: Path) -> None:
    folder = prompted(tmp_path / "tiny")
    gated: Any = Gated(load(folder))
    limits = Limits(cache_bytes=0)
    models = Models([ServedModel(f"tiny={folder}", limits, encoder=lambda _: gated)], limits)
    with serving(models) as url:

        def waiting() -> float:
            said = httpx2.get(f"{url}/metrics").text
            found = re.search(r'^nearfield_waiting\{model="tiny"\} (\S+)', said, re.MULTILINE)
            return float(found[1]) if found else 0.0

        try:
            with asking(url, ["first"]) as stays:
                until(lambda: waiting() > 0)
                before = waiting()
                with asking(url, [f"text {at}" for at in range(900)]):
                    until(lambda: waiting() > before + 900)
                until(lambda: waiting() == before)  # though the turn before it goes on
                gated.gate.set()
                assert stays.recv(100).startswith(b"HTTP/1.1 200")
        finally:
            gated.gate.set()
        until(lambda: waiting() == 0)
        assert gated.texts == 1


def test_a_client_that_never_reads_holds_up_neither_others_nor_the_end(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    limits = Limits(seconds=3, body_seconds=0.4)  # five seconds for the end
    models = models_of([f"tiny={prompted(tmp_path / 'tiny')}"], limits)
    with ExitStack() as clients:
        with serving(models) as url:
            first = httpx2.post(f"{url}/embed", json={"inputs": "a"}, timeout=30)
            assert first.status_code == 200
            for _ in range(3):  # whose answers are more than the buffers between them take
                clients.enter_context(asking(url, ["a"] * 1000, times=20))
            answer = httpx2.post(f"{url}/embed", json={"inputs": "a dog"}, timeout=30)
            assert answer.status_code == 200
        left = set(threading.enumerate()) - before
        assert not [each for each in left if each.name in ("server", "engine")]
    gc.collect()  # a connection that is left open warns
