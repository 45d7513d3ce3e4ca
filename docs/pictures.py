"""The README's pictures, of a real run: the report at two widths, and what the terminal shows.

    nearfield demo && python docs/pictures.py runs/demo

Needs chromium and chromedriver on PATH, and the dev extra.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text
from selenium import webdriver

PICTURES = Path(__file__).resolve().parent / "pictures"
WIDE, PHONE = (1280, 1420), (390, 1500)
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
            _shoot(
                browser, run / "report.html", PICTURES / f"{name}.png", width=width, height=height
            )
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "terminal.svg"
            height = _terminal(["nearfield", "demo", "--to", str(run)], page)
            _shoot(browser, page, PICTURES / "terminal.png", width=1100, height=height)
    finally:
        browser.quit()


def _browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tempfile.mkdtemp()}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    return webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )


def _shoot(browser: webdriver.Chrome, page: Path, to: Path, *, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.resolve().as_uri())
    time.sleep(1)  # the plots are drawn after the page is loaded
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
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
