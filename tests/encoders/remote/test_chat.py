"""Queries by a model behind an API that fails: nothing is lost or paid twice, the limit is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nearfield.data.open import open_collection
from nearfield.encoders.remote.budget import Budget
from nearfield.encoders.remote.ledger import ANSWERED, LOST, WRONG, entries
from nearfield.errors import BudgetError, InputError, ModelError, VendorError
from nearfield.train.synthesis.chat import LONGEST, read_queries
from nearfield.train.synthesis.gates import GATES
from nearfield.train.synthesis.synthesise import Selection, Synthetic, synthesise
from nearfield.train.synthesis.writer import Order
from vendors import Loopback

WORDS = [
    "heron",
    "glacier",
    "yeast",
    "spooler",
    "comet",
    "harbour",
    "lantern",
    "meadow",
    "gravel",
    "saffron",
]
TEXTS = [f"The {word} of number {at} is kept in drawer {at * 7}." for at, word in enumerate(WORDS)]
ALL = Selection(without=tuple(GATES))
TWO = Order(per_document=2)


def write(
    vendor: Loopback, to: Path, order: Order = TWO, *, selection: Selection = ALL
) -> Synthetic:
    return synthesise(
        TEXTS, to, writer=f"{vendor.url}/compatible/v1#m", order=order, selection=selection,
        price=(1e6, 2e6),  # a dollar for a token read, two for one written
    )  # fmt: skip


def outcomes() -> dict[str, int]:
    found = [entry.outcome for entry in entries()]
    return {name: found.count(name) for name in (ANSWERED, WRONG, LOST)}


def test_a_vendor_that_fails_loses_nothing_and_is_paid_once(
    vendor: Loopback, tmp_path: Path
) -> None:
    vendor.slow = 0.01
    vendor.faults = [
        "429",
        "500",
        "slow",
        "503 html",
        "reset",
        "cut",
        "broken",
        "prose",
        "200 html",
    ]
    with Budget(1e6) as budget:
        made = write(vendor, tmp_path / "a.jsonl")
    assert (made.written, made.unanswered, made.fewer) == (20, 0, 0)
    # all are whole answers, of which two could not be used
    assert outcomes() == {ANSWERED: 10, WRONG: 2, LOST: 4}
    assert len(vendor.texts) == 12
    billed = sum(entry.price or 0.0 for entry in entries() if entry.outcome != LOST)
    assert sum(entry.tokens for entry in entries() if entry.outcome == ANSWERED) > 0
    assert budget.spent > billed, "what may have been billed counts, too"
    vendor.forget()
    again = write(vendor, tmp_path / "b.jsonl")
    assert vendor.bodies == [], "nothing is asked, or paid, again"
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert again.written == 20


def test_what_is_paid_is_what_was_billed_of_each_kind(vendor: Loopback, tmp_path: Path) -> None:
    with Budget(1e6) as budget:
        write(vendor, tmp_path / "a.jsonl")
    read = sum(vendor.count(body["messages"][-1]["content"]) for _, body in vendor.bodies)
    billed = sum(entry.tokens for entry in entries())
    assert budget.spent == pytest.approx(read + 2 * (billed - read))
    assert not any(entry.estimated for entry in entries())


def test_short_answers_are_kept_and_hopeless_ones_end(vendor: Loopback, tmp_path: Path) -> None:
    vendor.faults = ["short", "fenced", *["prose"] * 30]
    made = write(vendor, tmp_path / "a.jsonl")
    assert (made.written, made.unanswered, made.fewer) == (3, 8, 1)
    assert len(vendor.texts) == 2 + 8 * 3
    vendor.faults.clear()
    vendor.forget()
    write(vendor, tmp_path / "b.jsonl")
    assert vendor.bodies == []


def test_a_refused_document_is_left_out_alone(vendor: Loopback, tmp_path: Path) -> None:
    vendor.refuse = "saffron"
    made = write(vendor, tmp_path / "a.jsonl")
    assert (made.written, made.unanswered) == (18, 1)
    vendor.refuse = "drawer"
    with pytest.raises(VendorError, match="refuses each item"):
        write(vendor, tmp_path / "b.jsonl", Order(per_document=1))


def test_the_limit_holds_before_and_while(vendor: Loopback, tmp_path: Path) -> None:
    with (
        pytest.raises(BudgetError, match=r"10 items, .* is more than .*nothing was asked"),
        Budget(5),
    ):
        write(vendor, tmp_path / "a.jsonl")
    assert vendor.bodies == []
    with Budget(1e6):
        write(vendor, tmp_path / "a.jsonl")
    most = max(entry.price or 0.0 for entry in entries())
    vendor.forget()
    # a vendor that is asked again and again, and each time writes prose, ends at the limit
    vendor.faults = ["prose"] * 60
    order = Order(per_document=3)
    limit = 7_000.0
    with pytest.raises(BudgetError, match="are spent"), Budget(limit) as budget:
        write(vendor, tmp_path / "b.jsonl", order)
    assert most < budget.spent <= limit
    assert vendor.faults
    vendor.faults.clear()
    with pytest.raises(BudgetError, match="price of openai:gpt-x is not known"), Budget(limit):
        synthesise(TEXTS, tmp_path / "c.jsonl", writer="openai:gpt-x")


@pytest.mark.parametrize("name", ["openai:gpt-x", "mistral:small"])
def test_vendors_are_asked_in_their_own_words(vendor: Loopback, tmp_path: Path, name: str) -> None:
    order = Order(per_document=2, styles=("a nurse in a hurry", "keywords"), languages=("German",))
    made = synthesise(
        TEXTS, tmp_path / "a.jsonl", writer=name, order=order, selection=ALL, price=(0.1, 0.4)
    )
    assert made.styles == {"a nurse in a hurry, in German": 10, "keywords, in German": 10}
    field = {"openai:gpt-x": "max_completion_tokens"}.get(name, "max_tokens")
    assert {body[field] for _, body in vendor.bodies} == {160}
    assert "1. a nurse in a hurry, in German" in vendor.bodies[0][1]["messages"][-1]["content"]


def test_who_cannot_chat_is_told(vendor: Loopback, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cohere:x: Cohere has no chats here"):
        synthesise(TEXTS, tmp_path / "a.jsonl", writer="cohere:x")
    with pytest.raises(InputError, match="names no model"):
        synthesise(TEXTS, tmp_path / "a.jsonl", writer="http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("content", "texts", "fault"),
    [
        ('{"queries": ["a", " b\\n c ", "d"]}', ["a", "b c"], ""),
        ('Sure! {"queries": ["a"]} Anything else?', ["a"], ""),
        ('{"queries": [1, null, ["x"]]}', [], "holds no query"),
        (f'{{"queries": ["{"x" * (LONGEST + 1)}", "b"]}}', ["b"], ""),
        ('{"queries": ["half \\ud83d"]}', ["half ?"], ""),
        ('{"queries": "a"}', [], "is not the JSON"),
        ("[" * 100_000, [], "is not the JSON"),
        ("", [], "is not the JSON"),
        (None, [], "is no text"),
    ],
)  # fmt: skip
def test_an_answer_is_checked(content: object, texts: list[str], fault: str) -> None:
    queries, said = read_queries(content, order=TWO)
    assert [text for _, text in queries] == texts
    assert said.startswith(fault)
    assert bool(said) == bool(fault)


def test_a_killed_run_goes_on_and_pays_no_answer_twice(vendor: Loopback, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    vendor.slow = 60
    vendor.faults = ["", "", "", "slow", "slow", "slow", "slow"]
    line = [
        "synthesise",
        str(rows),
        "--with",
        f"{vendor.url}/compatible/v1#m",
        "--per-document",
        "2",
    ]
    line += [each for gate in GATES for each in ("--without", gate)]
    line += ["--to", str(tmp_path / "a.jsonl")]
    code = "import sys; from nearfield.cli.app import main; sys.argv = sys.argv[1:]; main()"
    run = subprocess.Popen([sys.executable, "-c", code, "nearfield", *line], env=dict(os.environ))
    while len(vendor.bodies) < 7:
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    paid = list(vendor.texts)
    assert len(paid) == 3
    kept = next((tmp_path / "home" / "queries").glob("*.jsonl"))
    lines = list(filter(None, kept.read_text().splitlines()))
    assert len(lines) == 3
    vendor.forget()
    synthesise(
        open_collection(rows), tmp_path / "a.jsonl", writer=f"{vendor.url}/compatible/v1#m",
        order=TWO, selection=ALL,
    )  # fmt: skip
    assert len(vendor.texts) == 7
    assert set(vendor.texts).isdisjoint(paid)
    synthesise(TEXTS, tmp_path / "b.jsonl", writer=f"{vendor.url}/compatible/v1#m", order=TWO,
               selection=ALL)  # fmt: skip
    assert sorted((tmp_path / "a.jsonl").read_text().splitlines()) == sorted(
        (tmp_path / "b.jsonl").read_text().splitlines()
    )
