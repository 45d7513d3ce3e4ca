"""What a server must bear: clients that leave, crawl or send rubbish, and ends of all kinds."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from importlib import metadata
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nearfield as nf
from nearfield.serve.app import Access
from nearfield.serve.dialects import DIALECTS
from nearfield.serve.limits import Limits
from serving import models_of, prompted, serving
from vendors import loopback, vector

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
DOCS_URL = "http://localhost:8080"
KEY = {"Authorization": "Bearer sk-tiny"}
PATHS = [
    (dialect.name, f"/{dialect.name}{route.path}")
    for dialect in (DIALECTS[name] for name in DIALECTS)
    for route in dialect.routes
    if route.body is not None
]
FIELDS = [
    "model", "input", "inputs", "texts", "query", "documents", "input_type", "task", "dimensions",
    "output_dimension", "truncate", "embedding_types", "embedding_type", "encoding_format",
    "output_dtype", "normalize", "prompt_name", "top_n", "top_k", "ids", "prompt", "raw_scores",
    "late_chunking", "source_sentence", "sentences", "max_tokens", "truncation_direction",
]  # fmt: skip
WORDS = st.sampled_from(
    ["tiny", "tiny:query", "judge", "a cat", "", "search_query", "float", "int8", "base64", "left"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*FIELDS, "text", "image", "content", "type"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def client(served: Any) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, headers=KEY, timeout=30) as opened:
        yield opened


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([path for _, path in PATHS]),
    body=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6).map(json.dumps)
    | st.text(max_size=20)
    | st.binary(max_size=20),
    named=st.booleans(),
)
def test_no_body_makes_it_fail(
    path: str, body: str | bytes, named: bool, client: httpx2.Client
) -> None:
    if named and isinstance(body, str) and body.startswith("{"):
        body = json.dumps({"model": "tiny", "input": "a", "inputs": "a"} | json.loads(body))
    sent = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    answer = client.post(path, content=sent)
    assert answer.status_code in (200, 400, 404, 413, 422, 424), (path, body, answer.text)
    answer.json()


def test_whatever_the_openapi_page_allows_does_not_make_it_fail(served: Any) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {path for _, path in PATHS} <= {
        f"/{name}{op.path}" for op in operations for name in DIALECTS
    }
    every = st.one_of([operation.as_strategy() for operation in operations])

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(case=every)
    def ask(case: Any) -> None:
        answer = case.call(base_url=served.url, headers=KEY)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    ask()


@pytest.mark.parametrize(("dialect", "path"), PATHS)
def test_rubbish_is_refused_in_the_dialects_own_words(
    dialect: str, path: str, client: httpx2.Client
) -> None:
    for body in (b"", b"{", b"\xff\xfe", b"[1]", b'{"model": NaN}', b'"' + b"[" * 5000):
        answer = client.post(path, content=body)
        assert answer.status_code in (400, 422)
        field = {"openai": "error", "tei": "error", "ollama": "error", "cohere": "message"}
        assert answer.json()[field.get(dialect, "detail")]
    for wrong in ({}, {"Authorization": "Bearer sk-tinz"}, {"x-api-key": "é".encode("latin-1")}):
        with httpx2.Client(base_url=client.base_url) as other:
            assert other.post(path, content=b"{}", headers=wrong).status_code == 401


OPENAI, COHERE, TEI = "/v1/embeddings", "/v2/embed", "/embed"
ASKED = {"model": "tiny:query", "input": "a cat"}
ODD: list[tuple[str, Any, int]] = [
    *((OPENAI, ASKED | {"input": given}, 400) for given in (None, 5, [], [[]], [["a"]], ["a", None])),
    *((OPENAI, ASKED | {"input": given}, 400) for given in ([True], [1.5], [-1], [10**9], ["a"] * 10_000)),
    *((OPENAI, ASKED | {"dimensions": dim}, 400) for dim in (0, -1, 1.5, 1e9, 10**30, "8", True, 33)),
    (OPENAI, ASKED | {"dimensions": None, "encoding_format": None, "extra": 1}, 200),
    (OPENAI, ASKED | {"model": "nope"}, 404),
    (OPENAI, b'{"model": "tiny", "input": "\\ud800"}', 400),
    (OPENAI, b'\xef\xbb\xbf{"model": "tiny", "input": "a"}', 400),
    (OPENAI, gzip.compress(json.dumps(ASKED).encode()), 400),
    (COHERE, {"model": "tiny", "texts": ["a"], "input_type": "nope"}, 400),
    (COHERE, {"model": "tiny", "texts": ["a"] * 97, "input_type": "search_query"}, 400),
    ("/v2/rerank", {"model": "judge", "query": "a", "documents": ["b"], "top_n": 0}, 400),
    ("/voyage/v1/embeddings", {"model": "nope", "input": ["a"]}, 400),
    ("/jina/v1/embeddings", {"model": "tiny", "input": [{"image": "a"}]}, 422),
    (TEI, {"inputs": []}, 422),
    (TEI, {"inputs": ["a"] * 1025}, 413),
    (TEI, {"inputs": "a", "normalize": "no"}, 422),
    ("/predict", {"inputs": []}, 422),
    ("/predict", {"inputs": ["a", "b", "c"]}, 422),
    ("/predict", {"inputs": [["a", "b"], ["c", "d"]]}, 200),
    ("/api/embed", {"model": "tiny", "input": []}, 200),
]  # fmt: skip


def test_odd_requests_have_the_peers_statuses(client: httpx2.Client) -> None:
    for path, body, status in ODD:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = client.post(path, content=sent)
        assert answer.status_code == status, (path, sent[:200], answer.text[:300])
    whole = json.dumps(ASKED).encode()
    for headers in ({"Content-Type": "text/plain"}, {"X-Long": "a" * 30_000}):
        assert client.post(OPENAI, content=whole, headers=headers).status_code == 200
    pieces = (bytes([byte]) for byte in whole)  # sent in chunks
    assert client.post(OPENAI, content=pieces).status_code == 200


def test_a_huge_body_is_refused_before_it_is_read(served: Any, client: httpx2.Client) -> None:
    answer = client.post("/embed", content=b'{"inputs": "' + b"a" * 50_000_000 + b'"}')
    assert answer.status_code == 413
    stated = {**KEY, "Content-Length": str(2**40)}
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as opened:
        lines = [f"{name}: {value}" for name, value in stated.items()]
        opened.sendall(
            ("POST /embed HTTP/1.1\r\nHost: a\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()
        )
        assert opened.recv(100).startswith(b"HTTP/1.1 413")


def test_clients_that_crawl_or_leave_hold_up_nobody(tmp_path: Path) -> None:
    limits = Limits(body_seconds=0.3)
    models = models_of([f"tiny={prompted(tmp_path / 'tiny')}"], limits)
    with serving(models) as url:
        host, port = url.removeprefix("http://").split(":")
        head = b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"
        crawling = [socket.create_connection((host, int(port))) for _ in range(40)]
        for at, opened in enumerate(crawling):
            opened.sendall(head if at % 2 else head[: 20 + at])
        large = json.dumps({"inputs": ["list file read"] * 900}).encode()
        for _ in range(10):
            with socket.create_connection((host, int(port))) as left:
                left.sendall(
                    b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(large)
                )
                left.sendall(large)
        answer = httpx2.post(f"{url}/embed", json={"inputs": "a cat"}, timeout=30)
        assert answer.status_code == 200
        assert crawling[1].recv(100).startswith(b"HTTP/1.1 408")
        for opened in crawling:
            opened.close()
        deadline = time.monotonic() + 20
        while models.by_name["tiny"].waiting and time.monotonic() < deadline:
            time.sleep(0.01)
        assert models.by_name["tiny"].waiting == 0


def test_strict_roles_and_a_folder_that_is_gone(tmp_path: Path) -> None:
    folder = prompted(tmp_path / "tiny")
    gone = prompted(tmp_path / "gone")
    models = models_of([f"tiny={folder}", f"gone={gone}"])
    for file in sorted(gone.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    with serving(models, Access(strict=True)) as url:
        ask = f"{url}/v1/embeddings"
        refused = httpx2.post(ask, json={"model": "tiny", "input": "a"})
        assert refused.status_code == 400
        assert "state query or document" in refused.json()["error"]["message"]
        assert httpx2.post(ask, json={"model": "tiny:query", "input": "a"}).status_code == 200
        for file in sorted(folder.rglob("*.safetensors")):
            file.unlink()  # what is open stays open
        assert httpx2.post(ask, json={"model": "tiny:query", "input": "b"}).status_code == 200
        assert httpx2.post(ask, json={"model": "gone:query", "input": "b"}).status_code == 503


def test_too_much_is_refused_at_once_and_the_rest_is_right(tmp_path: Path) -> None:
    folder = prompted(tmp_path / "tiny")
    model = nf.load(folder)
    models = models_of([f"tiny={folder}"], Limits(queue_tokens=2000, cache_bytes=0))
    texts = [
        [f"cat {at} list {at * 7}" for at in range(start, start + 60)]
        for start in range(0, 900, 60)
    ]
    with serving(models) as url, ThreadPoolExecutor(15) as pool:

        def ask(part: list[str]) -> httpx2.Response:
            body = {"model": "tiny:query", "input": part}
            return httpx2.post(f"{url}/v1/embeddings", json=body, timeout=60)

        answers = list(pool.map(ask, texts))
    for part, answer in zip(texts, answers, strict=True):
        assert answer.status_code in (200, 429)
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) >= 1
            continue
        found = [row["embedding"] for row in answer.json()["data"]]
        np.testing.assert_allclose(found, np.asarray(model.encode(part, "query")), atol=2e-6)
    assert any(answer.status_code == 200 for answer in answers)


def test_models_are_closed_to_make_room(tmp_path: Path) -> None:
    folders = [prompted(tmp_path / name, seed=at) for at, name in enumerate(("one", "two"))]
    models = models_of([str(folder) for folder in folders])
    one = models.by_name["one"]
    limits = Limits(memory_bytes=one.size + 10)
    models = models_of([str(folder) for folder in folders], limits)
    with serving(models) as url:
        for name in ("one", "two", "one"):
            body = {"model": f"{name}:query", "input": "a cat"}
            assert httpx2.post(f"{url}/v1/embeddings", json=body).status_code == 200
            assert httpx2.get(f"{url}/ready").json()[name] is True
            assert sum(httpx2.get(f"{url}/ready").json().values()) == 1
        own = [nf.load(folder) for folder in folders]

        def ask(at: int) -> None:  # under load, each has to make room for the other all the time
            texts = [f"cat {at % 7}", f"list {at}"]
            body = {"model": f"{('one', 'two')[at % 2]}:query", "input": texts}
            answer = httpx2.post(f"{url}/v1/embeddings", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            found = [row["embedding"] for row in answer.json()["data"]]
            np.testing.assert_allclose(found, own[at % 2].encode(texts, "query"), atol=2e-6)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(60)))


def test_a_model_that_is_being_opened_takes_its_room(tmp_path: Path) -> None:
    folders = [prompted(tmp_path / name, seed=at) for at, name in enumerate(("one", "two"))]
    size = models_of([str(folders[0])]).by_name["one"].size
    models = models_of([str(folder) for folder in folders], Limits(memory_bytes=size + 10))
    one, two = models.by_name.values()
    reading, read, asked = Event(), Event(), Event()

    def slowly() -> Any:
        reading.set()
        assert read.wait(60)
        return one.encoder()

    def second() -> Any:
        asked.set()
        return models.opened(two, two.encoder)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(models.opened, one, slowly)
        assert reading.wait(60)
        then = pool.submit(second)
        assert asked.wait(60)
        assert not wait([then], timeout=0.5).done, "it would be in memory beside the first"
        read.set()
        first.result(60)
        then.result(60)
    assert [one.open, two.open] == [False, True]


@contextmanager
def command(*models: str, before: str = "", home: Path) -> Iterator[tuple[Any, str]]:
    """`nearfield serve` in a process of its own, which `before` is run in first, and its address."""
    code = f"{before}\nfrom nearfield.cli.app import main; main()"
    words = [sys.executable, "-c", code, "serve", *models, "--port", "0", "--json"]
    environment = os.environ | {"NEARFIELD_HOME": str(home)}
    with (
        open(home / "said", "a", encoding="utf-8") as said,
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=said, text=True, env=environment
        ) as process,
    ):
        try:
            assert process.stdout is not None
            printed = ""
            while "}" not in printed:
                assert process.poll() is None, (home / "said").read_text(encoding="utf-8")
                printed += process.stdout.readline()
            yield process, json.loads(printed)["url"]
        finally:
            process.kill()


async def loaded(url: str, number: int, *, process: Any) -> list[tuple[int, int]]:
    """The status and the number of vectors of each of 8 requests; the process gets the signal when
    the first is answered. (0, 0) stands for a connection that broke.
    """
    first = asyncio.Event()

    async def ask(client: httpx2.AsyncClient, at: int) -> tuple[int, int]:
        body = {"model": "minilm:query", "input": [f"{at} list file {n}" for n in range(300)]}
        try:
            answer = await client.post(f"{url}/v1/embeddings", json=body)
        except httpx2.TransportError:
            return 0, 0
        first.set()
        return answer.status_code, len(answer.json().get("data", ()))

    async with httpx2.AsyncClient(timeout=60) as client:
        asking = [asyncio.ensure_future(ask(client, at)) for at in range(8)]
        await first.wait()
        process.send_signal(number)
        return await asyncio.gather(*asking)


def assert_kept_longer_than_clients_do(url: str) -> None:
    """A connection answers again after 5 s, when httpx and with it the vendors' SDKs let go of it:
    had the server closed it, a request that was just being sent would be lost.
    """
    with closing(http.client.HTTPConnection(url.removeprefix("http://"))) as connection:
        for pause in (5.5, 0):
            connection.request("GET", "/health")
            assert connection.getresponse().read()
            connection.auto_open = 0
            time.sleep(pause)


def not_installed_by(requirement: str) -> set[str]:
    """The modules here that `pip install REQUIREMENT` does not bring."""
    brought: set[str] = set()
    waiting = [Requirement(requirement)]
    while waiting:
        wanted = waiting.pop()
        key = canonicalize_name(wanted.name)
        known = metadata.metadata(key).get_all("Provides-Extra") or []
        assert {each.lower() for each in wanted.extras} <= {each.lower() for each in known}, wanted
        brought.add(key)
        for line in metadata.requires(key) or []:
            needed = Requirement(line)
            extras = ["", *wanted.extras]
            fits = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            )
            if fits and canonicalize_name(needed.name) not in brought:
                assert needed.specifier.contains(metadata.version(needed.name), prereleases=True)
                waiting.append(needed)
    return {
        module
        for module, names in metadata.packages_distributions().items()
        if not brought & {canonicalize_name(name) for name in names}
    }


ONLY_THESE = """
import importlib.util, sys
found = importlib.util.find_spec
def find(name, package=None):
    return None if name.partition(".")[0] in BLOCKED else found(name, package)
