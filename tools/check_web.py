"""Checks the page that runs in browsers (target/web/site, by tools/build_web.sh) in headless
Chromium: the age of the portrait, the network, without a network, the camera.

    python3 tools/check_web.py --dldl target/release/dldl [--screenshots FOLDER]

Needs playwright, and the programs chromium and ffmpeg. Exits with 1 if something is wrong."""

import argparse
import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
PORTRAIT = ROOT / "assets/astronaut.jpg"
SITE = ROOT / "target/web/site"
VIEWS = [("phone", 390, 844, "dark"), ("desk", 1280, 900, "light")]


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


def picture(tab, address, expected, name, width, screenshots):
    problems, addresses = [], []
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
    if tab.evaluate("() => document.documentElement.scrollWidth") > width:
        problems.append(f"{name}: the page is wider than the screen")
    if others := [url for url in addresses if not url.startswith((address, "blob:"))]:
        problems.append(f"{name}: requests to {others}")
    if tab.evaluate("() => fetch('https://example.com/').then(() => true, () => false)"):
        problems.append(f"{name}: a request to another address was let through")
    if screenshots:
        tab.screenshot(path=screenshots / f"web-{name}.png", full_page=True)
    return problems


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
        arguments = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                     f"--use-file-for-fake-video-capture={clip(pathlib.Path(folder))}"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
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
    records = json.loads(subprocess.check_output([arguments.dldl, "estimate", "--format", "json", PORTRAIT]))
    expected = records[0]["faces"][0]["age"]["value"]
    server, address = serve()
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, width, height, scheme in VIEWS:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            problems += picture(context.new_page(), address, expected, name, width, arguments.screenshots)
        problems += camera(playwright, address, expected, arguments.screenshots)
        problems += offline(server, browser.new_context(), address, expected)
        browser.close()
    for problem in problems:
        print(problem, file=sys.stderr)
    print("the page in the browser:", "WRONG" if problems else "fine")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
