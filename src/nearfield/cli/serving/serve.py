"""`nearfield serve`: models over HTTP."""

from __future__ import annotations

import math
import os
import socket
import warnings
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import Json, emit_json, err
from nearfield.cli.opened import Device, Precision, RuntimeName, open_model, open_reranker
from nearfield.errors import InputError
from nearfield.extras import require

if TYPE_CHECKING:
    from nearfield.retrieval.searchable import Searchable
    from nearfield.serve.limits import Limits
    from nearfield.serve.models import Models

KEYS = "NEARFIELD_API_KEYS"
_MB = 2**20
_BACKLOG = 2048  # connections that wait to be accepted, as uvicorn has it


Served = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Models of the catalog, model folders or specs; NAME=MODEL is called NAME.",
    ),
]
StrictRoles = Annotated[
    bool,
    typer.Option(
        "--strict-roles",
        help="Refuse a request that does not say query or document to a model that "
        "encodes them in different ways, instead of taking its texts as documents.",
    ),
]
Queue = Annotated[int, typer.Option(help="Tokens that may wait for each model.", min=1)]
Seconds = Annotated[
    float, typer.Option(help="Within which a request is answered, or refused.", min=0.1)
]
Body = Annotated[int, typer.Option(help="The largest body of a request, in MB.", min=1)]
Memory = Annotated[
    int | None,
    typer.Option(help="MB of weights in memory at most; models are closed to make room.", min=1),
]
Searched = Annotated[
    str | None,
    typer.Option(help="Answer /search over this data, by the first model and BM25, fused."),
]
Cache = Annotated[int, typer.Option(help="MB of vectors kept per model.", min=0)]


def serve(
    models: Served,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any free one.", max=65535)] = 8080,
    runtime: RuntimeName = "auto",
    precision: Precision = "float32",
    device: Device = "auto",
    strict_roles: StrictRoles = False,
    queue: Queue = 262_144,
    seconds: Seconds = 30.0,
    body: Body = 16,
    memory: Memory = None,
    cache: Cache = 64,
    collection: Searched = None,
    json: Json = False,
) -> None:
    """Serve models over HTTP, as OpenAI, Cohere, Voyage, Jina, Text Embeddings Inference and
    Ollama do.

    Each is at its own paths, and below its name (/voyage/v1/embeddings). Where the variable
    NEARFIELD_API_KEYS holds keys, with commas between, a request needs one of them. SIGTERM answers
    what was accepted, and ends.

    Examples:

        nearfield serve minilm
        nearfield serve minilm e5=./tuned@int8 judge=./cross-encoder --port 9000
        nearfield serve minilm --collection stdlib
        nearfield serve minilm --port 0 --json     the address as JSON
    """
    from nearfield.errors import TruncationWarning

    require("fastapi", extra="serve")
    from nearfield.serve.app import Access, application
    from nearfield.serve.limits import Limits

    limits = Limits(
        queue_tokens=queue,
        seconds=seconds,
        body_bytes=body * _MB,
        cache_bytes=cache * _MB,
        memory_bytes=None if memory is None else memory * _MB,
    )
    listening = listening_socket(host, port)  # said before models are opened
    served = _models(models, limits, (runtime, precision, device))
    # "" is left out: a request that gives no key would fit it
    keys = tuple(filter(None, os.environ.get(KEYS, "").split(",")))
    app = application(served, Access(keys, strict_roles), _searchable(served, collection))
    url = f"http://{host}:{listening.getsockname()[1]}"
    if json:
        emit_json({"url": url, "models": list(served.by_name)})
    else:
        err.say(f"nearfield serves {', '.join(served.by_name)} at {url}")
    with warnings.catch_warnings():
        # each answer says how many of its texts were cut
        warnings.simplefilter("ignore", TruncationWarning)
        server_of(app, limits).run([listening])


def server_of(app: Any, limits: Limits) -> Any:
    """The uvicorn server of an application, at any free port of this machine unless it is given a
    socket. Raises MissingExtra without uvicorn.
    """
    import asyncio

    uvicorn = require("uvicorn", extra="serve")

    class Server(uvicorn.Server):  # type: ignore[misc, name-defined]
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            # uvicorn gives up the tasks of clients that do not read in time, and leaves their
            # connections open
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            # what abort() does, it does in the loop's next turn
            await asyncio.sleep(0)

    config = uvicorn.Config(
        app,
        port=0,
        log_config=None,
        # the application logs each request itself, in JSON
        access_log=False,
        # longer than clients keep a connection (httpx and the vendors' SDKs 5 s, load balancers
        # 60 s): the side that is about to send must not find it closed
        timeout_keep_alive=75,
        # a client that does not read its answer does not hold up the end for ever
        timeout_graceful_shutdown=math.ceil(limits.body_seconds + limits.seconds) + 1,
    )
    return Server(config)


def listening_socket(host: str, port: int) -> socket.socket:
    """The socket that the server listens at. Raises InputError where it cannot.

    What is written to a connection is sent at once: asyncio sees to that for sockets of its own
    making alone, and an answer's body would otherwise wait some 40 ms for the client to acknowledge
    the headers (Nagle's algorithm).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror}") from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each connection inherits it
    return listening


def _searchable(served: Models, collection: str | None) -> Searchable | None:
    """What /search answers from, if anything."""
    if collection is None:
        return None
    from nearfield.cli.console import progress_bar
    from nearfield.retrieval.searchable import Plan, index

    first = next(iter(served.by_name.values()))
    return index(first.encoder(), collection, plan=Plan(fuse=True), bars=progress_bar)


def _models(specs: list[str], limits: Limits, how: tuple[str, str, str]) -> Models:
    """The models of the specs, the first one open, so that what cannot be served is said now."""
    from nearfield.serve.models import Models, ServedModel

    runtime, precision, device = how
    encoder = partial(open_model, runtime=runtime, precision=precision, device=device)
    reranker = partial(open_reranker, precision=precision, device=device)
    models = [ServedModel(spec, limits, encoder=encoder, reranker=reranker) for spec in specs]
    served = Models(models, limits)
    if models[0].judges:
        models[0].judge()
    else:
        models[0].encoder()
    return served
