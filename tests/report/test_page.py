from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nearfield.errors import InputError, MissingExtra
from nearfield.report.evaluation.page import evaluation_page
from nearfield.report.facts import read_run
from nearfield.report.page import render, write_report
from nearfield.types.comparison import Comparison
from nearfield.types.evaluation.look import Look

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


class Page(HTMLParser):
    """The page's elements with their attributes, its text outside scripts, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts, self._inside = "", [], ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data


@pytest.fixture(scope="module")
def page(run_folder: Path) -> Page:
    return Page(write_report(run_folder).read_text(encoding="utf-8"))


def test_it_is_one_file_that_loads_nothing(page: Page) -> None:
    loaders = {"src", "srcset", "data", "poster", "action"}
    assert [element for element in page.elements if loaders & set(element[1])] == []
    links = [
        attributes.get("href") or "" for _, attributes in page.elements if "href" in attributes
    ]
    assert [link for link in links if not link.startswith(("#", "data:"))] == []
    assert "@import" not in (
        style := Path(sys.modules[render.__module__].__file__ or "")
        .with_name("page.css")
        .read_text()
    )
    assert "url(" not in style


def test_its_policy_lets_only_its_own_scripts_run(page: Page) -> None:
    policy = (
        next(
            attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes
        )
        or ""
    )
    figures, packed, js = page.scripts
    scripts = (zlib.decompress(base64.b64decode(packed)).decode(), js)
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    assert policy.startswith("default-src 'none'; ")
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert len(json.loads(figures)) == 7
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_it_is_light(run_folder: Path, evaluated: tuple[Comparison, Look]) -> None:
    assert len(render(read_run(run_folder)).encode()) < 3_000_000
    assert len(evaluation_page(*evaluated).encode()) < 3_000_000


def test_the_page_of_a_comparison_has_every_part(evaluated: tuple[Comparison, Look]) -> None:
    comparison, look = evaluated
    page = Page(evaluation_page(comparison, look))
    drawn = [
        attributes["data-plot"] for _, attributes in page.elements if "data-plot" in attributes
    ]
    assert drawn == ["forest", "bytes", "ms", "histograms", "map"]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert [tag for tag, _ in page.elements if tag == "img"] == []
    shown = comparison.decision
    assert shown
    assert shown.trade_off
    for name in shown.trade_off.frontier:
        assert name in page.text
    values = [
        float(attributes["title"] or "")
        for _, attributes in page.elements
        if (attributes.get("class") or "").startswith("part ")
    ]
    assert sum(values) == pytest.approx(sum(each.score for each in look.attributed), abs=0.01)
    bare = Page(evaluation_page(replace(comparison, decision=None)))
    assert "There is no map" in bare.text


def test_headings_follow_each_other(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_each_plot_says_in_words_what_it_shows(page: Page) -> None:
    drawn = [attributes for _, attributes in page.elements if "data-plot" in attributes]
    assert [one["data-plot"] for one in drawn] == [
        "forest",
        "sizes",
        "loss",
        "dev",
        "merge_dev",
        "merge_guards",
        "changes",
    ]
    assert all(one["role"] == "img" and len(one["aria-label"] or "") > 30 for one in drawn)


def test_each_table_can_be_reached_by_keyboard_and_has_headers(page: Page) -> None:
    boxes = [
        attributes
        for _, attributes in page.elements
        if "scroll" in (attributes.get("class") or "").split()
    ]
    assert len(boxes) == sum(tag == "table" for tag, _ in page.elements) == 6
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")


def test_it_says_the_verdict_first_then_the_numbers(page: Page, run_folder: Path) -> None:
    text = " ".join(page.text.split())
    order = [
        "The tuned model is better.",
        "tuned minus base",
        "Guard pydoc-topics",
        "Use the tuned model.",
        "Comparison",
        "Quality and size",
    ]
    order += [
        "Training",
        "Merge",
        "Query by query",
        "Examples",
        "Gained most",
        "Lost most",
        "Data",
        "Reproduce",
        "nearfield tune minilm",
    ]
    places = [text.find(one) for one in order]
    assert -1 not in places
    assert places == sorted(places)
    verdict = json.loads((run_folder / "verdict.json").read_text())
    assert f"+.{round(verdict['difference']['mean'] * 1000):03d}" in text
    assert "on 812 queries" in text


MISSING = [
    ("comparison.json", "no comparison.json"),
    ("storage.json", "no storage.json"),
    ("training.jsonl", "no training.jsonl"),
    ("merge.json", "no merge.json"),
    ("queries.json", "no queries.json"),
    ("examples.json", "no examples.json"),
    ("doctor.json", "no doctor.json"),
    ("verdict.json", "No verdict yet"),
    ("recipe.json", "Not recorded."),
    ("environment.json", "Not recorded."),
]


@pytest.mark.parametrize(("file", "line"), MISSING)
def test_a_missing_part_is_said_to_be_missing(
    make_run: Callable[..., Path], tmp_path: Path, file: str, line: str
) -> None:
    folder = make_run(tmp_path / "run", n=20)
    assert line not in Page(render(read_run(folder))).text
    (folder / file).unlink()
    assert line in Page(render(read_run(folder))).text


def test_a_run_that_has_only_begun(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n=20)
    for path in folder.iterdir():
        if path.name != "run.json":
            path.unlink()
    page = Page(render(read_run(folder)))
    assert "No verdict yet" in page.text
    assert json.loads(page.scripts[0]) == {}


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_other_outcomes(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n=20)
    edit(
        folder / "verdict.json",
        lambda verdict: {**verdict, "outcome": "no difference shown", "p": 0.31, "forgotten": []},
    )
    page = Page(render(read_run(folder)))
    assert "No difference was shown: the test is too small to decide." in page.text
    assert "give it at least 30." in page.text
    assert "This run had no guard" in page.text
    edit(folder / "doctor.json", lambda findings: [])
    edit(folder / "verdict.json", lambda verdict: {**verdict, "outcome": "worse"})
    page = Page(render(read_run(folder)))
    assert "The tuned model is worse." in page.text
    assert "Keep the base model." in page.text
    assert "The doctor found nothing to fix." in page.text
    edit(folder / "verdict.json", lambda verdict: {**verdict, "outcome": "grand"})
    with pytest.raises(InputError, match="grand"):
        render(read_run(folder))


NASTY = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u2028 {{ 7 * 7 }} $accent %{x}"
)


def test_text_from_data_is_text(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n=20, query=NASTY)
    edit(
        folder / "run.json",
        lambda run: {**run, "model": NASTY, "collection": NASTY, "notes": [NASTY]},
    )
    edit(
        folder / "doctor.json",
        lambda findings: [
            {**one, "example": NASTY, "check": NASTY, "severity": NASTY} for one in findings
        ],
    )
    edit(folder / "merge.json", lambda rows: [{**row, "guards": {NASTY: 0.5}} for row in rows])
    edit(folder / "recipe.json", lambda recipe: {NASTY: NASTY})
    edit(
        folder / "comparison.json",
        lambda found: {
            **found,
            "rows": [{**row, "name": NASTY, "letters": NASTY} for row in found["rows"]],
        },
    )
    edit(
        folder / "storage.json",
        lambda found: {
            **found,
            "rows": [{**row, "name": NASTY, "model": NASTY} for row in found["rows"]],
        },
    )
    text = render(read_run(folder))
    page = Page(text)
    assert len(page.scripts) == 3
    assert not any("alert(1)" in script for script in page.scripts[1:])
    assert [
        attributes for tag, attributes in page.elements if tag == "img" or "onerror" in attributes
    ] == []
    assert html.unescape(NASTY.split()[0]) in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "\u2028" not in page.scripts[0]
    assert json.loads(page.scripts[0])["forest"]


def test_numbers_that_are_not_finite_are_left_out(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run", n=20)
    edit(
        folder / "merge.json",
        lambda rows: [{**row, "guards": {"pydoc-topics": float("nan")}} for row in rows],
    )
    figures = json.loads(Page(render(read_run(folder))).scripts[0])
    assert figures["merge_guards"]["data"][0]["y"] == [None] * 5


def test_a_missing_extra_has_its_pip_line(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtra, match=r"nearfield\[report\]"):
        render(read_run(run_folder))


def test_the_first_table_holds_the_main_measures_and_the_rest_is_behind(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run", n=20)
    more = {"P@10": 0.1, "Success@10": 0.9}
    edit(
        folder / "comparison.json",
        lambda found: {
            **found,
            "rows": [{**row, "means": row["means"] | more} for row in found["rows"]],
        },
    )
    text = render(read_run(folder))
    first, behind = text.index(">R@100</th>"), text.index("<summary>More measures</summary>")
    assert first < behind < text.index(">P@10</th>") < text.index(">storage</th>")
