"""Checks the page that runs in browsers (target/web/site, by tools/build_web.sh) in headless
Chromium: the age of the portrait, the network, without a network, the camera.

    python3 tools/check_web.py --dldl target/release/dldl [--screenshots FOLDER]

Needs playwright, and the programs chromium and ffmpeg. Exits with 1 if something is wrong."""

import argparse
import functools
import http.server
import pathlib
import subprocess
import sys
import tempfile
import threading

import page_check
from page_check import PORTRAIT, ROOT
from playwright.sync_api import sync_playwright

SITE = ROOT / "target/web/site"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve():
    handler = functools.partial(Quiet, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Browsers allow workers and cameras on localhost.
    return server, f"http://localhost:{server.server_port}"


def clip(folder):
    """Two seconds of the portrait, slowly moving, as a fake camera wants it."""
    path = folder / "camera.mjpeg"
    subprocess.run(["ffmpeg", "-loglevel", "error", "-loop", "1", "-i", PORTRAIT, "-t", "2", "-r", "10", "-vf",
                    "scale=640:640,crop=480:480:80+20*sin(3*t):20", "-q:v", "2", path], check=True)
    return path


def offline(server, context, address, expected):
    """The page without the server, after it was loaded once."""
    tab = context.new_page()
    tab.goto(address)
    tab.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    tab.reload()
    server.shutdown()
    server.server_close()
    tab.reload()
    tab.set_input_files("#files", [PORTRAIT])
    tab.wait_for_selector("#rows tr", timeout=120_000)
    shown = float(tab.inner_text("#rows tr td:nth-of-type(3)"))
    return [] if abs(shown - expected) <= 0.1 else [f"offline: {shown} years, expected {expected}"]


def camera(playwright, address, expected, screenshots):
    with tempfile.TemporaryDirectory() as folder:
        browser = page_check.launch(playwright, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                                    f"--use-file-for-fake-video-capture={clip(pathlib.Path(folder))}")
        tab = browser.new_page()
        tab.goto(address)
        tab.click("#camera")
        tab.wait_for_selector("#people li .age", timeout=120_000)
        tab.wait_for_timeout(3000)
        text = tab.inner_text("#people li .age")
        if screenshots:
            tab.screenshot(path=screenshots / "web-camera.png", full_page=True)
        tab.click("#camera")
        hidden = not tab.is_visible("#live")
        browser.close()
    track, years = text.split(":")
    problems = [] if track == "1" and abs(float(years.split()[0]) - expected) < 6 else [f"camera: {text}"]
    return problems + ([] if hidden else ["camera: it does not stop"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dldl", default="target/release/dldl")
    arguments.add_argument("--screenshots", type=pathlib.Path)
    arguments = arguments.parse_args()
    expected = page_check.age_of_portrait(arguments.dldl)
    server, address = serve()
    problems = []
    with sync_playwright() as playwright:
        browser = page_check.launch(playwright)
        for view in page_check.VIEWS:
            screenshot = arguments.screenshots and arguments.screenshots / f"web-{view[0]}.png"
            problems += page_check.look(browser, view, address, expected, screenshot)[1]
        problems += camera(playwright, address, expected, arguments.screenshots)
        problems += offline(server, browser.new_context(), address, expected)
        browser.close()
    for problem in problems:
        print(problem, file=sys.stderr)
    print("the page in the browser:", "WRONG" if problems else "fine")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
