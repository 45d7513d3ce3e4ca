"""Load on the server, on a plain one and on infinity's: throughput and latency, and a soak beyond
capacity.

    python benchmarks/serve.py MODEL --seconds 15 [--infinity PYTHON] --save
    python benchmarks/serve.py MODEL --soak 600

Each row runs one server at a time in a process of its own. Clients send one to eight texts of mixed
lengths (three in four short, some long), each client the next request when it has its answer. Every
answer is checked against the vectors of sentence-transformers for its texts. The soak keeps 1.5
times as many requests per second coming as were answered at 64 clients. How long a refusal takes is
timed in a process of its own, which sends ten requests a second and does nothing else. PYTHON is
that of benchmarks/environments/infinity.txt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import orjson
import psutil
from results import circumstances, parsed, save

HERE = Path(__file__).parent
CLIENTS = (1, 8, 64, 256)
PORT = 9017
URL = f"http://127.0.0.1:{PORT}/v1/embeddings"
WORDS = [
    "late",
    "parcel",
    "return",
    "refund",
    "tax",
    "law",
    "court",
    "music",
    "open",
    "close",
    "file",
    "thread",
    "queue",
    "sun",
    "rain",
    "north",
    "window",
    "bread",
    "water",
    "letter",
    "answer",
    "number",
    "list",
    "query",
    "passage",
    "green",
    "small",
    "red",
]
TEXTS = 600


def texts() -> list[str]:
    """Texts of 3 to 200 words, most of them short."""
    chance = random.Random(0)
    lengths = [chance.choice((4, 8, 16, chance.randint(60, 200))) for _ in range(TEXTS)]
    return [" ".join(chance.choices(WORDS, k=length)) for length in lengths]


INFINITY = (
    "v2 --host 127.0.0.1 --served-model-name m --engine torch --device cpu --dtype float32 "
    "--url-prefix /v1 --no-bettertransformer"
)


def commands(model: str, infinity: str | None = None) -> dict[str, list[str]]:
    """What starts each server; infinity's with the Python that has it."""
    ours = [sys.executable, "-m", "nearfield.cli.app", "serve", f"m={model}", "--cache", "0"]
    plain = [sys.executable, str(HERE / "serve_peer.py"), model]
    servers = {"nearfield": [*ours, "--queue", "4000000"], "plain": plain}
    if infinity:
        script = str(Path(infinity).with_name("infinity_emb"))
        servers["infinity"] = [script, *INFINITY.split(), "--model-id", model]
    return servers


