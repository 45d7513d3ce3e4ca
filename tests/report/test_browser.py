"""The page in a real browser: it is drawn, it fits, it loads nothing, and text from data does
nothing.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nearfield.report.evaluation.page import write_evaluation
from nearfield.report.page import write_report
from nearfield.types.comparison import Comparison
from nearfield.types.evaluation.look import Look

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
pytest.importorskip("plotly")

BROWSERS, DRIVER = ("chromium", "chromium-browser", "google-chrome", "chrome"), "chromedriver"
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
QUIET += ("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")
WIDTHS = (390, 1280)
# every element, unfolded ones too: the plots' labels and what a scrolling box would hide are among them
WIDER = """document.querySelectorAll('details').forEach(n => { n.open = true; });
    return [...document.querySelectorAll('main *')].filter(n => {
        const box = n.getBoundingClientRect();
        return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
    }).map(n => `${n.tagName} ${n.className.baseVal ?? n.className} ${n.textContent.slice(0, 40)}`)"""
ALERT = "<script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>x</a>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which(DRIVER)
    if not found or not driver:
        pytest.skip(
            "neither Chromium nor Chrome with chromedriver is on PATH; the page is looked "
            "at in a real browser"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(driver)
    opened = webdriver.Chrome(options=options, service=service)
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def report(run_folder: Path) -> Path:
    return write_report(run_folder)


def show(browser: Any, path: Path, *, width: int = 1280, scheme: str = "light") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    wait(lambda: browser.execute_script("return 'drawn' in document.documentElement.dataset"))


def wait(done: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "the page did not get there in time"
        time.sleep(0.05)


def requested(browser: Any) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn_fits_and_loads_nothing(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    show(browser, report, width=width, scheme=scheme)
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    marks = (
        "return [...document.querySelectorAll('[data-plot]')].map(n => "
        "n.querySelectorAll('svg.main-svg path').length)"
    )
    drawn = browser.execute_script(marks)
    assert len(drawn) == 7
    assert min(drawn) > 0
    assert browser.execute_script(WIDER) == []
    assert browser.get_log("browser") == []
    assert [
        url for url in requested(browser) if not url.startswith(("file:", "data:", "blob:"))
    ] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_a_comparison(
    browser: Any, evaluated: tuple[Comparison, Look], tmp_path: Path, width: int
) -> None:
    path = tmp_path / "page.html"
    write_evaluation(path, *evaluated)
    show(browser, path, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    marks = (
        "return [...document.querySelectorAll('[data-plot]')].map(n => "
        "n.querySelectorAll('svg.main-svg path').length)"
    )
    drawn = browser.execute_script(marks)
    assert len(drawn) == 5
    assert min(drawn) > 0
    assert browser.execute_script(WIDER) == []
    plot = "document.querySelector('[data-plot=map]')"
    trace = f"{plot}.data.findIndex((one) => one.customdata.flat().join().includes('alert'))"
    point = f"{plot}.data[{trace}].customdata.findIndex((one) => one[0].includes('alert'))"
    browser.execute_script(
        f"Plotly.Fx.hover({plot}, [{{curveNumber: {trace}, pointNumber: {point}}}])"
    )
    label = "return document.querySelector('[data-plot=map] .hovertext')?.textContent"
    wait(lambda: browser.execute_script(label))
    assert "alert(1)" in browser.execute_script(label)
    assert browser.execute_script("return document.querySelectorAll('img, script').length") == 3
    assert browser.get_log("browser") == []
    assert [
        url for url in requested(browser) if not url.startswith(("file:", "data:", "blob:"))
    ] == []


def luminance(colour: str) -> float:
    channels = [
        int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")
    ]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_have_contrast(browser: Any, report: Path, scheme: str) -> None:
    """WCAG 2.2: 4.5 for text, 3 for the parts of a plot."""
    show(browser, report, scheme=scheme)
    names = ("ink", "muted", "accent", "loss", "gain", "second", "third", "fourth", "fifth")
    script = """const probe = document.body.appendChild(document.createElement('p'));
        const read = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
        return Object.fromEntries(arguments[0].map((name) => [name, read(name)]));"""
    colours = {
        name: luminance(value)
        for name, value in browser.execute_script(
            script, [*names, "paper", "panel", "relevant"]
        ).items()
    }
    for ground in ("paper", "panel", "relevant"):
        ratios = {
            name: (max(colours[name], colours[ground]) + 0.05)
            / (min(colours[name], colours[ground]) + 0.05)
            for name in names
        }
        assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_a_change_of_width_and_of_scheme_draws_again(browser: Any, report: Path) -> None:
    show(browser, report, width=1280)
    colour = "return getComputedStyle(document.querySelector('[data-plot=dev] .js-line')).stroke"
    light = browser.execute_script(colour)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    wait(lambda: browser.execute_script(colour) != light)
    metrics = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wait(
        lambda: browser.execute_script(
            "return document.documentElement.scrollWidth <= innerWidth && innerWidth === 390"
        )
    )


def test_on_paper_it_is_light_and_every_example_is_open(browser: Any, report: Path) -> None:
    show(browser, report, scheme="dark")
    closed = "return document.querySelectorAll('details:not([open])').length"
    before = browser.execute_script(closed)
    assert before > 0
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(closed) == 0
    assert (
        browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    assert (
        max(
            browser.execute_script(
                "return [...document.querySelectorAll('.main-svg')].map(n => n.clientWidth)"
            )
        )
        <= 620
    )
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(closed) == before


def test_hover_shows_the_query(browser: Any, report: Path) -> None:
    show(browser, report)
    hover(browser)
    label = browser.execute_script(
        "return document.querySelector('[data-plot=changes] .hovertext').textContent"
    )
    assert "+1.000  (.000 to 1.000)" in label


def hover(browser: Any) -> None:
    browser.execute_script(
        "Plotly.Fx.hover(document.querySelector('[data-plot=changes]'), "
        "[{curveNumber: 2, pointNumber: 0}])"
    )
    wait(
        lambda: browser.execute_script(
            "return document.querySelectorAll('[data-plot=changes] .hovertext').length"
        )
    )


def test_markup_in_data_does_nothing(
    browser: Any, make_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run", n=40, query=ALERT)
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**about, "model": ALERT, "notes": [ALERT]}))
    show(browser, write_report(folder))
    hover(browser)
    assert (
        browser.execute_script(
            "return document.querySelectorAll('img, a[href^=javascript], script').length"
        )
        == 3
    )
    assert "alert(1)" in browser.execute_script(
        "return document.querySelector('[data-plot=changes] .hovertext').textContent"
    )
    assert (
        browser.execute_script(
            "return document.querySelectorAll('[data-plot=changes] .hovertext a').length"
        )
        == 0
    )
    assert browser.get_log("browser") == []
    assert [
        url for url in requested(browser) if not url.startswith(("file:", "data:", "blob:"))
    ] == []


def test_an_injected_script_would_not_run_either(
    browser: Any, report: Path, tmp_path: Path
) -> None:
    """The policy is the second lock: even text that was put into the page as it stands does
    nothing.
    """
    path = tmp_path / "injected.html"
    injected = (
        "<script>document.title = 'owned'</script><img src='https://example.org/x.png'></main>"
    )
    path.write_text(
        report.read_text(encoding="utf-8").replace("</main>", injected), encoding="utf-8"
    )
    show(browser, path)
    assert browser.title != "owned"
    refused = [entry["message"] for entry in browser.get_log("browser")]
    assert len(refused) == 2
    assert all("Content Security Policy" in message for message in refused)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_that_has_only_begun_fits_too(
    browser: Any, make_run: Callable[..., Path], tmp_path: Path, width: int
) -> None:
    folder = make_run(tmp_path / "run", n=20)
    for path in folder.iterdir():
        if path.name not in ("run.json", "doctor.json"):
            path.unlink()
    show(browser, write_report(folder), width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return document.querySelectorAll('[data-plot]').length") == 0
    assert browser.get_log("browser") == []
