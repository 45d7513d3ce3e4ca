"""The pictures of the README and the docs, of real runs: the report at two widths, what a terminal
shows, the page of a comparison at two widths, and the server's page at two widths, light and dark.

    nearfield demo && python docs/pictures.py runs/demo
    python docs/pictures.py page
    python docs/pictures.py comparison

Needs chromium and chromedriver on PATH, and the dev extra.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

PICTURES = Path(__file__).resolve().parent / "pictures"
COMPARED = ["nearfield", "evaluate", "potion-base-8m", "bm25", "--on", "stdlib"]
COMPARED += ["--dims", "256,64", "--dtype", "float32,int8"]
WIDE, PHONE = (1280, 1420), (390, 1500)
TEXTS = (
    ("Returns", "A parcel can be sent back within 30 days of its arrival."),
    ("Late parcels", "When a parcel is late, we refund the postage."),
    ("Opening hours", "Our office opens at nine and closes at five."),
    ("Payment", "We take cards and bank transfers."),
    ("Gift cards", "A gift card is valid for three years."),
    ("Damage", "Send us a picture of what arrived broken, and a new one is on its way."),
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def main(run: Path) -> None:
    browser = _browser()
    try:
        for name, (width, height) in (("report-1280", WIDE), ("report-390", PHONE)):
            browser.get((run / "report.html").resolve().as_uri())
            _shoot(browser, PICTURES / f"{name}.png", width=width, height=height)
        with tempfile.TemporaryDirectory() as folder:
            shown = Path(folder) / "terminal.svg"
            height = _terminal(["nearfield", "demo", "--to", str(run)], shown)
            browser.get(shown.as_uri())
            _shoot(browser, PICTURES / "terminal.png", width=1100, height=height)
    finally:
        browser.quit()


def comparison() -> None:
    """The page of a comparison from its plots on: of potion-base-8m on the standard library."""
    browser = _browser()
    try:
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "page.html"
            subprocess.run([*COMPARED, "--report", str(written)], check=True)
            for (width, height), part in ((WIDE, "inside"), (PHONE, "trade-off")):
                browser.get(f"{written.as_uri()}#{part}")
                _shoot(browser, PICTURES / f"evaluation-{width}.png", width=width, height=height)
    finally:
        browser.quit()


def page() -> None:
    """The server's page after each of its parts was used, with minilm as it is and in int8."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"id": str(at), "title": t, "text": x} for at, (t, x) in enumerate(TEXTS)]
        documents = Path(folder) / "documents.jsonl"
        documents.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        browser = _browser()
        try:
            with _served(["minilm", "int8=minilm@int8", "--collection", str(documents)]) as url:
                browser.get(url)
                _use(browser)
                for width in (1280, 390):
                    for scheme in ("light", "dark"):
                        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
                        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
                        _shoot(browser, PICTURES / f"page-{width}-{scheme}.png", width=width)
        finally:
            browser.quit()


@contextmanager
def _served(words: list[str]) -> Iterator[str]:
    """The address of `nearfield serve` while the block runs. What it says against it stands on
    stderr, and it has two minutes to start.
    """
    start = [sys.executable, "-m", "nearfield.cli.app", "serve", *words, "--port", "0", "--json"]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as server:
        limit = threading.Timer(120, server.kill)
        limit.start()
        try:
            printed = ""
            while "}" not in printed:
                line = server.stdout.readline()
                if not line:
                    sys.exit("nearfield serve ended before it listened")
                printed += line
            limit.cancel()
            yield json.loads(printed)["url"]
        finally:
            limit.cancel()
            server.terminate()


def _use(browser: webdriver.Chrome) -> None:
    """Compare texts, ask for the words that make one similarity, and search."""

    def some(selector: str) -> list[webdriver.remote.webelement.WebElement]:
        return browser.find_elements(By.CSS_SELECTOR, selector)

    def until(selector: str, count: int) -> None:
        WebDriverWait(browser, 60).until(lambda _: len(some(selector)) >= count)

    until("#contracts tr", 3)
    Select(some("#second")[0]).select_by_visible_text("int8")
    some("#run")[0].click()
    until("#matrices figure", 2)
    some("#matrices tr:nth-child(2) td:nth-of-type(2) button")[0].click()
    until("#words mark", 8)
    some("#explain")[0].click()
    Select(some("#search-storage")[0]).select_by_visible_text("binary")
    some("#query")[0].send_keys("may I send back a late parcel?", Keys.ENTER)
    until("#hits mark", 2)


def _browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tempfile.mkdtemp()}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    return webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )


def _shoot(browser: webdriver.Chrome, to: Path, *, width: int, height: int | None = None) -> None:
    """A picture of what the browser shows; as high as the page where no height is given."""

    def size(height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    size(height or 400)
    if height is None:
        size(browser.execute_script("return document.documentElement.scrollHeight"))
    time.sleep(1)  # plots are drawn after the page is loaded
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    to.parent.mkdir(exist_ok=True)
    to.write_bytes(base64.b64decode(shot["data"]))


def _terminal(words: list[str], to: Path) -> int:
    """What the command prints on a terminal of 118 columns, as an SVG; returns its height in pixels
    at a width of 1100.
    """
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": "118", "TERM": "xterm-256color"}
    shown = subprocess.run(
        words, capture_output=True, text=True, check=True, env=environment
    ).stdout
    text = Text.from_ansi(f"$ {' '.join(words)}\n{shown.rstrip()}")
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=118, file=nowhere)
        console.print(text)
        svg = console.export_svg(title="nearfield")
    view = svg.split('viewBox="0 0 ')[1].split('"')[0].split()
    to.write_text(svg, encoding="utf-8")
    return round(1100 * float(view[1]) / float(view[0]))


if __name__ == "__main__":
    asked = (sys.argv[1:] or ["runs/demo"])[0]
    parts = {"page": page, "comparison": comparison}
    parts[asked]() if asked in parts else main(Path(asked))
