"""A vendor on loopback that speaks every wire format, bills what it answers, and fails as planned."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from nearfield.types.arrays import Floats

KEY = "sk-loopback-0123456789"
DIMS = {
    "text-embedding-3-small": 1_536,
    "embed-english-v3.0": 1_024,
    "voyage-3-large": 1_024,
    "voyage-multimodal-3": 1_024,
    "embed-v4.0": 1_536,
    "gemini-embedding-001": 3_072,
    "mistral-embed": 1_024,
    "jina-embeddings-v3": 1_024,
    "jina-clip-v2": 1_024,
    "nomic-embed-text-v1.5": 768,
    "all-minilm": 384,
    "minilm": 384,
}
PASSING = ("429", "500", "503 html", "cut", "reset", "slow", "200 html")
"""Faults that an answer follows when the request is sent again."""
WRONG = ("short", "dim", "nan", "zero", "strings")
"""Answers, which are billed, of which some or all cannot be used."""


def vector(text: str, role: str | None, dim: int) -> Floats:
    """(dim,) float32 of unit length: what every vendor here says of a text in a role."""
    seed = hashlib.blake2b(f"{role}|{text}".encode(), digest_size=8).digest()
    drawn = np.random.default_rng(int.from_bytes(seed)).standard_normal(dim)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def relevance(query: str, document: str) -> float:
    """What every reranker here says: the share of the query's words that the document has."""
    words = query.lower().split()
    return sum(word in document.lower().split() for word in words) / len(words)


