"""The explorer's default page in headless Chromium: how long it takes to write, to paint, and to follow a slider.

python benchmarks/explorer.py [explorer.html]

Goals: under 3 MB; first paint under 1 s from disk; verdict and both sides within 16 ms of a move at the 95th
percentile, curves and map within 100 ms. Needs chromium, chromedriver and selenium, and says so where one is missing.
"""

import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from perfmodel import find_hardware, find_model
from perfmodel.report.explorer.page import MACHINES, MODELS, explorer_page

MOVES = 200
QUESTIONS = (
    "#model=llama-3.1-8b&machine=h100-sxm",
    "#model=deepseek-v3&machine=h200-sxm&devices=8&drafter=mtp&draft=2&before=eager&after=megakernel",
)
# Moves a slider; returns the time until the verdict and both sides stand [ms].
MOVE = """
document.querySelector("details").open = true;
const inputs = [...document.querySelectorAll("input[type=range]")].filter((input) => input.clientWidth);
const input = inputs[arguments[0] % inputs.length];
input.value = +input.min + Math.floor(arguments[1] * (input.max - input.min + 1));
window.moved = performance.now();
window.afterwards = new Promise((done) => explorer.whenDrawn(() => done(performance.now() - moved)));
input.dispatchEvent(new Event("input", { bubbles: true }));
document.body.offsetHeight; // layout too
return performance.now() - moved;
"""
# Waits for curves and map; returns the time since the move [ms].
DRAWN = "const done = arguments[0]; afterwards.then(done);"


def percentile(times: tuple[float, ...]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def main() -> None:
    draw = random.Random(7)  # noqa: S311 - moves, not secrets
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if file is None:
        start = time.perf_counter()
        page = explorer_page([find_model(m) for m in MODELS], [find_hardware(h) for h in MACHINES])
        print(f"written in {time.perf_counter() - start:.1f} s ({time.process_time():.1f} s of one processor)")
        file = Path(tempfile.mkdtemp()) / "explorer.html"
        file.write_text(page, encoding="utf-8")
    print(f"size {file.stat().st_size / 1e6:.2f} MB")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.support.ui import WebDriverWait
    except ImportError:
        sys.exit("not measured in a browser: selenium is not installed")
    if not chromium or not driver:
        sys.exit("not measured in a browser: chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1400,2400",
    ):
        options.add_argument(word)
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as browser:
        browser.set_script_timeout(300)
        paints, ready = [], []
        for _ in range(5):
            browser.get("about:blank")
            browser.get(file.resolve().as_uri())
            wait = WebDriverWait(browser, 60, poll_frequency=0.05)
            wait.until(lambda b: b.execute_script("return document.documentElement.dataset.ready"))
            ready.append(browser.execute_script("return explorer.ready"))
            time.sleep(0.3)
            entries = browser.execute_script(
                "return performance.getEntriesByType('paint').map((p) => [p.name, p.startTime])"
            )
            paints.append(dict(entries)["first-contentful-paint"])
        print(f"first paint {statistics.median(paints):.0f} ms, ready {statistics.median(ready):.0f} ms (medians of 5)")
        for question in QUESTIONS:
            browser.execute_script("location.hash = arguments[0]", question)
            time.sleep(0.5)
            print(f"{question}: {MOVES} moves")
            moves = [
                (browser.execute_script(MOVE, number, draw.random()), browser.execute_async_script(DRAWN))
                for number in range(MOVES)
            ]
            for name, times in zip(("verdict and both sides", "curves and map"), zip(*moves, strict=True), strict=True):
                print(
                    f"  {name:24s}median {statistics.median(times):5.1f} ms, 95th percentile "
                    f"{percentile(times):5.1f} ms"
                )


if __name__ == "__main__":
    main()
