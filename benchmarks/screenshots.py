"""Pictures of a report as a page, for the documents: ``python benchmarks/screenshots.py REPORT.html FOLDER FUNCTION BLOCK``.

``report-overview.png`` and ``report-function.png`` (FUNCTION from BLOCK on, with an alignment) are light, ``report-phone.png`` is
dark. Needs Chromium and what ``pip install -e .[page]`` brings.
"""

from __future__ import annotations

import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

SHOTS = {"overview": (1440, 900, "light"), "function": (1440, 1020, "light"), "phone": (390, 844, "dark")}

FIND = """([name, block]) => { const fn = functions.find((f) => f.name === name);
                              visit(href(fn, fn.blocks.find((b) => b.name === block))); }"""


def main(report: str, folder: str, function: str, block: str) -> None:
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    playwright: Any = import_module("playwright.sync_api")
    image: Any = import_module("PIL.Image")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, (width, height, scheme) in SHOTS.items():
            page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
            page.goto(Path(report).resolve().as_uri())
            if name != "overview":
                page.evaluate(FIND, [function, block])
                page.wait_for_selector(".block.here > header")
            if name == "function":
                page.evaluate("document.querySelector('.block.here ~ .block details').open = true")
                page.keyboard.press("]")
            output = Path(folder) / f"report-{name}.png"
            page.screenshot(path=output)
            image.open(output).quantize(256, method=image.Quantize.MEDIANCUT, dither=0).save(output, optimize=True)
            print(output, f"{output.stat().st_size / 1000:.0f} KB")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