class Loopback:
    """`faults` are taken by the requests in turn; `answered` are the texts of each whole answer,
    `billed` their tokens by `count`, `bodies` all that was sent, `waits` when each request came.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.lock = threading.Lock()
        self.forget()
        self.count = lambda text: len(text.split())
        self.slow = 1.0
        self.refuse = ""
        self.url = ""

    def forget(self) -> None:
        self.answered: list[list[str]] = []
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.billed = 0
        self.at_once = self.most_at_once = 0

    @property
    def texts(self) -> list[str]:
        return [text for texts in self.answered for text in texts]

    def reply(self, path: str, body: dict[str, Any]) -> tuple[Any, list[str]]:
        """The answer and the texts that it is about."""
        vendor, _, rest = path.strip("/").partition("/")
        if rest.endswith("chat/completions"):
            return self.written(body)
        if rest.endswith("rerank"):
            return self.reranked(vendor, body)
        texts, role, dim, model = read(vendor, rest, body)
        vectors = [vector(text, role, dim or DIMS.get(model, 24)) for text in texts]
        return shape(vendor, vectors, body, sum(map(self.count, texts))), texts

    def written(self, body: dict[str, Any]) -> tuple[Any, list[str]]:
        """Queries of the document that stands last in the chat: its words, one after the other; of
        a query and a document, how relevant it is, from 0 to 2.
        """
        asked = body["messages"][-1]["content"]
        if asked.startswith("Query: "):
            query, _, document = asked.removeprefix("Query: ").partition("\n\nDocument: ")
            content = str(round(2 * relevance(query, document)))
        else:
            count = int(asked.split(maxsplit=2)[1])
            document = asked.rpartition("Document:\n")[2]
            queries = [
                f"query {at} about {' '.join(document.split()[at:][:4])}" for at in range(count)
            ]
            content = json.dumps({"queries": queries})
        read, wrote = self.count(asked), self.count(content)
        usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
        message = {"role": "assistant", "content": content}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {"id": "chat-1", "object": "chat.completion", "created": 0, "model": "m"}
        return answer | {"choices": choices, "usage": usage}, [document]

    def reranked(self, vendor: str, body: dict[str, Any]) -> tuple[Any, list[str]]:
        texts, query = body.get("documents", body.get("texts")), body["query"]
        name = "score" if vendor == "tei" else "relevance_score"
        rows = [{"index": at, name: relevance(query, text)} for at, text in enumerate(texts)]
        rows.sort(key=lambda row: -row[name])
        tokens = sum(self.count(query) + self.count(text) for text in texts)
        usage = {"usage": {"total_tokens": tokens}}
        billed = {"meta": {"billed_units": {"search_units": 1}}}
        by_vendor = {
            "tei": rows,
            "voyage": {"data": rows, **usage},
            "cohere": {"results": rows, **billed},
            "jina": {"results": rows, **usage},
        }
        return by_vendor[vendor], [f"{query}|{text}" for text in texts]


def read(
    vendor: str, rest: str, body: dict[str, Any]
) -> tuple[list[str], str | None, int | None, str]:
    """The texts, the role, the dim and the model of a request, as its vendor calls them."""
    if vendor == "gemini":
        first = body["requests"][0]
        texts = [each["content"]["parts"][0]["text"] for each in body["requests"]]
        return texts, first["taskType"], first.get("outputDimensionality"), first["model"][7:]
    names = ("input", "texts", "images", "inputs")
    items = next(body[name] for name in names if body.get(name))
    texts = [given if isinstance(given, str) else part_of(given) for given in items]
    role = body.get("input_type") or body.get("task") or body.get("task_type")
    names = ("dimensions", "output_dimension", "dimensionality")
    dim = next((body[name] for name in names if name in body), None)
    return texts, role, dim, body.get("model", "minilm")


def part_of(given: dict[str, Any]) -> str:
    """The text of an input, or what an image is sent as."""
    if "image" in given:
        return str(given["image"])
    (part,) = given["content"]
    found = part[part["type"]]
    return str(found["url"] if isinstance(found, dict) else found)


def shape(vendor: str, vectors: Sequence[Floats], body: dict[str, Any], tokens: int) -> Any:
    """The vectors as the vendor sends them."""
    plain = [each.tolist() for each in vectors]
    if vendor == "gemini":
        return {"embeddings": [{"values": each} for each in plain]}
    if vendor == "cohere":
        billed = {"billed_units": {"input_tokens": tokens}}
        return {"id": "req-co", "embeddings": {"float": plain}, "texts": [], "meta": billed}
    if vendor == "nomic":
        return {"embeddings": plain, "usage": {"total_tokens": tokens}}
    if vendor == "ollama":
        return {"embeddings": plain, "prompt_eval_count": tokens}
    if vendor == "tei":
        return plain
    if body.get("encoding_format") == "base64":
        plain = [base64.b64encode(each.tobytes()).decode() for each in vectors]
    data = [
        {"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(plain)
    ]
    return {"object": "list", "data": data, "usage": {"total_tokens": tokens}}


def rows_of(answer: Any) -> Any:
    """The list of vectors in an answer of any shape."""
    if isinstance(answer, list):
        return answer
    found = answer.get("data", answer.get("results", answer.get("embeddings")))
    return found["float"] if isinstance(found, dict) else found


def spoil(answer: Any, fault: str) -> None:
    """Make the answer a wrong one, in its second item where it is about one."""
    if "choices" in answer:
        spoil_chat(answer["choices"][0]["message"], fault)
        return
    rows = rows_of(answer)
    if fault == "shuffled":
        random.Random(0).shuffle(rows)
    elif fault == "short":
        rows.pop()
    else:
        row = rows[1 % len(rows)]
        where: Any = row if isinstance(row, dict) else None
        name = next((name for name in ("embedding", "values") if where and name in row), "")
        found = row[name] if name else row
        if isinstance(found, str):
            found = np.frombuffer(base64.b64decode(found), "<f4").tolist()
        spoilt: list[Any] = list(found)
        if fault == "dim":
            spoilt = spoilt[:5]
        elif fault == "nan":
            spoilt[3] = float("nan")
        elif fault == "zero":
            spoilt = [0.0] * len(spoilt)
        else:
            spoilt = ["x"] * len(spoilt)
        if name:
            row[name] = spoilt
        else:
            rows[1 % len(rows)] = spoilt


def spoil_chat(message: dict[str, Any], fault: str) -> None:
    """Make what was written another: with a query less, in a fence, cut off, or no JSON."""
    whole = message["content"]
    if fault == "prose":
        message["content"] = "I would rather not."
        return
    fewer = json.dumps({"queries": [*json.loads(whole)["queries"][:1], None, "", "x" * 900]})
    message["content"] = {
        "short": fewer,
        "fenced": f"Here you are:\n```json\n{whole}\n```\nMore?",
        "broken": whole[:-9],
    }[fault]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vendor: Loopback

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        vendor = self.vendor
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with vendor.lock:
            vendor.bodies.append((self.path, body))
            vendor.keys.add(self.headers.get("Authorization") or self.headers.get("x-goog-api-key"))
            fault = vendor.faults.pop(0) if vendor.faults else ""
            vendor.at_once += 1
            vendor.most_at_once = max(vendor.most_at_once, vendor.at_once)
        try:
            self._answer(body, fault)
        finally:
            with vendor.lock:
                vendor.at_once -= 1

    def _answer(self, body: dict[str, Any], fault: str) -> None:
        vendor = self.vendor
        if fault == "slow":
            time.sleep(vendor.slow)
        if fault in ("slow", "reset"):
            self.close_connection = True
            return
        if fault == "429":
            self._send(
                429, {"detail": "slow down", "message": "slow down"}, {"Retry-After": "0.01"}
            )
            return
        if fault.startswith("4") or fault == "500":
            said = f"no: {self.headers.get('Authorization')}"
            self._send(int(fault), {"detail": said, "message": said, "error": {"message": said}})
            return
        if fault.endswith("html"):
            self._raw(int(fault[:3]), b"<html><body>Bad gateway</body></html>", "text/html")
            return
        answer, texts = vendor.reply(self.path, body)
        if vendor.refuse and any(vendor.refuse in text for text in texts):
            said = "an input is not allowed"
            self._send(400, {"detail": said, "message": said, "error": {"message": said}})
            return
        if fault == "cut":
            self._raw(200, json.dumps(answer).encode()[:-20], "application/json")
            return
        if fault:
            spoil(answer, fault)
        with vendor.lock:
            vendor.answered.append(texts)
            vendor.billed += sum(map(vendor.count, texts))
        self._send(200, answer)

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), "application/json", headers or {})

    def _raw(
        self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        stated = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "x-request-id": "req-7",
        }
        for name, value in {**stated, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def loopback() -> Iterator[Loopback]:
    """The vendor, served while the context is open."""
    vendor = Loopback()
    handler = type("Bound", (Handler,), {"vendor": vendor})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    vendor.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