importlib.util.find_spec = find
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
SMALL_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
"""


def test_a_full_disk_kill_9_and_sigterm_under_load(tmp_path: Path, repository: Path) -> None:
    """The three lines of docs/serve.md, at a free port and with a tiny model, where nothing but what
    the first of them installs can be imported, and a vendor's model beside it. What the vendor said is answered though its cache cannot be written, and what was kept
    before a kill -9 is not asked for again; SIGTERM answers what was accepted.
    """
    folder = prompted(tmp_path / "tiny")

    def ask(url: str, texts: list[str]) -> None:
        body = {"model": "paid", "input": texts}
        answer = httpx2.post(f"{url}/v1/embeddings", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        found = [row["embedding"] for row in answer.json()["data"]]
        np.testing.assert_allclose(found, [vector(text, None, 384) for text in texts], atol=1e-6)

    with loopback() as vendor:
        models = f"minilm={folder}", f"paid={vendor.url}/openai/v1#minilm"
        parts = [[f"text {at} {n}" for n in range(20)] for at in range(8)]
        page = (repository / "docs" / "serve.md").read_text(encoding="utf-8")
        install, start, run = page.partition("```bash\n")[2].partition("```")[0].splitlines()
        assert (start, run) == ("nearfield serve minilm", "python ask.py")
        words = shlex.split(install)
        assert words[:2] == ["pip", "install"]
        only = f"BLOCKED = {not_installed_by(words[2])!r}{ONLY_THESE}{SMALL_FILES}"
        with command(*models, before=only, home=tmp_path) as (process, url):
            ask_py = page.partition("```py\n")[2].partition("```")[0].replace(DOCS_URL, url)
            done = subprocess.run([sys.executable, "-c", ask_py], capture_output=True, text=True)
            assert (done.stdout, done.returncode) == ("32\n", 0), done.stderr
            for part in parts:
                ask(url, part)
            answers = asyncio.run(loaded(url, signal.SIGKILL, process=process))
            assert {(200, 300), (0, 0)} >= set(answers)
        assert "answers are not kept" in (tmp_path / "said").read_text(encoding="utf-8")
        asked = len(vendor.texts)
        with command(*models, home=tmp_path) as (process, url):
            ask(url, parts[0])
            assert len(vendor.texts) == asked
            ask(url, parts[-1])  # which found no room
            ask(url, parts[-1])
            assert len(vendor.texts) == asked + 20
            assert_kept_longer_than_clients_do(url)
            answers = asyncio.run(loaded(url, signal.SIGTERM, process=process))
            assert answers == [(200, 300)] * 8
            assert process.wait(30) in (0, -signal.SIGTERM)
