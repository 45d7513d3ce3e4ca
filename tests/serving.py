"""A real server on loopback, in a thread of the test's own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nearfield.cli.serving.serve import server_of
from nearfield.serve.app import Access, application
from nearfield.serve.limits import Limits
from nearfield.serve.models import Models, ServedModel
from tiny import tiny_model

LIMITS, OPEN = Limits(), Access()
PROMPTS = {"query": "query : ", "document": "passage : "}


def prompted(folder: Path, **facts: object) -> Path:
    """A tiny model whose queries and documents have prompts."""
    return tiny_model(
        folder,
        config_sentence_transformers={"prompts": PROMPTS, "default_prompt_name": None},
        **facts,
    )


def models_of(specs: Sequence[str], limits: Limits = LIMITS) -> Models:
    return Models([ServedModel(spec, limits) for spec in specs], limits)


@contextmanager
def serving(models: Models, access: Access = OPEN) -> Iterator[str]:
    """The address of a server of these models while the block runs."""
    with running(application(models, access), models.limits) as url:
        yield url


@contextmanager
def running(app: object, limits: Limits = LIMITS) -> Iterator[str]:
    """The address of any ASGI application while the block runs, served as `nearfield serve` does."""
    server = server_of(app, limits)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
