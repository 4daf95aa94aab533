"""The page in headless Chromium, as `check_service.py` and `check_web.py` look at it: what it shows
of the portrait and of a file that is no picture, its width, and whom it asks."""

import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PORTRAIT = ROOT / "assets/astronaut.jpg"
# A phone, and a desk.
VIEWS = [("phone", 390, 844, "dark"), ("desk", 1280, 900, "light")]


def launch(playwright, *arguments):
    """Chromium; it refuses root without that argument."""
    program = shutil.which("chromium")
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *arguments])


def age_of_portrait(dldl):
    """What the command line estimates."""
    records = json.loads(subprocess.check_output([dldl, "estimate", "--format", "json", PORTRAIT]))
    return records[0]["faces"][0]["age"]["value"]


def look(browser, view, address, expected, screenshot=None):
    """Gives the portrait to the page, on a screen of a view; returns the tab and what is wrong."""
    name, width, height, scheme = view
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    tab, problems, addresses = context.new_page(), [], []
    tab.on("pageerror", lambda error: problems.append(f"{name}: script: {error}"))
    tab.on("request", lambda request: addresses.append(request.url))
    tab.goto(address)
    tab.fill("#threshold", "25")
    tab.set_input_files("#files", [PORTRAIT, ROOT / "README.md"])
    tab.wait_for_selector("article:nth-of-type(2) p.error", timeout=120_000)
    tab.wait_for_selector("#rows tr", timeout=60_000)
    shown = float(tab.inner_text("#rows tr td:nth-of-type(3)"))
    if abs(shown - expected) > 0.1:
        problems.append(f"{name}: {shown} years, expected {expected}")
    if "at least 25" not in tab.inner_text("article li"):
        problems.append(f"{name}: no probability of being 25")
    if tab.evaluate("() => document.documentElement.scrollWidth") > width:
        problems.append(f"{name}: the page is wider than the screen")
    if others := [url for url in addresses if not url.startswith((address, "blob:"))]:
        problems.append(f"{name}: requests to {others}")
    # The policy keeps scripts from sending anything elsewhere.
    if tab.evaluate("() => fetch('https://example.com/').then(() => true, () => false)"):
        problems.append(f"{name}: a request to another address was let through")
    if screenshot:
        tab.screenshot(path=screenshot, full_page=True)
    return tab, problems
