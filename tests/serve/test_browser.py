"""The page in a real browser: each thing is clicked, it fits at two widths, and asks this server
alone.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nearfield as nf
from nearfield.evaluate.judging.assessor import Assessor
from nearfield.evaluate.judging.judgements import Judgements
from nearfield.evaluate.judging.pool import pool
from nearfield.retrieval.searchable import Plan
from nearfield.serve.app import Access, application
from nearfield.serve.judging.app import judging_app
from serving import models_of, prompted, running
from towers import images_of_each_kind, tiny_towers

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
DOCUMENTS = ["a cat and a dog", "tax law and the court", "<img src=x onerror=alert(1)> a red song"]
WIDER = """return [...document.querySelectorAll('body *')].filter(node => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.right > innerWidth + 1 && !node.closest('.wide, figure');
}).map(node => `${node.tagName} ${node.id}`)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found, driver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if not found or not driver:
        pytest.skip("neither Chromium nor Chrome with chromedriver is on PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    folder = tmp_path_factory.mktemp("browser")
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    for argument in ("disable-background-networking", "no-first-run", f"user-data-dir={folder}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("page")
    folders = [prompted(home / name, seed=at) for at, name in enumerate(("one", "two"))]
    found = nf.index(folders[0], DOCUMENTS, plan=Plan(fuse=True))
    app = application(models_of(list(map(str, folders))), Access(keys=("sk-page",)), found)
    with running(app) as address:
        yield address


def test_the_page(browser: Any, url: str, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select
    from selenium.webdriver.support.ui import WebDriverWait

    def one(selector: str) -> Any:
        return browser.find_element(By.CSS_SELECTOR, selector)

    def text(selector: str) -> str:
        """Read at once: what is drawn again meanwhile would be stale."""
        return str(
            browser.execute_script(
                "return document.querySelector(arguments[0]).innerText", selector
            )
        )

    def count(selector: str) -> int:
        return len(browser.find_elements(By.CSS_SELECTOR, selector))

    def until(condition: Any) -> None:
        WebDriverWait(browser, 20).until(lambda _: condition())

    browser.set_window_size(1280, 900)
    browser.get(url)
    until(lambda: "key is missing" in text("#matrix-error"))
    one("#key").send_keys("sk-page", Keys.TAB)
    until(lambda: count("#contracts tr") == 3)
    assert text("#matrix-error") == ""
    assert 'query: "query : "' in text("#contracts tr:nth-of-type(2)")
    browser.get_log("browser")  # that the key was missing
    Select(one("#second")).select_by_visible_text("two")
    one("#run").click()
    until(lambda: count("#matrices figure") == 2)
    assert count("#matrices td") == 2 * 16
    assert (one("#dims").get_attribute("value"), text("#dims-out")) == ("32", "32")
    documents = text("#matrices")
    Select(one("#role")).select_by_visible_text("query")
    one("#run").send_keys(Keys.SPACE)
    until(lambda: text("#matrices") != documents)
    cells = [text("#matrices td:nth-of-type(2)")]
    one("#matrices td:nth-of-type(2) button").send_keys(Keys.ENTER)  # which words make it
    until(lambda: count("#words p") == 2)
    assert [
        word.text for word in browser.find_elements(By.CSS_SELECTOR, "#words p:nth-of-type(1) mark")
    ] == ["How", "do", "I", "return", "a", "parcel"]
    one("#dims").send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 3)
    assert text("#dims-out") == "4"
    cells.append(text("#matrices td:nth-of-type(2)"))
    Select(one("#storage")).select_by_visible_text("binary")
    cells.append(text("#matrices td:nth-of-type(2)"))
    assert len(set(cells)) == 3
    one("#explain").send_keys(Keys.SPACE)
    one("#query").send_keys("the court", Keys.ENTER)  # by the keyboard alone
    until(lambda: count("#hits tr") == 4)
    assert "court" in text("#hits tr:nth-of-type(2)")
    assert "court" in text("#hits mark"), "the term that makes the score"
    assert count("#hits img") == 0
    scores = text("#hits tr:nth-of-type(2) td:nth-of-type(3)")
    one("#search-dims").send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 7)
    until(lambda: text("#hits tr:nth-of-type(2) td:nth-of-type(3)") != scores)
    assert text("#search-dims-out") == "8"
    Select(one("#search-storage")).select_by_visible_text("binary")
    until(lambda: any(mark in text("#hits") for mark in "▲▼–"))
    one("#k").clear()
    one("#k").send_keys("1", Keys.ENTER)
    until(lambda: count("#hits tr") == 2)
    one("#texts").clear()
    one("#run").click()
    until(lambda: "no text" in text("#matrix-error"))
    browser.get_log("browser")  # that it was refused
    until(lambda: re.search(r"\d+ tokens/s, \d+ waiting, [1-9]\d* requests", text("#live")))
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
            assert browser.execute_script(WIDER) == []
            browser.save_screenshot(str(tmp_path / f"page-{width}-{scheme}.png"))
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    sent = [
        event["params"]["request"]["url"]
        for event in messages
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [place for place in sent if not place.startswith((url, "data:", "chrome:"))] == []
    said = [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    assert [line for line in said if "favicon" not in line["message"]] == []


def test_results_that_are_images(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    folder = tiny_towers(tmp_path / "clip", "clip")
    documents = ["a red cat", *images_of_each_kind(tmp_path / "images", 3)]
    found = nf.index(folder, documents)
    with running(application(models_of([str(folder)]), found=found)) as address:
        browser.get_log("browser")  # of a page before, whose server is gone
        browser.get(address)
        WebDriverWait(browser, 20).until(lambda _: browser.find_elements(By.ID, "searching"))
        WebDriverWait(browser, 20).until(
            lambda _: browser.find_element(By.ID, "query").is_displayed()
        )
        browser.find_element(By.ID, "query").send_keys("a blue dog", Keys.ENTER)
        WebDriverWait(browser, 20).until(
            lambda _: len(browser.find_elements(By.CSS_SELECTOR, "#hits tr")) == 5
        )
        drawn = "return [...document.querySelectorAll('#hits img')].map(one => one.naturalWidth)"
        WebDriverWait(browser, 20).until(lambda _: all(browser.execute_script(drawn)))
        assert len(browser.execute_script(drawn)) == 3
        assert "data:" not in browser.find_element(By.ID, "hits").text
        # before the server ends, whose metrics the page goes on asking for
        said = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert [line for line in said if "favicon" not in line["message"]] == []


def test_the_page_of_a_judge(browser: Any, tmp_path: Path) -> None:
    """Judged by keys and by clicks, taken back, resumed; nobody else gets in."""
    import urllib.error
    import urllib.request

    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    items = pool(["bm25"], DOCUMENTS, queries=queries(tmp_path), k=3)
    assert len(items) == 4
    judgements = Judgements(tmp_path / "judgements.tsv")

    def text(selector: str) -> str:
        script = "return document.querySelector(arguments[0]).innerText"
        return str(browser.execute_script(script, selector))

    def press(key: str, count: str) -> None:
        browser.find_element(By.TAG_NAME, "body").send_keys(key)
        WebDriverWait(browser, 20).until(lambda _: text("#count") == count)

    def status(address: str, **how: Any) -> int:
        try:
            return int(urllib.request.urlopen(urllib.request.Request(address, **how)).status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    with running(judging_app(Assessor(items, judgements, "anna"), "secret")) as address:
        browser.get_log("performance")
        browser.get(f"{address}/secret/")
        WebDriverWait(browser, 20).until(lambda _: text("#count") == "0 of 4")
        seen = []
        for place, key in enumerate("1010", 1):
            seen.append((text("#query"), text("#text")))
            if place == 2:
                browser.find_element(By.CSS_SELECTOR, "#grades button").click()
                WebDriverWait(browser, 20).until(lambda _: text("#count") == "2 of 4")
                press(Keys.BACKSPACE, "2 of 4")
                WebDriverWait(browser, 20).until(
                    lambda _: (text("#query"), text("#text")) == seen[1]
                )
                pressed = "return document.querySelectorAll('#grades [aria-pressed=true]').length"
                assert browser.execute_script(pressed) == 1
                browser.find_element(By.TAG_NAME, "body").send_keys("0")
                WebDriverWait(browser, 20).until(
                    lambda _: (text("#query"), text("#text")) != seen[1]
                )
                assert text("#count") == "2 of 4"
            else:
                press(key, f"{place} of 4")
        assert seen == [(item.query_text, item.text) for item in items]
        WebDriverWait(browser, 20).until(lambda _: "Everything is judged" in text("#done"))
        for width in (390, 1280):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(f"{address}/secret/")
            assert browser.execute_script(WIDER) == []
        assert browser.execute_script("return document.querySelectorAll('img').length") == 0
        body = {"data": b'{"item": 0, "relevance": 1}'}
        stated = {"Content-Type": "application/json"}
        assert status(f"{address}/wrong/next") == 404
        assert status(f"{address}/secret/next", headers={"Host": "example.org"}) == 400
        other = {**stated, "Origin": "http://example.org"}
        assert status(f"{address}/secret/judge", **body, headers=other) == 403
        assert status(f"{address}/secret/judge", data=b"x" * 2000, headers=stated) == 413
        far = {"data": b'{"item": 9, "relevance": 1}', "headers": stated}
        assert status(f"{address}/secret/judge", **far) == 422
        assert status(f"{address}/secret/judge", **body, headers=stated) == 200
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    sent = [
        event["params"]["request"]["url"]
        for event in messages
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [place for place in sent if not place.startswith((address, "data:", "chrome:"))] == []
    grades = Judgements(judgements.path).by_judge["anna"]
    assert [grades[item.query, item.document] for item in items] == [1, 0, 1, 0]


def queries(folder: Path) -> Path:
    path = folder / "queries.txt"
    path.write_text("the court and a cat\na song and a dog\n")
    return path