@asynccontextmanager
async def started(words: list[str]) -> AsyncIterator[psutil.Process]:
    """The server's process, once it answers."""
    process = subprocess.Popen(
        [*words, "--port", str(PORT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with httpx2.AsyncClient() as client:
            while True:
                if process.poll() is not None:
                    raise SystemExit(f"{words[:4]} ended at once")
                try:
                    await client.get(f"http://127.0.0.1:{PORT}/health")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


class Load:
    """Sends requests and notes what came: `seconds` of each answer, `refused` likewise, the `worst`
    cosine to the reference, how many answers were `wrong`, and those `lost` by what came instead.
    """

    def __init__(self, client: httpx2.AsyncClient, reference: np.ndarray) -> None:
        self.client, self.reference, self.given = client, reference, texts()
        self.chance = random.Random(1)
        self.seconds: list[float] = []
        self.refused: list[float] = []
        self.done = self.wrong = 0
        self.lost: Counter[str] = Counter()
        self.worst = 1.0

    async def ask(self) -> None:
        places = [self.chance.randrange(TEXTS) for _ in range(self.chance.choice((1, 1, 2, 8)))]
        body = {"model": "m", "input": [self.given[at] for at in places]}
        begun = time.perf_counter()
        try:
            answer = await self.client.post(URL, json=body)
        except httpx2.TransportError as error:
            self.lost[type(error).__name__] += 1
            return
        took = time.perf_counter() - begun
        if answer.status_code == 429:
            self.refused.append(took)
            return
        if answer.status_code != 200:
            self.lost[str(answer.status_code)] += 1
            return
        self.seconds.append(took)
        found = np.array([row["embedding"] for row in orjson.loads(answer.content)["data"]])
        cosines = np.einsum("ij,ij->i", found, self.reference[places])
        cosines /= np.linalg.norm(found, axis=1)
        self.worst = min(self.worst, float(cosines.min()))
        self.wrong += int(cosines.min() < 0.999)
        self.done += len(places)

    async def keep_asking(self, until: float) -> None:
        while time.perf_counter() < until:
            await self.ask()

    def row(self, seconds: float) -> dict[str, Any]:
        p50, p95, p99 = np.percentile(self.seconds or [np.nan], (50, 95, 99)) * 1000
        return {
            "texts_per_second": round(self.done / seconds, 1),
            "p50_ms": round(p50, 1),
            "p95_ms": round(p95, 1),
            "p99_ms": round(p99, 1),
            "worst_cosine": round(self.worst, 6),
            "wrong": self.wrong,
            "lost": self.lost.total(),
            **({"lost_by": dict(self.lost)} if self.lost else {}),
            "refused": len(self.refused),
        }


def unlimited() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.AsyncClient(timeout=300, limits=limits)


async def measured(
    servers: dict[str, list[str]], seconds: float, reference: np.ndarray
) -> list[dict[str, Any]]:
    """A row for each server and number of clients."""
    rows = []
    for clients in CLIENTS:
        for name, words in servers.items():
            async with started(words), unlimited() as client:
                await Load(client, reference).keep_asking(time.perf_counter() + 1)  # warm
                load = Load(client, reference)
                begun = time.perf_counter()
                until = begun + seconds
                await asyncio.gather(*(load.keep_asking(until) for _ in range(clients)))
                row = {"server": name, "clients": clients, **load.row(time.perf_counter() - begun)}
                print(json.dumps(row), flush=True)
                rows.append(row)
    return rows


def refusals(seconds: float) -> list[float]:
    """How many seconds each refusal took, of ten requests a second with one long text each."""
    took: list[float] = []
    long = max(texts(), key=len)

    async def ask(client: httpx2.AsyncClient) -> None:
        begun = time.perf_counter()
        answer = await client.post(URL, json={"model": "m", "input": long})
        if answer.status_code == 429:
            took.append(time.perf_counter() - begun)

    async def ask_all() -> None:
        async with unlimited() as client, asyncio.TaskGroup() as tasks:
            for _ in range(int(seconds * 10)):
                tasks.create_task(ask(client))
                await asyncio.sleep(0.1)

    asyncio.run(ask_all())
    return took


async def soaked(model: str, seconds: float, reference: np.ndarray) -> dict[str, Any]:
    """What a soak found: memory by minute in MB, and the slowest refusals."""
    words = [*commands(model)["nearfield"], "--queue", "16384"]
    prober = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    async with started(words) as process, unlimited() as client:
        load = Load(client, reference)
        begun = time.perf_counter()
        await asyncio.gather(*(load.keep_asking(begun + 5) for _ in range(64)))
        answered = len(load.seconds)
        rate = 1.5 * answered / (time.perf_counter() - begun)
        load = Load(client, reference)
        memory, asked, tasks = [], 0, set()
        probed = asyncio.get_running_loop().run_in_executor(prober, refusals, seconds)
        begun = time.perf_counter()
        while (now := time.perf_counter() - begun) < seconds:
            if now >= len(memory) * 60:
                memory.append(round(process.memory_info().rss / 2**20))
            while asked < now * rate:
                task = asyncio.ensure_future(load.ask())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                asked += 1
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
        memory.append(round(process.memory_info().rss / 2**20))
        refused = np.array(await probed or [0.0]) * 1000
        return {
            "requests_per_second": round(rate, 1),
            "memory_mb": memory,
            "refusal_p50_ms": round(float(np.percentile(refused, 50)), 1),
            "refusal_p99_ms": round(float(np.percentile(refused, 99)), 1),
            "refusals_timed": len(refused),
            **load.row(time.perf_counter() - begun),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--infinity", metavar="PYTHON", help="a Python with infinity_emb[server]")
    parser.add_argument("--soak", type=float, help="seconds at 1.5 times capacity")
    given = parsed(parser)
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(given.model, device="cpu").encode(
        texts(), normalize_embeddings=True
    )
    model = str(Path(given.model).resolve())
    result = circumstances() | {"model": Path(model).name}
    if given.soak:
        name = "serve-soak"
        result["soak"] = asyncio.run(soaked(model, given.soak, reference))
        print(json.dumps(result["soak"], indent=1))
    else:
        name = "serve"
        servers = commands(model, given.infinity)
        result["rows"] = asyncio.run(measured(servers, given.seconds, reference))
    if given.save:
        print(save(f"{name}-{result['model']}", result))


if __name__ == "__main__":
    main()
