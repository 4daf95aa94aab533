"""Checks `dldl serve` from outside: its description of itself by schemathesis, and its page in
headless Chromium.

    python3 tools/check_service.py --dldl target/release/dldl [--screenshots FOLDER]

Needs schemathesis and playwright, and the program chromium. Exits with 1 if something is wrong."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
PORTRAIT = ROOT / "assets/astronaut.jpg"
# A phone, and a desk.
VIEWS = [("phone", 390, 844, "dark"), ("desk", 1280, 900, "light")]


def start(dldl):
    """The service on a free port, and its address."""
    process = subprocess.Popen([dldl, "serve", "--listen", "127.0.0.1:0", "--log", "none"],
                               stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    found = re.search(r"http://\S+", line)
    if not found:
        raise SystemExit(f"the service does not start: {line}{process.stderr.read()}")
    return process, found.group()


def description(address):
    """Whether requests made from the description are answered as it says."""
    runner = pathlib.Path(sys.executable).with_name("schemathesis")
    # Bytes that are no picture fit the description and are refused; and a text that is sent as a
    # part is a picture that cannot be used. So these two checks have no answer here.
    without = "positive_data_acceptance,negative_data_rejection"
    command = [runner, "run", f"{address}/openapi.json", "--max-examples", "40", "--seed", "1",
               "--exclude-checks", without]
    return subprocess.run(command, check=False).returncode == 0


def page(dldl, address, screenshots):
    """Whether the page shows what the command line estimates, and asks nobody else."""
    records = json.loads(subprocess.check_output([dldl, "estimate", "--format", "json", PORTRAIT]))
    expected = records[0]["faces"][0]["age"]["value"]
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, width, height, scheme in VIEWS:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            tab = context.new_page()
            tab.on("pageerror", lambda error: problems.append(f"script: {error}"))
            addresses = []
            tab.on("request", lambda request: addresses.append(request.url))
            tab.goto(address)
            tab.fill("#threshold", "25")
            tab.set_input_files("#files", [PORTRAIT, ROOT / "README.md"])
            tab.wait_for_selector("article:nth-of-type(2) p.error", timeout=60_000)
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
            sent = tab.evaluate("() => fetch('https://example.com/').then(() => true, () => false)")
            if sent:
                problems.append(f"{name}: a request to another address was let through")
            with tab.expect_download() as download:
                tab.keyboard.press("Tab")
                tab.click("#save")
            saved = pathlib.Path(download.value.path()).read_text()
            if not saved.startswith("picture,face,age,low,high,at least 25,quality"):
                problems.append(f"{name}: the table is {saved[:80]}")
            if screenshots:
                tab.screenshot(path=screenshots / f"{name}.png", full_page=True)
        browser.close()
    for problem in problems:
        print(f"page: {problem}", file=sys.stderr)
    return not problems


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dldl", default="target/release/dldl")
    arguments.add_argument("--screenshots", type=pathlib.Path)
    arguments = arguments.parse_args()
    process, address = start(arguments.dldl)
    try:
        results = [description(address), page(arguments.dldl, address, arguments.screenshots)]
    finally:
        process.terminate()
    results.append(process.wait(timeout=60) == 0)
    print("description, page, orderly end:", *("fine" if fine else "WRONG" for fine in results))
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
