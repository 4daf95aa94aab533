"""Checks `dldl serve` from outside: its description of itself by schemathesis, and its page in
headless Chromium.

    python3 tools/check_service.py --dldl target/release/dldl [--screenshots FOLDER]

Needs schemathesis and playwright, and the program chromium. Exits with 1 if something is wrong."""

import argparse
import pathlib
import re
import subprocess
import sys

import page_check
from playwright.sync_api import sync_playwright


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
    """Whether the page shows what the command line estimates, asks nobody else, and saves its
    table."""
    expected, problems = page_check.age_of_portrait(dldl), []
    with sync_playwright() as playwright:
        browser = page_check.launch(playwright)
        for view in page_check.VIEWS:
            screenshot = screenshots and screenshots / f"{view[0]}.png"
            tab, wrong = page_check.look(browser, view, address, expected, screenshot)
            problems += wrong
            with tab.expect_download() as download:
                tab.keyboard.press("Tab")
                tab.click("#save")
            saved = pathlib.Path(download.value.path()).read_text()
            if not saved.startswith("picture,face,age,low,high,at least 25,quality"):
                problems.append(f"{view[0]}: the table is {saved[:80]}")
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
