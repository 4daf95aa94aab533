"""Load on `dldl serve`, on this machine alone:

    python3 benches/serve/load.py --dldl target/release/dldl

1. throughput and latency at 1 to 64 connections;
2. four times more connections than the service has places: only the statuses 200 and 503,
   and no growth of memory;
3. 10,000 requests, 5 % of them broken pictures: every answer is compared with the expected one;
4. SIGTERM under load: every accepted request is answered.

With --compare, the throughput beside a FastAPI service of the same job (python_service.py), in
the same run. Needs pillow; for --compare also what python_service.py names. Prints Markdown."""

import argparse
import http.client
import io
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CONNECTIONS = [1, 2, 4, 8, 16, 32, 64]


class Service:
    """A process that listens on a free port."""

    def __init__(self, command):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [part.replace("PORT", str(self.port)) for part in command]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{command[0]} does not answer")

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body)
        reply = connection.getresponse()
        return reply.status, reply.read()

    def resident(self):
        """Resident memory in megabytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(l for l in status.splitlines() if l.startswith("VmRSS")).split()[1]) / 1000

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def load(self, connections, pick, seconds=None, requests=None):
        """Requests from that many connections at a time, until so many seconds or requests have
        passed. `pick(i)` gives the body of the i-th; the answers are (i, status, body, seconds)."""
        answers, lock, count = [], threading.Lock(), iter(range(10**9))
        end = time.monotonic() + seconds if seconds else float("inf")

        def client():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            while time.monotonic() < end:
                with lock:
                    i = next(count)
                if requests is not None and i >= requests:
                    return
                begin = time.perf_counter()
                connection.request("POST", "/v1/estimate?task=age", pick(i))
                reply = connection.getresponse()
                body = reply.read()
                with lock:
                    answers.append((i, reply.status, body, time.perf_counter() - begin))
                if reply.status == 503:
                    # Without a pause, refused clients would take the processor from the service.
                    time.sleep(0.02)

        threads = [threading.Thread(target=client) for _ in range(connections)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers, time.perf_counter() - begin


def serve(dldl, *more):
    return Service([dldl, "serve", "--listen", "127.0.0.1:PORT", "--log", "none", *more])


def jpeg(picture, quality=90):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def pictures():
    """Twenty pictures of the portrait: sizes, cuts, mirror images, and without the face."""
    portrait = Image.open(ROOT / "assets/astronaut.jpg").convert("RGB")
    face = portrait.crop((130, 20, 330, 220))
    made = [face.resize((side, side)) for side in (160, 200, 240, 280, 320)]
    made += [portrait.resize((side, side)) for side in (256, 320, 384, 512, 640)]
    made += [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in made[:8]]
    made += [portrait.crop((0, 300, 512, 512)), Image.new("RGB", (300, 200), "gray")]
    return [jpeg(picture) for picture in made]


def broken(whole):
    """Pictures that are cut, empty, or no pictures; with the expected status."""
    return [(whole[0][: len(whole[0]) // 2], 422), (whole[7][:200], 422), (b"not a picture", 415),
            (b"", 400), (b"\x89PNG\r\n\x1a\n" + bytes(100), 422), (b"%PDF-1.7\n" * 20, 415)]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def throughput(dldl, portrait, seconds):
    service = serve(dldl, "--queue", "128")
    print("| connections | requests/s | median, ms | 99 %, ms |\n|---|---|---|---|")
    service.load(2, lambda i: portrait, seconds=1)
    for connections in CONNECTIONS:
        answers, wall = service.load(connections, lambda i: portrait, seconds=seconds)
        times = [1e3 * took for _, status, _, took in answers if status == 200]
        assert len(times) == len(answers), {status for _, status, _, _ in answers}
        print(f"| {connections} | {len(times) / wall:.1f} | {statistics.median(times):.0f} "
              f"| {percentile(times, 0.99):.0f} |", flush=True)
    assert service.stop() == 0


def overload(dldl, portrait, seconds):
    threads = os.cpu_count()
    service = serve(dldl, "--queue", str(16 - threads))
    service.load(16, lambda i: portrait, seconds=seconds / 4)
    before = service.resident()
    answers, wall = service.load(64, lambda i: portrait, seconds=seconds)
    after = service.resident()
    counts = {}
    for _, status, _, _ in answers:
        counts[status] = counts.get(status, 0) + 1
    assert set(counts) == {200, 503}, counts
    times = [1e3 * took for _, status, _, took in answers if status == 200]
    refused = [1e3 * took for _, status, _, took in answers if status == 503]
    print(f"64 connections, 16 places, {wall:.0f} s: {counts[200]} answers of 200 "
          f"({counts[200] / wall:.1f} a second; median {statistics.median(times):.0f} ms, 99 % "
          f"{percentile(times, 0.99):.0f} ms), {counts[503]} of 503 (median "
          f"{statistics.median(refused):.1f} ms), nothing else. Resident memory {before:.0f} MB "
          f"before, {after:.0f} MB after.", flush=True)
    assert service.stop() == 0


def mixed(dldl, requests):
    whole = pictures()
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i, picture in enumerate(whole):
            files.append(pathlib.Path(folder) / f"{i:02}.jpg")
            files[-1].write_bytes(picture)
        lines = subprocess.check_output([dldl, "estimate", "--format", "ndjson", *files], text=True)
    ages = [[face["age"]["value"] for face in json.loads(line)["faces"]] for line in lines.splitlines()]
    bad = broken(whole)
    chance = random.Random(1)
    plan = [("bad", chance.randrange(len(bad))) if chance.random() < 0.05
            else ("whole", chance.randrange(len(whole))) for _ in range(requests)]
    service = serve(dldl, "--queue", "64")
    pick = lambda i: bad[plan[i][1]][0] if plan[i][0] == "bad" else whole[plan[i][1]]
    answers, wall = service.load(16, pick, requests=requests)
    assert len(answers) == requests
    wrong = 0
    for i, status, body, _ in answers:
        kind, which = plan[i]
        if kind == "bad":
            right = status == bad[which][1] and json.loads(body)["status"] == status
        else:
            right = status == 200 and [f["age"]["value"] for f in json.loads(body)["faces"]] == ages[which]
        wrong += not right
    count = sum(kind == "bad" for kind, _ in plan)
    print(f"{requests} requests from 16 connections in {wall:.0f} s, {count} of them with broken "
          f"pictures: {len(answers)} answers, {wrong} wrong.", flush=True)
    assert service.stop() == 0 and wrong == 0


def termination(dldl, portrait):
    service = serve(dldl, "--queue", "64")
    outcomes, lock, done = [], threading.Lock(), threading.Event()

    def client():
        while not done.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
            try:
                connection.connect()
            except OSError:
                return  # The service accepts no more.
            try:
                connection.request("POST", "/v1/estimate", portrait, {"Connection": "close"})
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
            with lock:
                outcomes.append(status)

    threads = [threading.Thread(target=client) for _ in range(32)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    before = len(outcomes)
    begin = time.monotonic()
    code = service.stop()
    took = time.monotonic() - begin
    done.set()
    for thread in threads:
        thread.join()
    after = outcomes[before:]
    lost = [outcome for outcome in after if outcome != 200]
    print(f"SIGTERM with 32 connections: {len(after)} requests were answered after it, "
          f"{len(lost)} lost {set(lost) or ''}; exit code {code} after {took:.1f} s.", flush=True)
    assert code == 0 and not lost


def compare(dldl, portrait, seconds, rounds):
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "tiny.onnx"
        subprocess.run([dldl, "export", "--model", "tiny", "--out", model], check=True,
                       stdout=subprocess.DEVNULL)
        python = [sys.executable, str(HERE / "python_service.py"), "--model", str(model), "--port", "PORT"]
        services = {
            "FastAPI, facenet-pytorch, onnxruntime": Service(python),
            "**dldl serve**": serve(dldl, "--queue", "128"),
            "**dldl serve --detector mtcnn**": serve(dldl, "--queue", "128", "--detector", "mtcnn"),
        }
        rates = {name: [] for name in services}
        for _ in range(rounds):
            for name, service in services.items():
                service.load(2, lambda i: portrait, seconds=1)
                answers, wall = service.load(8, lambda i: portrait, seconds=seconds)
                assert all(status == 200 for _, status, _, _ in answers)
                rates[name].append(len(answers) / wall)
        print("| 8 connections | requests/s | ratio |\n|---|---|---|")
        slowest = statistics.median(next(iter(rates.values())))
        for name, rate in rates.items():
            print(f"| {name} | {statistics.median(rate):.1f} | {statistics.median(rate) / slowest:.1f} |", flush=True)
        for service in services.values():
            service.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dldl", default="target/release/dldl")
    arguments.add_argument("--seconds", type=float, default=5, help="for each measurement")
    arguments.add_argument("--requests", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--compare", action="store_true")
    arguments = arguments.parse_args()
    portrait = (ROOT / "assets/astronaut.jpg").read_bytes()
    throughput(arguments.dldl, portrait, arguments.seconds)
    print()
    overload(arguments.dldl, portrait, 4 * arguments.seconds)
    print()
    mixed(arguments.dldl, arguments.requests)
    print()
    termination(arguments.dldl, portrait)
    if arguments.compare:
        print()
        compare(arguments.dldl, portrait, arguments.seconds, arguments.rounds)
    print(f"\n{os.cpu_count()} processors, the clients on the same machine.")


if __name__ == "__main__":
    main()
